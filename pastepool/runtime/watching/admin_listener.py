"""
A second, small server beside the pool. It has one thread that accepts and one thread for each connection; it uses no
worker and no baton.

So it responds even if every worker hangs. The same code as in the main server parses the requests and calls the
application (``http1.engine``, ``wsgi.call``). Only the sockets differ: they block here, because there are few
connections. If there are ``CONNECTION_LIMIT`` of them, a new connection replaces the one that has waited longest for a
request or for the rest of one. If all of them get responses, the new connection gets 503. A client whose address is not
admitted gets no thread.

``start`` and ``close`` run on the thread that serves; the rest on threads of this module.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

from pastepool.core.addresses import client_address
from pastepool.core.wording import printable
from pastepool.errors import AppError, ClientGone, NoThread, PeerError
from pastepool.http1.engine import Engine
from pastepool.http1.limits import Limits
from pastepool.http1.response import CONTINUE, short_answer
from pastepool.runtime.http.body_memory import BodyMemory
from pastepool.runtime.http.content import Content
from pastepool.runtime.http.date_header import DateHeader
from pastepool.runtime.http.spool_room import SpoolRoom
from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.sockets.listener import Listener, stop_listening
from pastepool.types import Clock, Seconds, Spawner
from pastepool.wsgi.call import Call
from pastepool.wsgi.environ import complete_environ, connection_prototype
from pastepool.wsgi.plain_file import PlainFile
from pastepool.wsgi.serving import Application, Serving

_log = scribbled("pastepool")

CONNECTION_LIMIT = 32
"""How many connections may be open at once, each with a thread. A browser opens six, so five people may look."""

REQUEST_WITHIN: Seconds = 10.0
"""
How long a request may take from its first byte to its last, and how long each piece of a response may take to send.
Operators have fast connections.
"""

IDLE_FOR: Seconds = 30.0
BODY_LIMIT = 65536
"""The most bytes of a request's content. The largest form that an operator sends has a dozen short fields."""

CLOSING = "pastepool.admin"
"""
The key in the environ of each request of this listener. Its value is an event that is set when the listener closes; a
response without end watches it.
"""

_TELL_EVERY: Seconds = 60.0
"""How often at most a client that is not admitted is logged."""

_LIMITS = Limits(body_bytes=BODY_LIMIT)

_GUARDED = (
    b"Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
    b"X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
)
"""
Security headers for the short responses that this module makes itself. The application adds its own to its responses.
"""


class _AlwaysShut:
    """The window of a request that cannot be killed, because no worker runs it."""

    def open(self, serial: int) -> None:
        """Do nothing: no kill can land."""

    open_for_close = open

    def shut(self) -> None:
        """Do nothing: the window was not open."""


class _AdminCall(Call):
    """One response, written to a blocking socket. ``sock``: is given to it before it runs."""

    sock: socket.socket

    def transmit(self, data: bytes) -> None:
        self.sock.settimeout(REQUEST_WITHIN)
        try:
            self.sock.sendall(data)
        except OSError as error:
            raise ClientGone("The client has gone.") from error

    def transmit_two(self, head: bytes, body: bytes) -> None:
        self.transmit(head + body)

    def transmit_file(self, head: bytes, file: PlainFile, length: int) -> None:
        raise AppError("No file is sent as such here.")  # it is read: ``look_at_file`` is None

    def cut_off(self) -> None:
        _log.warning("the page of the admin listener yields more than its Content-Length; the rest is not sent")


class _Conversation:
    """
    One connection and its thread. ``waiting_since``: since when a request, or the rest of one, is waited for; infinity
    while a response is made.
    """

    def __init__(self, admin: AdminListener, sock: socket.socket, prototype: dict[str, Any]) -> None:
        self.sock = sock
        self.waiting_since: Seconds = admin.clock.now()
        self._admin = admin
        self._engine = Engine(_LIMITS, prototype, _AdminCall)
        self._serial = 0

    def run(self) -> None:
        """Serve one request after the other until the connection ends. This is the body of the thread."""
        try:
            while self._one_request():
                pass
        except PeerError as error:
            self._answer(error.status, error.reason)
        except (ClientGone, OSError):
            pass  # the client has gone
        except Exception:
            _log.exception("Internal error on the admin listener; please report this")
        finally:
            self._admin.forget(self)

    def close(self) -> None:
        """Close the socket and drop the parser. Runs on: its thread as its last act, or the thread that made it."""
        self._engine.close()
        self.sock.close()

    def hang_up(self) -> None:
        """End the conversation: shut its socket down, which wakes its thread. Runs on: any thread."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def _one_request(self) -> bool:
        """Read one request and send its response. Returns whether another request may follow."""
        admin = self._admin
        self.waiting_since = admin.clock.now()
        content = self._read()
        if content is None:
            return False
        self.waiting_since = float("inf")
        call = self._engine.next_request()
        call.sock = self.sock
        complete_environ(call, content.file(), content.received)[CLOSING] = admin.closing
        self._serial += 1
        call.begin(self._serial, admin.serving)
        try:
            call.run(_AlwaysShut())
        except ClientGone:
            return False
        except Exception:
            _log.exception("the page of the admin listener failed")
            if not call.began:
                self._answer(500, "The page failed; the log has the details.")
            return False
        return call.keep_alive and not admin.closing.is_set()

    def _read(self) -> Content | None:
        """
        Read up to the end of one request, and return its content; None if the client closed instead.

        Raises: PeerError: the client broke HTTP or a limit. OSError: the client has gone, or was too slow.
        """
        engine, clock = self._engine, self._admin.clock
        content = Content(BodyMemory(BODY_LIMIT, BODY_LIMIT, SpoolRoom(BODY_LIMIT)))
        engine.feed(b"")
        began, told_to_go_on = engine.started, False
        deadline = clock.now() + (REQUEST_WITHIN if began else IDLE_FOR)
        while not _is_complete(engine):
            self.sock.settimeout(max(0.001, deadline - clock.now()))
            data = self.sock.recv(16384)
            if not data:
                return None
            if not began:
                began = True
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

    ``closing``: set when the listener closes. ``admits``: says whether a client with this address is let in.
    ``_conversations`` is written under ``_lock``.
    """

    def __init__(
        self,
        application: Application,
        stamp: DateHeader,
        clock: Clock,
        spawn: Spawner,
        *,
        admits: Callable[[str], bool],
    ) -> None:
        self.serving = Serving(application=application, date_header=stamp)
        self.date_header = stamp
        self.clock = clock
        self.closing = threading.Event()
        self._spawn = spawn
        self._admits = admits
        self._refusal_told_at = -float("inf")
        self._lock = threading.Lock()
        self._conversations: set[_Conversation] = set()
        self._listeners: Sequence[tuple[Listener, dict[str, Any]]] = ()
        self._waker: tuple[int, int] | None = None
        self._finished = threading.Event()
        self._selector: selectors.BaseSelector | None = None
        self._shared = False

    def start(self, listeners: Sequence[tuple[Listener, dict[str, Any]]], shared: bool = False) -> None:
        """
        Start to accept. Call this in the process that will serve.

        ``listeners``: each with the environ that its requests share. ``shared``: other processes may serve on them, and
        go on when this one stops. Raises: NoThread: the system has no thread left.
        """
        self._listeners = listeners
        self._shared = shared
        self._waker = os.pipe()
        try:
            self._spawn(self._accept_all, "pastepool admin")
        except NoThread:
            self._finished.set()  # so ``close`` does not wait for a thread that was never started
            raise

    def close(self, wait: Seconds) -> None:
        """Stop accepting, wait at most ``wait`` seconds for the thread that accepts, then hang up every connection."""
        self.closing.set()
        if self._waker is None:
            return
        os.write(self._waker[1], b"\0")
        finished = self._finished.wait(wait)
        with self._lock:
            left = list(self._conversations)
        for conversation in left:
            conversation.hang_up()
        if not finished:
            return  # the thread that accepts still uses the waker; after this it lets nobody in
        for end in self._waker:
            os.close(end)
        self._waker = None

    def in_child(self) -> None:
        """
        Close this process's copies of all descriptors, the listeners excepted: the process is a child of the one that
        serves.

        Takes no lock. Runs on: the only thread of the child.
        """
        if self._waker is None:
            return
        if self._selector is not None:
            self._selector.close()
        for conversation in self._conversations:
            conversation.sock.close()
        for end in self._waker:
            os.close(end)
        self._waker = None

    def forget(self, conversation: _Conversation) -> None:
        """Remove a conversation that has ended, and close its socket. Runs on: its thread, as its last act."""
        with self._lock:
            self._conversations.discard(conversation)
        conversation.close()

    def _accept_all(self) -> None:
        waker = self._waker
        try:
            with selectors.DefaultSelector() as selector:
                self._selector = selector
                if waker is not None:
                    selector.register(waker[0], selectors.EVENT_READ)
                for listener, prototype in self._listeners:
                    selector.register(listener.socket, selectors.EVENT_READ, (listener, prototype))
                while not self.closing.is_set():
                    for key, _ in selector.select():
                        if key.data is not None:
                            self._accept(*key.data)
        except Exception:
            _log.critical("the admin listener is gone; the server goes on", exc_info=True)
        finally:
            for listener, _ in self._listeners:
                stop_listening(listener.socket, self._shared)
            self._finished.set()

    def _accept(self, listener: Listener, prototype: dict[str, Any]) -> None:
        try:
            sock, address = listener.socket.accept()
        except BlockingIOError:
            return
        except OSError as error:
            _log.warning("the admin listener could not accept a connection: %s", error)
            self.closing.wait(0.1)  # most likely there is no descriptor left, so pause before the next attempt
            return
        peer = client_address(address[0])
        if not self._admits(peer):
            self._refuse(sock, peer)
            return
        conversation = _Conversation(self, sock, connection_prototype(prototype, peer, address[1]))
        with self._lock:
            stopping = self.closing.is_set()
            full = len(self._conversations) >= CONNECTION_LIMIT and not self._make_room_locked()
            if not (full or stopping):
                self._conversations.add(conversation)
        if full or stopping:
            text = "stops" if stopping else f"has its limit of {CONNECTION_LIMIT} connections"
            self._turn_away(conversation, f"The admin listener {text}.")
            return
        try:
            self._spawn(conversation.run, "pastepool admin connection")
        except RuntimeError as error:
            with self._lock:
                self._conversations.discard(conversation)
            self._turn_away(conversation, f"No thread can be started: {error}.")

    def _refuse(self, sock: socket.socket, address: str) -> None:
        """Refuse a client that is not admitted. This is logged once a minute, because clients decide how often."""
        now = self.clock.now()
        if now >= self._refusal_told_at + _TELL_EVERY:
            self._refusal_told_at = now
            _log.warning("%s: refused by the admin listener: admin_allow_from does not name it", printable(address))
        text = f"{address} is not let in. admin_allow_from says who is."
        with contextlib.suppress(OSError):
            sock.send(short_answer(403, text, self.date_header.joined() + _GUARDED))
        sock.close()

    def _make_room_locked(self) -> bool:
        """Hang up the connection that has waited longest. Returns whether there was one that waits."""
        oldest = min(self._conversations, key=lambda conversation: conversation.waiting_since)
        if oldest.waiting_since == float("inf"):
            return False
        self._conversations.discard(oldest)
        oldest.hang_up()
        return True

    def _turn_away(self, conversation: _Conversation, text: str) -> None:
        with contextlib.suppress(OSError):
            conversation.sock.send(short_answer(503, text, self.date_header.joined() + _GUARDED, retry_after=1))
        conversation.close()


def _is_complete(engine: Engine[_AdminCall]) -> bool:
    """
    Return whether a request is complete.

    This is a function because the type checker would take an earlier value of the attribute for the present one.
    """
    return engine.complete
