"""
Answer 503 to clients that have waited while no worker serves.

The clients wait in the kernel's queues, which belong to the workers. While one of them is ready this module takes nothing.
The kernel says how many wait in a queue of TCP, so each client is left there until it has waited ``PATIENCE``. It does not
say that of a unix socket: there those who came later are answered together with the first.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from pastepool.errors import SettingsError
from pastepool.http1.proxy_protocol import BadProxyHeader, read_proxy_header
from pastepool.http1.response import short_answer
from pastepool.runtime.http.date_header import DateHeader
from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.sockets.listener import Listener
from pastepool.runtime.sockets.tls_context import TlsContext, make_context
from pastepool.settings.place import SettingsPlace
from pastepool.settings.values import Settings
from pastepool.types import Clock, Seconds, Spawner

PATIENCE: Seconds = 5.0
"""How long a client waits for a worker before it is answered."""

LOOK_EVERY: Seconds = 0.25
AT_ONCE = 32
"""How many clients are answered at once, each on a thread. Others stay in the queue until one of them has its answer."""

_REQUEST_WITHIN: Seconds = 3.0
"""How long a client may take for the head of its request. It has been sent long ago, as a rule."""

_CLOSES_WITHIN: Seconds = 1.0
"""
How long the client's end of the connection is waited for. If it were closed with bytes of the client unread, the kernel
would reset it, and the client could lose the answer.
"""

_PEEK_EVERY: Seconds = 0.05
_HEAD = 16384
_LINGERED = 1 << 20
_QUEUE_LENGTH = struct.Struct("=24xI")
"""``tcpi_unacked`` of ``struct tcp_info``: for a listening socket the number of connections that wait (Linux)."""

_log = scribbled("pastepool")


class _Queue:
    """
    The kernel's queue of one listener. ``_seen``: how many had come by each of the last looks, the ones taken included.
    """

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self._taken = 0
        self._seen: deque[tuple[Seconds, int]] = deque()

    def forget(self) -> None:
        """Nobody is waited for any more."""
        self._taken = 0
        self._seen.clear()

    def due(self, now: Seconds) -> int:
        """Return how many have waited long enough."""
        length = _length_of(self.listener.socket)
        if not length:
            self.forget()
            return 0
        self._seen.append((now, self._taken + length))
        while len(self._seen) > 1 and self._seen[1][0] <= now - PATIENCE:
            self._seen.popleft()
        first_at, count = self._seen[0]
        return min(length, max(0, count - self._taken)) if first_at <= now - PATIENCE else 0

    def take(self) -> socket.socket | None:
        """Accept the first; None if nobody is there."""
        try:
            sock, _ = self.listener.socket.accept()
        except OSError:
            return None
        self._taken += 1
        return sock


def _length_of(sock: socket.socket) -> int:
    """Return how many clients wait in a queue; ``AT_ONCE`` if there are any and the system does not say how many."""
    if sock.family in (socket.AF_INET, socket.AF_INET6) and hasattr(socket, "TCP_INFO"):
        return int(_QUEUE_LENGTH.unpack(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _QUEUE_LENGTH.size))[0])
    return AT_ONCE if select.select([sock], [], [], 0)[0] else 0


class Deputy:
    """
    Answers on the sockets of the workers.

    ``is_needed``: says whether no worker serves, and the server does not stop either.
    """

    def __init__(
        self,
        listeners: Sequence[Listener],
        settings: Settings,
        is_needed: Callable[[], bool],
        clock: Clock,
        spawn: Spawner,
    ) -> None:
        self._queues = [_Queue(listener) for listener in listeners]
        self._settings = settings
        self._is_needed = is_needed
        self._clock = clock
        self._spawn = spawn
        self._stamp = DateHeader(settings.server_header)
        self._threads = threading.BoundedSemaphore(AT_ONCE)
        self._closing = threading.Event()
        self._finished = threading.Event()
        self._tls: TlsContext | None = None

    def start(self) -> None:
        """Look after the queues from now on. Raises: NoThread."""
        self._spawn(self._run, "pastepool deputy")

    def close(self, wait: Seconds) -> None:
        """Take no more clients, and wait at most ``wait`` seconds until that is so."""
        self._closing.set()
        self._finished.wait(wait)

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                self.look()
                self._closing.wait(LOOK_EVERY)
        except Exception:
            _log.critical("nobody answers clients when no worker serves; the rest goes on", exc_info=True)
        finally:
            self._finished.set()

    def look(self) -> None:
        """Answer those that have waited long enough."""
        for queue in self._queues:
            if not self._is_needed():
                queue.forget()
                continue
            for _ in range(queue.due(self._clock.now())):
                if not self._is_needed() or not self._threads.acquire(blocking=False):
                    break
                if not self._begin(queue):
                    break

    def _begin(self, queue: _Queue) -> bool:
        """Take one client, for whom a thread is free. Returns whether there was one."""
        sock = queue.take()
        if sock is None:
            self._threads.release()
            return False
        try:
            self._spawn(lambda: self._serve(sock, queue.listener), "pastepool deputy answer")
        except RuntimeError:  # no thread is left
            sock.close()
            self._threads.release()
        return True

    def _serve(self, sock: socket.socket, listener: Listener) -> None:
        try:
            with contextlib.suppress(OSError, BadProxyHeader, SettingsError):  # the client has gone, or is none of ours
                self._answer(sock, listener)
        finally:
            sock.close()
            self._threads.release()

    def _answer(self, sock: socket.socket, listener: Listener) -> None:
        sock.settimeout(_REQUEST_WITHIN)
        if listener.endpoint.proxy and not _skip_proxy_header(sock):
            return
        if listener.endpoint.tls:
            sock = self._encrypted(sock)
        try:
            head = _head_of(sock)
            if head:
                sock.sendall(self._text(head))
                _linger(sock)
        finally:
            sock.close()

    def _text(self, head: bytes) -> bytes:
        retry = self._settings.overload.retry_after
        text = "The service starts, and cannot answer yet. Please try again."
        only = head.startswith(b"HEAD ")
        return short_answer(503, text, self._stamp.joined(), retry_after=retry, head_only=only)

    def _encrypted(self, sock: socket.socket) -> socket.socket:
        """Do the handshake of TLS. Raises: OSError: it fails. SettingsError: the certificate cannot be used now."""
        if self._tls is None:
            place = SettingsPlace(self._settings.section, self._settings.config_file)
            self._tls = make_context(self._settings.tls, place)
        return self._tls.context.wrap_socket(sock, server_side=True)


def _skip_proxy_header(sock: socket.socket) -> bool:
    """Read a header of the PROXY protocol and not one byte more. Returns whether it came in time."""
    for _ in range(round(_REQUEST_WITHIN / _PEEK_EVERY)):
        source = read_proxy_header(sock.recv(_HEAD, socket.MSG_PEEK))
        if source is not None:
            return len(sock.recv(source.size)) == source.size
        time.sleep(_PEEK_EVERY)  # what is left there makes the socket readable, so no event tells of more
    return False


def _head_of(sock: socket.socket) -> bytes:
    """Return what a client has sent up to the end of the head of its request; empty if that does not come."""
    data = b""
    while b"\r\n\r\n" not in data and len(data) < _HEAD:
        more = sock.recv(_HEAD)
        if not more:
            return b""
        data += more
    return data


def _linger(sock: socket.socket) -> None:
    """Say that nothing follows, and read what the client still sends, up to its end."""
    sock.settimeout(_CLOSES_WITHIN)
    sock.shutdown(socket.SHUT_WR)
    left = _LINGERED
    while left > 0 and (data := sock.recv(65536)):
        left -= len(data)
