"""
The open connections by descriptor: who is in, what each is watched for, who has to go, and the one place that closes.

Removal and closing may be asked for on any thread; entering and watching are the baton's holder's alone.
"""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Callable

from pastepool.runtime.http.connection import HEAD, NEXT, Connection
from pastepool.runtime.sockets.readiness import Readiness

_LOOK_FOR_VICTIM_AMONG = 256
"""How many connections are looked at, the oldest first, for one that may be closed. Nothing derives it."""


class OpenConnections:
    """``by_fd``: the table; written here only, its single operations are atomic."""

    def __init__(self) -> None:
        self.by_fd: dict[int, Connection] = {}
        self._readiness: Readiness
        self._closing = threading.Lock()
        self._when_empty: Callable[[], None] | None = None

    def start(self, readiness: Readiness) -> None:
        """Take what connections are watched with, in the process that will serve."""
        self._readiness = readiness

    def enter(self, connection: Connection) -> None:
        """Add a new client, and watch it for what ``watched`` says. Runs on: baton."""
        self.by_fd[connection.fd] = connection
        self._readiness.register(connection.fd, connection.watched)

    def watch(self, connection: Connection, mask: int) -> None:
        """Watch a connection for something else. Runs on: baton."""
        before = connection.watched
        connection.watched = mask
        if before == 0:
            self._readiness.register(connection.fd, mask)  # a half-closed client, which may still want its answer
        elif before != mask:
            self._readiness.modify(connection.fd, mask)

    def unwatch(self, connection: Connection) -> None:
        """Watch a connection no more: it has hung up, and would be ready for ever. Runs on: baton."""
        connection.watched = 0
        self._readiness.unregister(connection.fd)

    def close(self, connection: Connection) -> None:
        """Close a connection. May be called twice, from any thread."""
        # Out of the table before the socket is closed: the kernel may give its number to the next client at once. Of
        # two threads that both come here one must not take out that next client, hence the lock.
        with self._closing:
            if self.by_fd.get(connection.fd) is connection:
                connection.closed = True
                del self.by_fd[connection.fd]
                self._forget(connection)
        connection.close()
        if self._when_empty is not None and not self.by_fd:
            self._when_empty()

    def _forget(self, connection: Connection) -> None:
        """Closing alone does only where nobody else has the socket; a child process may, if the application forks."""
        if connection.watched:
            try:
                self._readiness.unregister(connection.fd)
            except OSError:
                pass  # the holder was about to do so

    def close_all(self) -> None:
        """Close everything that is still open, and tell nobody. Runs on: baton."""
        self._when_empty = None
        for connection in list(self.by_fd.values()):
            self.close(connection)

    def close_one_waiting(self) -> bool:
        """
        Close one connection that only waits for a next request, the oldest first, to make room for a new client.
        """
        for connection in itertools.islice(self.by_fd.values(), _LOOK_FOR_VICTIM_AMONG):
            if connection.waiting is NEXT:
                self.close(connection)
                return True
        return False

    def close_unused(self) -> None:
        """Close connections on which no request has begun."""
        for connection in list(self.by_fd.values()):
            unused = connection.waiting in (NEXT, HEAD) and not connection.engine.started
            if unused and not _has_input(connection):
                self.close(connection)

    def when_empty(self, tell: Callable[[], None]) -> None:
        """Have ``tell`` called, on any thread, when no connection is left."""
        self._when_empty = tell
        if not self.by_fd:
            tell()


def _has_input(connection: Connection) -> bool:
    try:
        return bool(connection.sock.recv(1, socket.MSG_PEEK))
    except OSError:
        return False
