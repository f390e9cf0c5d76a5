"""
Deadlines of connections, and the end of those a draining server still has.

All connections are looked at, some times a second at most: ten thousand cost a millisecond, and a request pays for its
deadlines with two stores instead of a place in an ordered queue.

Runs on: baton.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from pastepool.core.policy import Timeouts
from pastepool.errors import PeerError
from pastepool.runtime.http.connection import BODY, HEAD, WORKER, Connection
from pastepool.runtime.http.open_connections import OpenConnections
from pastepool.types import Seconds

_DRAIN_EVERY: Seconds = 0.05
"""How often a drain looks whether it is over: often, because people wait for it. Nothing derives it."""


class Sweeper:
    """
    Finds who is late.

    ``next_at``: when to sweep next; infinity while there is nothing to sweep. ``end``: told of each connection whose
    client has to be refused, and why.
    """

    def __init__(
        self, timeouts: Timeouts, connections: OpenConnections, end: Callable[[Connection, Exception], None]
    ) -> None:
        self.next_at: Seconds = 0.0
        self._timeouts = timeouts
        self._connections = connections
        self._end = end
        self._every = _interval(timeouts)
        self._drain_until: Seconds = math.inf
        self._draining = False

    def soon(self, now: Seconds) -> None:
        """Something to sweep has come."""
        self.next_at = min(self.next_at, now + self._every)

    def sweep(self, now: Seconds, more: bool) -> None:
        """Act on every deadline that has passed. ``more``: whether to come back even if no connection is left."""
        everybody = self._connections.by_fd
        for connection in [each for each in list(everybody.values()) if each.deadline <= now]:
            self._too_late(connection)
        if self._draining:
            self._sweep_drain(now)
        self.next_at = now + self._every if everybody or more else math.inf

    def _too_late(self, connection: Connection) -> None:
        waiting = connection.waiting
        if connection.closed:
            return
        if waiting is HEAD and connection.engine.started:
            text = f"The request's head took longer than {self._timeouts.header:g} seconds."
            self._end(connection, PeerError(408, text))
        elif waiting is BODY:
            self._end(connection, PeerError(408, "The request's content came too slowly."))
        else:
            self._connections.close(connection)

    def drain(self, until: Seconds) -> None:
        """
        Close unused connections as they become so. ``until``: when those that only send or read slowly have had their
        time; requests that workers run are left alone.
        """
        self._draining = True
        self._drain_until = until
        self._every = min(self._every, _DRAIN_EVERY)
        self.next_at = 0.0

    def _sweep_drain(self, now: Seconds) -> None:
        """Close what a worker gave back just after ``close_unused`` had looked; at the end all that no worker has."""
        self._connections.close_unused()
        if now < self._drain_until:
            return
        for connection in list(self._connections.by_fd.values()):
            if connection.waiting is HEAD or connection.waiting is BODY:
                self._end(connection, PeerError(503, "The server is stopping."))
            elif connection.waiting is not WORKER:
                self._connections.close(connection)


def _interval(timeouts: Timeouts) -> Seconds:
    """A fifth of the shortest timeout, so that none is late by more than that; within 0.02 and 1 second."""
    used = [value for value in (timeouts.header, timeouts.body, timeouts.keep_alive, timeouts.send) if value]
    return min(1.0, max(0.02, min(used, default=5.0) / 5))
