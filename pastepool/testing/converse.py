"""
Run a conversation between a client and an application through floors 1 and 2 alone.

It takes the bytes that a client sends and collects the bytes that the client would read. It has no socket, thread or
clock. Runs on: the thread of the test.
"""

from __future__ import annotations

import io
import itertools
import logging
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextvars import copy_context
from typing import Any

from pastepool.errors import ClientGone, PeerError, WorkerKilled
from pastepool.http1.engine import Engine
from pastepool.http1.limits import Limits
from pastepool.http1.response import CONTINUE, healthy_answer, short_answer
from pastepool.types import CallWindow, Seconds
from pastepool.wsgi.call import Call
from pastepool.wsgi.environ import complete_environ, connection_prototype, listener_prototype
from pastepool.wsgi.plain_file import PlainFile
from pastepool.wsgi.serving import Application, Serving

_log = logging.getLogger("pastepool.app")

_DATE = b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
_SERVER = b"Server: pastepool\r\n"
_STAMP = (_DATE, _SERVER, _DATE + _SERVER)
"""The Date and Server fields. They are the same in every test, so that a test can compare whole responses."""


def converse(app: Application, *requests: bytes, dribble: int = 0) -> bytes:
    """
    Run an application against the engine with no socket and return what a client would have read.

    Args:
        app: a WSGI application.
        requests: what the client sends. Each is delivered at once. One may be a part of a request, or several requests.
        dribble: deliver this many bytes at a time; 0 delivers each of ``requests`` as a whole.

    If the application fails, the exception is logged by ``pastepool.app`` and the answer is 500, as in the server.
    """
    conversation = Conversation(app)
    for request in requests:
        conversation.send(request, dribble)
    return conversation.received


class Conversation:
    """
    The connection of one client. It stays open from one ``send`` to the next.

    ``received``: everything the client has read so far. ``closed``: whether the server has closed the connection; what
    is sent after that is lost. ``gone``: whether the client has hung up.
    """

    def __init__(self, app: Application, *, limits: Limits | None = None, window: CallWindow | None = None) -> None:
        listener = listener_prototype(
            scheme="http", server_name="localhost", server_port=80, software="pastepool", errors=sys.stderr, extra={}
        )
        prototype = connection_prototype(listener, "127.0.0.1", 50000)
        self.closed = False
        self.gone = False
        self._serving = Serving(application=app, date_header=_Stamp())
        self._window = window or _NoWindow()
        self._engine = Engine(limits or Limits(), prototype, _Answer)
        self._serials = itertools.count(1)
        self._read = bytearray()
        self._content_awaited = False

    @property
    def received(self) -> bytes:
        """All bytes the client has read so far."""
        return bytes(self._read)

    def send(self, data: bytes, dribble: int = 0) -> None:
        """Deliver bytes, ``dribble`` at a time or (0) all at once, and answer every request that is then complete."""
        for piece in _pieces(data, dribble or len(data)):
            if self.closed:
                return
            try:
                self._feed(piece)
            except PeerError as error:
                self._answer_and_close(error.status, error.reason)

    def hang_up(self) -> None:
        """Close the side of the client. From now on, a write to the client raises ClientGone."""
        self.gone = True

    def deliver(self, data: bytes) -> None:
        """
        Give response bytes to the client. Only the response that is being written calls this.

        Raises: ClientGone when the client has hung up.
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
            if request.expects_continue and not engine.has_content:
                self._tell(CONTINUE)

    def _serve(self) -> None:
        content = self._engine.take_body()
        call = self._engine.next_request()
        if call.path == b"*":
            self._tell(healthy_answer(_STAMP[2], call.keep_alive, call, b""))
            self.closed = not call.keep_alive
            return
        complete_environ(call, io.BytesIO(content) if content else None, len(content))
        call.begin_in(self, next(self._serials), self._serving)
        try:
            copy_context().run(call.run, self._window)
        except (Exception, SystemExit, WorkerKilled) as error:
            self._give_up(call, error)
        else:
            self.closed = not call.keep_alive

    def _give_up(self, call: _Answer, error: BaseException) -> None:
        """Do what the server does when a call ends early."""
        self._window.shut()
        if call.whole and not isinstance(error, (ClientGone, WorkerKilled)):
            _log.error("the application failed after its whole response", exc_info=error)
            self.closed = not call.keep_alive
            return
        self.closed = True
        if isinstance(error, ClientGone):
            return
        if isinstance(error, WorkerKilled):
            status, text = 504, "The request took too long and was ended by the server."
        else:
            status, text = 500, "The application failed; its log has the details."
            _log.error("the application failed", exc_info=error)
            self.closed = call.began or not call.keep_alive
        if not call.began:
            kept_by = "" if self.closed else call.version
            self._tell(short_answer(status, text, _STAMP[2], head_only=call.method == "HEAD", kept_by=kept_by))

    def _answer_and_close(self, status: int, text: str) -> None:
        self.closed = True
        self._tell(short_answer(status, text, _STAMP[2]))


class _Stamp:
    """The same fields at all times: a conversation has no clock."""

    until = math.inf
    fields = _STAMP

    def now(self) -> Seconds:
        """Return the one instant that there is."""
        return 0.0

    def fields_at(self, now: Seconds) -> tuple[bytes, bytes, bytes]:
        """Return the fields."""
        return self.fields


class _Answer(Call):
    """One response. Its bytes go directly to the client of the ``conversation``."""

    look_at_file = staticmethod(os.fstat)

    conversation: Conversation

    def begin_in(self, conversation: Conversation, serial: int, serving: Serving) -> None:
        """Do the same as ``begin``, for a request of this conversation."""
        self.begin(serial, serving)
        self.conversation = conversation
        environ = self.environ
        environ["pastepool.client_gone"] = lambda: conversation.gone
        environ["pastepool.kill_after"] = _ignore
        environ["pastepool.on_cancel"] = _ignore

    def transmit(self, data: bytes) -> None:
        self.conversation.deliver(data)

    def transmit_two(self, head: bytes, body: bytes) -> None:
        self.conversation.deliver(head + body)

    def transmit_file(self, head: bytes, file: PlainFile, length: int) -> None:
        self.conversation.deliver(head + os.pread(file.fd, length, file.position))

    def cut_off(self) -> None:
        _log.warning("the application yields more than its Content-Length; the rest is not sent")

    def abandoned(self) -> bool:
        return self.conversation.gone


class _NoWindow:
    """The window of a conversation in which no request is killed."""

    def open(self, serial: int) -> None: ...
    def open_for_close(self, serial: int) -> None: ...
    def shut(self) -> None: ...


def _ignore(anything: float | Callable[[], Any]) -> None:
    """Do nothing. It replaces the environ functions that matter only to a request that is killed."""


def _pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[begin : begin + size] for begin in range(0, len(data), size or 1))
