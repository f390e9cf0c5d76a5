"""
A conversation between a client and an application, with nothing in between but floors 1 and 2.

Knows what a client sends and what it would read; has no socket, thread or clock. Runs on the test's thread.
"""

from __future__ import annotations

import io
import itertools
import logging
import os
import stat
import sys
from collections.abc import Callable, Iterator
from typing import Any

from pastepool.errors import ClientGone, PeerError, WorkerKilled
from pastepool.http1.engine import Engine, Request
from pastepool.http1.limits import Limits
from pastepool.http1.response import CONTINUE, healthy_answer, short_answer
from pastepool.types import CallWindow
from pastepool.wsgi.call import Application, Call
from pastepool.wsgi.environ import complete_environ, connection_prototype, listener_prototype

_log = logging.getLogger("pastepool.app")

_DATE = b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
_SERVER = b"Server: pastepool\r\n"
_STAMP = (_DATE, _SERVER, _DATE + _SERVER)
"""The same in every test."""


def converse(app: Application, *requests: bytes, dribble: int = 0) -> bytes:
    """
    Run an application against the engine with no socket and return what a client would have read.

    Args:
        app: a WSGI application.
        requests: what the client sends, each as one delivery; the parts of one request, or several in one, will do.
        dribble: deliver so many bytes at a time; 0 for each whole.

    An application that fails is logged by ``pastepool.app`` and answered with 500, as the server would.
    """
    conversation = Conversation(app)
    for request in requests:
        conversation.send(request, dribble)
    return conversation.received


class Conversation:
    """
    One client's connection, kept open from one ``send`` to the next.

    ``received``: all the client has read so far. ``closed``: whether the server has closed; what is sent then is lost.
    ``gone``: whether the client has hung up.
    """

    def __init__(self, app: Application, *, limits: Limits | None = None, window: CallWindow | None = None) -> None:
        listener = listener_prototype(
            scheme="http", server_name="localhost", server_port=80, software="pastepool", errors=sys.stderr, extra={}
        )
        prototype = connection_prototype(listener, "127.0.0.1", 50000)
        self.closed = False
        self.gone = False
        self._app = app
        self._window = window or _NoWindow()
        self._engine = Engine(limits or Limits(), prototype)
        self._serials = itertools.count(1)
        self._read = bytearray()
        self._content_awaited = False

    @property
    def received(self) -> bytes:
        """All bytes the client has read so far."""
        return bytes(self._read)

    def send(self, data: bytes, dribble: int = 0) -> None:
        """Deliver bytes, ``dribble`` at a time or (0) at once, and answer every request they complete."""
        for piece in _pieces(data, dribble or len(data)):
            if self.closed:
                return
            try:
                self._feed(piece)
            except PeerError as error:
                self._answer_and_close(error.status, error.reason)

    def hang_up(self) -> None:
        """Close the client's side: from now on whoever writes to it learns that nobody reads."""
        self.gone = True

    def deliver(self, data: bytes) -> None:
        """
        Take response bytes; for the answer in the making.

        Raises: ClientGone once the client has hung up.
        """
        if self.gone:
            raise ClientGone("The client has gone.")
        self._tell(data)

    def _tell(self, data: bytes) -> None:
        if not self.gone:
            self._read += data

    def _feed(self, data: bytes) -> None:
        engine = self._engine
        engine.feed(data)
        while engine.complete:
            self._content_awaited = False
            self._serve()
            if self.closed:
                return
            engine.feed(b"")
        request = engine.request
        if request is not None and not self._content_awaited:
            self._content_awaited = True
            if request.expects_continue and not engine.body:
                self._tell(CONTINUE)

    def _serve(self) -> None:
        content = b"".join(self._engine.take_body())
        request = self._engine.next_request()
        if request.path == b"*":
            self._tell(healthy_answer(_STAMP[2], request.keep_alive, request, b""))
            self.closed = not request.keep_alive
            return
        environ = complete_environ(request, io.BytesIO(content) if content else None, len(content))
        call = _Answer(request, environ, next(self._serials), self)
        try:
            call.respond(self._app, self._window)
        except (Exception, SystemExit) as error:
            self._give_up(call, error)
        else:
            self.closed = not call.keep_alive

    def _give_up(self, call: _Answer, error: BaseException) -> None:
        """Do what the server does when a call ends early."""
        self._window.shut()
        self.closed = True
        if isinstance(error, ClientGone):
            return
        if isinstance(error, WorkerKilled):
            status, text = 504, "The request took too long and was ended by the server."
        else:
            status, text = 500, "The application failed; its log has the details."
            _log.error("the application failed", exc_info=error)
        if not call.began:
            self._answer_and_close(status, text, call.request)

    def _answer_and_close(self, status: int, text: str, request: Request | None = None) -> None:
        self.closed = True
        head_only = request is not None and request.method == "HEAD"
        self._tell(short_answer(status, text, _STAMP[2], head_only=head_only))


class _Answer(Call):
    """One response; its bytes go straight to the client of the conversation."""

    def __init__(self, request: Request, environ: dict[str, Any], serial: int, conversation: Conversation) -> None:
        super().__init__(request, environ, serial, lambda: _STAMP)
        self._conversation = conversation
        environ["pastepool.client_gone"] = lambda: conversation.gone
        environ["pastepool.kill_after"] = _ignore
        environ["pastepool.on_cancel"] = _ignore

    def transmit(self, data: bytes) -> None:
        self._conversation.deliver(data)

    def transmit_two(self, head: bytes, body: bytes) -> None:
        self._conversation.deliver(head + body)

    def file_length(self, filelike: Any, wanted: int | None) -> int | None:
        try:
            status = os.fstat(filelike.fileno())
            left: int = max(0, status.st_size - filelike.tell())
        except (AttributeError, OSError, ValueError):
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        return left if wanted is None else min(wanted, left)

    def transmit_file(self, head: bytes, filelike: Any, length: int) -> None:
        self._conversation.deliver(head + os.pread(filelike.fileno(), length, filelike.tell()))

    def closing(self) -> bool:
        return False


class _NoWindow:
    """The window of a conversation in which nobody is killed."""

    def open(self, serial: int) -> None: ...
    def open_for_close(self, serial: int) -> None: ...
    def shut(self) -> None: ...


def _ignore(anything: float | Callable[[], Any]) -> None:
    """Stand in for what only matters to a request that is killed."""


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[begin : begin + size] for begin in range(0, len(data), size or 1))
