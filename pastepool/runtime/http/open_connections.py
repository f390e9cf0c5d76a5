"""
Keep the table of open connections by descriptor: add, watch and close them. Only this module closes a connection.

Any thread may close a connection. Only the baton's holder may add one or change what it is watched for.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from pastepool.runtime.http.connection import BODY, HEAD, READER, Connection
from pastepool.runtime.sockets.readiness import Readiness, forgets_what_is_closed
from pastepool.runtime.system import forks


class OpenConnections:
    """
    The table of open connections.

    ``by_fd``: connections by descriptor. Only this class writes it; each single operation on it is atomic. ``limit``:
    how many there may be; 0 for no limit. ``limit_per_address``: the same for one address.
    """

    def __init__(self, limit: int = 0, limit_per_address: int = 0) -> None:
        self.by_fd: dict[int, Connection] = {}
        self.limit = limit
        self.limit_per_address = limit_per_address
        self._by_address: Counter[str] = Counter()
        self._readiness: Readiness
        self._forks_before = -1
        self._closing = threading.Lock()
        self._when_empty: Callable[[], None] | None = None

    def lower_limit(self, limit: int) -> None:
        """Allow fewer connections, because the process may open too few files. Call this before ``start``."""
        self.limit = limit

    def start(self, readiness: Readiness) -> None:
        """Take the object that watches connections. Call this in the process that will serve."""
        self._readiness = readiness
        self._forks_before = forks.begun() if forgets_what_is_closed(readiness) else -1

    def enter(self, connection: Connection) -> None:
        """Add a new connection, and watch it for its mask ``watched``. Runs on: baton."""
        self.by_fd[connection.fd] = connection
        self._readiness.register(connection.fd, connection.watched)
        if self.limit_per_address:
            with self._closing:
                self._by_address[connection.peer] += 1

    def are_too_many_from(self, address: str) -> bool:
        """Say whether an address has its limit of connections. A client on a Unix socket has no address."""
        most = self.limit_per_address
        return bool(most and address and self._by_address[address] >= most)

    def watch(self, connection: Connection, mask: int) -> None:
        """Change the mask for which a connection is watched. Runs on: baton."""
        before = connection.watched
        connection.watched = mask
        if before == 0:
            self._readiness.register(connection.fd, mask)  # a half-closed client, which may still wait for its response
        elif before != mask:
            self._readiness.modify(connection.fd, mask)

    def unwatch(self, connection: Connection) -> None:
        """Stop watching a connection whose client has hung up: the poll would report it for ever. Runs on: baton."""
        connection.watched = 0
        self._readiness.unregister(connection.fd)

    def close(self, connection: Connection) -> None:
        """
        Close a connection. May be called twice, from any thread.

        Once the process was forked, another process may have the socket too. Then to close it neither ends the connection
        nor stops the poll from reporting it. So both is done before, which takes two system calls more.

        The race that is left: 1. this thread asks whether there was a fork; 2. another thread makes the first one; 3. the
        socket is closed here. The child does not know that it has a copy, and the client sees no end until the child ends.
        Nothing here releases the GIL between 1 and the system call of 3, so it takes a switch that the interpreter forces
        within a microsecond of the first fork.
        """
        maybe_shared = forks.begun() != self._forks_before
        # Take the connection out of the table before closing its socket: once the socket is closed, the kernel may give
        # its number to the next client. If two threads close the same connection, the second must not take out that
        # next client. So there is a lock.
        with self._closing:
            if self.by_fd.get(connection.fd) is connection:
                connection.closed = True
                del self.by_fd[connection.fd]
                if maybe_shared:
                    self._forget(connection)
                if self.limit_per_address:
                    self._leave(connection.peer)
        connection.close(maybe_shared)
        if self._when_empty is not None and not self.by_fd:
            self._when_empty()

    def _leave(self, address: str) -> None:
        self._by_address[address] -= 1
        if self._by_address[address] <= 0:
            del self._by_address[address]

    def _forget(self, connection: Connection) -> None:
        """Stop watching a connection."""
        if connection.watched:
            try:
                self._readiness.unregister(connection.fd)
            except OSError:
                pass  # the baton's holder has just done so

    def close_all(self) -> None:
        """Close every connection, without a call of ``when_empty``'s function. Runs on: baton."""
        self._when_empty = None
        for connection in list(self.by_fd.values()):
            self.close(connection)

    def in_child(self, forked_by: object | None) -> None:
        """
        Close this process's copies of all sockets and files: the process is a child of the one that serves.

        ``forked_by``: the request in which the application forked. Its content stays open for the application. Takes no
        lock. Runs on: the only thread of the child.
        """
        self._when_empty = None
        self._closing = threading.Lock()
        for connection in self.by_fd.values():
            connection.in_child()
            owner = connection.owner
            if owner is not None and owner is not forked_by:
                owner.in_child()
        self.by_fd.clear()

    def count_idle(self) -> int:
        """Return on how many connections no request has begun. Runs on: baton."""
        return sum(connection.between_requests for connection in list(self.by_fd.values()))

    def count_transfers(self) -> int:
        """Return how many clients send a request or read a response that no worker has any more. Runs on: baton."""
        there = list(self.by_fd.values())
        return sum(each.waiting in (HEAD, BODY, READER) and not each.between_requests for each in there)

    def when_empty(self, tell: Callable[[], None]) -> None:
        """Have ``tell`` called when no connection is left; at once if there is none. Runs on: any thread."""
        self._when_empty = tell
        if not self.by_fd:
            tell()
