"""
Accept clients from the listening sockets, and pause when the process has no file descriptor left.

Runs on: the holder of the baton.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from pastepool._fast import fast
from pastepool.core.sharing import AT_ONCE
from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.sockets.listener import stop_listening
from pastepool.runtime.sockets.readiness import READ, Readiness
from pastepool.types import Clock, Seconds

_log = scribbled("pastepool.http")

_PAUSE_FOR: Seconds = 1.0

_OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})
_OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_NO_LISTENER = frozenset({errno.EBADF, errno.EINVAL, errno.ENOTSOCK, errno.EOPNOTSUPP})
"""
Another process that shares the listening socket has shut it down, or it is closed. Every further ``accept`` would fail
in the same way.
"""


_Socket: Any = socket.SocketType
_NOT_BLOCKING = socket.SOCK_STREAM | getattr(socket, "SOCK_NONBLOCK", 0)
"""A socket that is told so when it is made asks nobody whether it blocks."""


class Acceptor:
    """
    Listening sockets, each with the environ prototype of its clients.

    ``proxied``: by descriptor, in words the addresses of those whose clients begin with a header of the PROXY protocol.
    ``encrypted``: the descriptors of those whose clients speak TLS. ``shared``: other processes may serve on the same
    sockets, and go on when this one stops. ``left``: new clients are left to them now.
    """

    def __init__(
        self,
        listeners: list[tuple[socket.socket, dict[str, Any]]],
        clock: Clock,
        shared: bool = False,
        proxied: Mapping[int, str] = MappingProxyType({}),
        encrypted: Collection[int] = frozenset(),
    ) -> None:
        self.proxied = proxied
        self.encrypted = encrypted
        self.fds: dict[int, tuple[socket.socket, dict[str, Any]]] = {
            sock.fileno(): (sock, prototype) for sock, prototype in listeners
        }
        self._usual = frozenset(
            sock.fileno() for sock, _ in listeners if fast.accept_client is not None and sock.family == socket.AF_INET
        )
        self._clock = clock
        self._shared = shared
        self._resume_at = 0.0
        self._complained = False
        self.left = False
        self._watched = False
        self._readiness: Readiness

    def start(self, readiness: Readiness) -> None:
        """Register the listening sockets with the poller, which then reports new clients."""
        self._readiness = readiness
        self._watch()

    def _watch(self) -> None:
        """Register the listening sockets with the poller, or unregister them, as it should be now."""
        wanted = not self.paused and not self.left
        if wanted == self._watched:
            return
        self._watched = wanted
        for fd in self.fds:
            if wanted:
                self._readiness.register(fd, READ)
            else:
                self._readiness.unregister(fd)

    def leave(self, leaves: bool) -> None:
        """Leave new clients to the other processes that listen on the same sockets, or take them again."""
        if leaves != self.left:
            self.left = leaves
            self._watch()

    @property
    def paused(self) -> bool:
        """Whether accepting is paused because the process has no file descriptor left."""
        return self._resume_at > 0.0

    def accept(
        self, fd: int, make_room: Callable[[], bool] = lambda: False, most: float = AT_ONCE
    ) -> Iterator[tuple[socket.socket, Any, dict[str, Any]]]:
        """
        Yield new clients: socket, address and environ prototype.

        ``make_room``: called if the process has no descriptor left; closes a connection, and returns whether it did.
        ``most``: how many at most; infinity for all that the kernel has.
        """
        listener, prototype = self.fds[fd]
        take = _take_usual if fd in self._usual else _take_any
        accepted = 0
        while accepted < most:
            try:
                taken = take(listener)
            except OSError as error:
                if error.errno in _OUT_OF_DESCRIPTORS and make_room():
                    accepted += 1
                    continue
                if error.errno in _OUT_OF_RESOURCES:
                    self._pause(error)
                if error.errno in _OUT_OF_RESOURCES or error.errno in _NO_LISTENER:
                    return
                accepted += 1  # this client hung up after the kernel accepted it and before this call
                continue
            if taken is None:
                return
            accepted += 1
            yield *taken, prototype

    def _pause(self, error: OSError) -> None:
        """
        Stop accepting for ``_PAUSE_FOR`` seconds.

        The listening sockets stay ready meanwhile. If they stayed registered, the poller would report them again and
        again and use a whole processor.
        """
        if not self._complained:
            self._complained = True
            _log.error(
                "Clients have to wait: %s. Raise the limit on open files (ulimit -n, LimitNOFILE=), or lower "
                "connection_limit.",
                error.strerror,
            )
        self._resume_at = self._clock.now() + _PAUSE_FOR
        self._watch()

    def resume(self, now: Seconds) -> None:
        """Accept again if the pause is over."""
        if self.paused and now >= self._resume_at:
            self._resume_at = 0.0
            self._watch()

    def close(self) -> None:
        """Accept no more. May be called twice."""
        for fd, (sock, _) in self.fds.items():
            try:
                self._readiness.unregister(fd)  # closing is not enough if a parent or child process shares the socket
            except OSError:
                pass  # unregistered already by a pause, or closed by other code
            stop_listening(sock, self._shared)
        self.fds.clear()
        self._resume_at = 0.0


def _take_any(listener: socket.socket) -> tuple[socket.socket, Any] | None:
    """Accept a client. Returns its socket, which does not block, and its address; None if nobody waits. Raises: OSError."""
    try:
        sock, address = listener.accept()
    except (BlockingIOError, InterruptedError):
        return None
    sock.setblocking(False)
    return sock, address


def _take_usual(listener: socket.socket) -> tuple[socket.socket, Any] | None:
    """
    Do the same for a listener for IPv4, with fewer system calls: the kernel makes a socket that does not block.

    The socket is of the type below ``socket.socket``, which finds out nothing about itself. Each ``socket.socket`` asks for
    its family and type by way of two enumerations, and that takes longer than the system call.
    """
    found = fast.accept_client(listener)  # type: ignore[misc]
    if isinstance(found, int):
        if found == errno.EAGAIN:
            return None
        raise OSError(found, os.strerror(found))
    fd, host, port = found
    try:
        return _Socket(socket.AF_INET, _NOT_BLOCKING, 0, fd), (host, port)
    except (OSError, MemoryError):
        os.close(fd)
        raise
