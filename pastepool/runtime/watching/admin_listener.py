"""
A second, small server beside the pool: one thread that accepts, one for each of a few connections, no worker, no baton.

It is what answers when every worker hangs. The requests are parsed and the application is called by the same code as in
the main server (``http1.engine``, ``wsgi.call``); only the sockets block here, because the connections are few: above
``CONNECTION_LIMIT`` the one that has been idle longest makes room, and if none is idle the new one is told 503.

``start`` and ``close`` run on the thread that serves; the rest on threads of this module.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
from collections.abc import Sequence
from typing import Any

from pastepool.errors import AppError, ClientGone, NoThread, PeerError
from pastepool.http1.engine import Engine, Request
from pastepool.http1.limits import Limits
from pastepool.http1.response import CONTINUE, short_answer
from pastepool.runtime.http.content import Content
from pastepool.runtime.http.date_header import DateHeader
from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.sockets.listener import Listener
from pastepool.types import Clock, Seconds, Spawner
from pastepool.wsgi.call import Application, Call
from pastepool.wsgi.environ import complete_environ, connection_prototype

_log = scribbled("pastepool")

CONNECTION_LIMIT = 32
"""Connections at once, each with a thread. A browser opens six, so five people may look; nothing else derives it."""

REQUEST_WITHIN: Seconds = 10.0
"""From the first byte of a request to its last, and for each piece of an answer: operators have good lines."""

IDLE_FOR: Seconds = 30.0
BODY_LIMIT = 65536
"""The largest form an operator sends has a dozen short fields."""

CLOSING = "pastepool.admin"
"""In the environ of requests that come this way: an event that is set when the listener closes, for endless answers."""

_LIMITS = Limits(body_bytes=BODY_LIMIT)

_GUARDED = (
    b"Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
    b"X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
)
"""In the short answers of this module, which the application that has its own never sees."""


class _AlwaysShut:
    """The window of a request nobody kills: no worker runs it."""

    def open(self, serial: int) -> None:
        """Nothing can land."""

    open_for_close = open

    def shut(self) -> None:
        """Nothing was open."""


class _AdminCall(Call):
    """One answer, written to a blocking socket."""

    def __init__(
        self, request: Request, environ: dict[str, Any], serial: int, stamp: DateHeader, sock: socket.socket
    ) -> None:
        super().__init__(request, environ, serial, stamp.current)
        self._sock = sock

    def transmit(self, data: bytes) -> None:
        self._sock.settimeout(REQUEST_WITHIN)
        try:
            self._sock.sendall(data)
        except OSError as error:
            raise ClientGone("The client has gone.") from error

    def transmit_two(self, head: bytes, body: bytes) -> None:
        self.transmit(head + body)

    def file_length(self, filelike: Any, wanted: int | None) -> int | None:
        return None  # nothing here is worth a sendfile: such a body is read like any other

    def transmit_file(self, head: bytes, filelike: Any, length: int) -> None:
        raise AppError("No file is sent as such here.")

    def closing(self) -> bool:
        return False


class _Conversation:
    """One connection and its thread. ``idle_since``: ``inf`` while a request is being read or answered."""

    def __init__(self, admin: AdminListener, sock: socket.socket, prototype: dict[str, Any]) -> None:
        self.sock = sock
        self.idle_since: Seconds = admin.clock.now()
        self._admin = admin
        self._engine = Engine(_LIMITS, prototype)
        self._serial = 0

    def run(self) -> None:
        """The thread's body: one request after the other."""
        try:
            while self._one_request():
                pass
        except PeerError as error:
            self._answer(error.status, error.reason)
        except (ClientGone, OSError):
            pass  # nobody is left to talk to
        except Exception:
            _log.exception("Internal error on the admin listener; please report this")
        finally:
            self._engine.close()
            self._admin.forget(self)

    def hang_up(self) -> None:
        """End it. Runs on: any thread."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def _one_request(self) -> bool:
        """Read and answer one request. Answers whether there may be another."""
        admin = self._admin
        self.idle_since = admin.clock.now()
        content = self._read()
        if content is None:
            return False
        self.idle_since = float("inf")
        request = self._engine.next_request()
        environ = complete_environ(request, content.file(), content.received)
        environ[CLOSING] = admin.closing
        self._serial += 1
        call = _AdminCall(request, environ, self._serial, admin.date_header, self.sock)
        try:
            call.respond(admin.application, _AlwaysShut())
        except ClientGone:
            return False
        except Exception:
            _log.exception("the page of the admin listener failed")
            if not call.began:
                self._answer(500, "The page failed; the log has the details.")
            return False
        return call.keep_alive and not admin.closing.is_set()

    def _read(self) -> Content | None:
        """Read up to the end of one request. Answers None if the client closed instead. Raises: PeerError, OSError."""
        engine, clock = self._engine, self._admin.clock
        content = Content(BODY_LIMIT)
        engine.feed(b"")
        deadline = clock.now() + (REQUEST_WITHIN if engine.started else IDLE_FOR)
        told_to_go_on = False
        while not _is_complete(engine):
            self.sock.settimeout(max(0.001, deadline - clock.now()))
            data = self.sock.recv(16384)
            if not data:
                return None
            if self.idle_since != float("inf"):
                self.idle_since = float("inf")
                deadline = clock.now() + REQUEST_WITHIN
            engine.feed(data)
            content.add(engine.take_body())
            request = engine.request
            if request is not None and request.expects_continue and not (_is_complete(engine) or told_to_go_on):
                told_to_go_on = True
                self.sock.sendall(CONTINUE)
        content.add(engine.take_body())
        return content

    def _answer(self, status: int, text: str) -> None:
        with contextlib.suppress(OSError):
            self.sock.sendall(short_answer(status, text, self._admin.date_header.joined() + _GUARDED))


class AdminListener:
    """
    Serves one application on listeners of its own.

    ``closing``: set when it closes. Fields written under ``_lock``: ``_conversations``.
    """

    def __init__(self, application: Application, stamp: DateHeader, clock: Clock, spawn: Spawner) -> None:
        self.application = application
        self.date_header = stamp
        self.clock = clock
        self.closing = threading.Event()
        self._spawn = spawn
        self._lock = threading.Lock()
        self._conversations: set[_Conversation] = set()
        self._listeners: Sequence[tuple[Listener, dict[str, Any]]] = ()
        self._waker: tuple[int, int] | None = None
        self._finished = threading.Event()

    def start(self, listeners: Sequence[tuple[Listener, dict[str, Any]]]) -> None:
        """
        Start to accept, in the process that will serve. ``listeners``: each with the environ its requests share. Raises:
        NoThread.
        """
        self._listeners = listeners
        self._waker = os.pipe()
        try:
            self._spawn(self._accept_all, "pastepool admin")
        except NoThread:
            self._finished.set()  # there is nothing for ``close`` to wait for
            raise

    def close(self, wait: Seconds) -> None:
        """Accept no more, hang up, and wait so long for the threads to have gone."""
        self.closing.set()
        if self._waker is None:
            return
        os.write(self._waker[1], b"\0")
        if not self._finished.wait(wait):
            return
        with self._lock:
            left = list(self._conversations)
        for conversation in left:
            conversation.hang_up()
        for end in self._waker:
            os.close(end)
        self._waker = None

    def forget(self, conversation: _Conversation) -> None:
        """A conversation is over. Runs on: its thread, as its last act."""
        with self._lock:
            self._conversations.discard(conversation)
        conversation.sock.close()

    def _accept_all(self) -> None:
        waker = self._waker
        try:
            with selectors.DefaultSelector() as selector:
                if waker is not None:
                    selector.register(waker[0], selectors.EVENT_READ)
                for listener, prototype in self._listeners:
                    selector.register(listener.socket, selectors.EVENT_READ, (listener, prototype))
                while not self.closing.is_set():
                    for key, _ in selector.select():
                        if key.data is not None:
                            self._accept(*key.data)
        except OSError:
            _log.critical("the admin listener is gone; the server goes on", exc_info=True)
        finally:
            for listener, _ in self._listeners:
                listener.close()
            self._finished.set()

    def _accept(self, listener: Listener, prototype: dict[str, Any]) -> None:
        try:
            sock, address = listener.socket.accept()
        except BlockingIOError:
            return
        except OSError as error:
            _log.warning("the admin listener could not accept a connection: %s", error)
            self.closing.wait(0.1)  # no descriptors, most likely: not at once again
            return
        conversation = _Conversation(self, sock, connection_prototype(prototype, address[0], address[1]))
        with self._lock:
            full = len(self._conversations) >= CONNECTION_LIMIT and not self._make_room_locked()
            if not full:
                self._conversations.add(conversation)
        if full:
            self._turn_away(sock, f"The admin listener has its limit of {CONNECTION_LIMIT} connections.")
            return
        try:
            self._spawn(conversation.run, "pastepool admin connection")
        except RuntimeError as error:
            with self._lock:
                self._conversations.discard(conversation)
            self._turn_away(sock, f"No thread can be started: {error}.")

    def _make_room_locked(self) -> bool:
        """Hang up on the connection that has been idle longest. Answers whether there was one."""
        oldest = min(self._conversations, key=lambda conversation: conversation.idle_since)
        if oldest.idle_since == float("inf"):
            return False
        self._conversations.discard(oldest)
        oldest.hang_up()
        return True

    def _turn_away(self, sock: socket.socket, text: str) -> None:
        with contextlib.suppress(OSError):
            sock.send(short_answer(503, text, self.date_header.joined() + _GUARDED, retry_after=1))
        sock.close()


def _is_complete(engine: Engine) -> bool:
    """A function, so that nobody (the type checker among them) takes an earlier answer for this one."""
    return engine.complete
