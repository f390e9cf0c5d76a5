"""
Accepting clients: from listening sockets to client sockets, and what to do when the process has no file descriptor
left.

Runs on: baton.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from typing import Any

from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.sockets.readiness import READ, Readiness
from pastepool.types import Clock, Seconds

_log = scribbled("pastepool.http")

_AT_ONCE = 64
"""Clients accepted per event, so that a flood of them does not starve those who are in already. Nothing derives it."""

_PAUSE_FOR: Seconds = 1.0

_OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_NO_LISTENER = frozenset({errno.EBADF, errno.EINVAL, errno.ENOTSOCK, errno.EOPNOTSUPP})
"""Whoever shares the listening socket has shut it down: asking again would answer the same for ever."""


class Acceptor:
    """Listening sockets, each with the environ prototype of its clients."""

    def __init__(self, listeners: list[tuple[socket.socket, dict[str, Any]]], clock: Clock) -> None:
        self.fds: dict[int, tuple[socket.socket, dict[str, Any]]] = {
            sock.fileno(): (sock, prototype) for sock, prototype in listeners
        }
        self._clock = clock
        self._resume_at = 0.0
        self._complained = False
        self._readiness: Readiness

    def start(self, readiness: Readiness) -> None:
        """Begin to be told of clients."""
        self._readiness = readiness
        for fd in self.fds:
            readiness.register(fd, READ)

    @property
    def paused(self) -> bool:
        """Whether accepting rests because the process is out of descriptors."""
        return self._resume_at > 0.0

    def accept(self, fd: int, everything: bool = False) -> Iterator[tuple[socket.socket, Any, dict[str, Any]]]:
        """Yield new clients with their address and environ prototype. ``everything``: until the kernel has no more."""
        listener, prototype = self.fds[fd]
        accepted = 0
        while everything or accepted < _AT_ONCE:
            try:
                sock, address = listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _OUT_OF_RESOURCES:
                    self._pause(error)
                if error.errno in _OUT_OF_RESOURCES or error.errno in _NO_LISTENER:
                    return
                accepted += 1  # this client broke off between the kernel's accept and ours
                continue
            sock.setblocking(False)
            accepted += 1
            yield sock, address, prototype

    def _pause(self, error: OSError) -> None:
        """Stop listening to the listeners for a moment: they stay ready, and asking again at once would only spin."""
        if not self._complained:
            self._complained = True
            _log.error(
                "Clients have to wait: %s. Raise the limit on open files (ulimit -n, LimitNOFILE=), or lower "
                "connection_limit.",
                error.strerror,
            )
        if not self.paused:
            for fd in self.fds:
                self._readiness.unregister(fd)
        self._resume_at = self._clock.now() + _PAUSE_FOR

    def resume(self, now: Seconds) -> None:
        """Listen again if a pause is over."""
        if self.paused and now >= self._resume_at:
            self._resume_at = 0.0
            for fd in self.fds:
                self._readiness.register(fd, READ)

    def close(self) -> None:
        """Accept no more. May be called twice."""
        for fd, (sock, _) in self.fds.items():
            try:
                self._readiness.unregister(fd)  # closing is not enough where a parent or a child has the socket too
            except OSError:
                pass  # a pause has done so already, or somebody else has closed it
            sock.close()
        self.fds.clear()
        self._resume_at = 0.0
