"""
Act on the deadlines of connections, and close the remaining connections of a draining server.

The sweeper looks at all connections, at most some times a second. Ten thousand connections cost a millisecond. In
return a request stores two values for its deadlines and needs no place in an ordered queue.

Runs on: baton.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from pastepool.core.policy import Timeouts
from pastepool.errors import PeerError
from pastepool.runtime.http.connection import BODY, HEAD, NEXT, READER, WORKER, Connection
from pastepool.runtime.http.open_connections import OpenConnections
from pastepool.types import Seconds

_DRAIN_EVERY: Seconds = 0.05
"""How often the sweeper looks during a drain. It looks often, because people wait for the end of a drain."""


class Sweeper:
    """
    Finds connections whose deadline has passed, and ends them.

    ``next_at``: when to sweep next; infinity while there is nothing to sweep. ``end``: called with each connection
    whose client must get an error response, and with the error. ``reader_is_late``: says whether a client has stopped
    reading its response; if not, it sets a new deadline.
    """

    def __init__(
        self,
        timeouts: Timeouts,
        connections: OpenConnections,
        end: Callable[[Connection, Exception], None],
        reader_is_late: Callable[[Connection, Seconds], bool],
    ) -> None:
        self.next_at: Seconds = 0.0
        self._timeouts = timeouts
        self._connections = connections
        self._end = end
        self._reader_is_late = reader_is_late
        self._every = _interval(timeouts)
        self._drain_until: Seconds = math.inf
        self._draining = False

    def soon(self, now: Seconds) -> None:
        """Sweep at the next interval at the latest, because there is something to sweep now."""
        self.next_at = min(self.next_at, now + self._every)

    def sweep(self, now: Seconds, more: bool) -> None:
        """Act on every deadline that has passed. ``more``: whether to sweep again even if no connection is left."""
        everybody = self._connections.by_fd
        if self._draining:
            self._limit_idle(now)
        for connection in [each for each in list(everybody.values()) if each.deadline <= now]:
            self._too_late(connection, now)
        if now >= self._drain_until:
            self._end_transfers()
        self.next_at = now + self._every if everybody or more else math.inf

    def _too_late(self, connection: Connection, now: Seconds) -> None:
        waiting = connection.waiting
        if connection.closed:
            return
        if waiting is HEAD and connection.engine.started:
            text = f"The request's head took longer than {self._timeouts.header:g} seconds."
            self._end(connection, PeerError(408, text))
        elif waiting is BODY:
            self._end(connection, PeerError(408, "The request's content came too slowly."))
        elif connection.between_requests and connection.has_input():
            pass  # its next request has come just now, and the poll that follows this sweep reports it
        elif waiting is not READER or self._reader_is_late(connection, now):
            self._connections.close(connection)

    def drain(self, until: Seconds) -> None:
        """
        Begin a drain: close each connection that is unused for ``idle_grace``.

        ``until``: when all connections that no worker has are closed, also those of clients that send or read slowly.
        Requests that workers run go on.
        """
        self._draining = True
        self._drain_until = until
        self._every = min(self._every, _DRAIN_EVERY)
        self.next_at = 0.0

    def _limit_idle(self, now: Seconds) -> None:
        """
        Let each connection on which no request has begun wait for one until ``idle_grace`` from now, and no longer.

        This counts from the first sweep that finds it so. A worker may have told the client just before the drain that
        the connection stays open, and give it back during the drain: the next request may be on its way then too.
        """
        until = min(now + self._timeouts.idle_grace, self._drain_until)
        for connection in list(self._connections.by_fd.values()):
            if connection.deadline > until and connection.between_requests:
                connection.deadline = until
                connection.waiting = NEXT  # so a first request too has all of ``header_timeout`` from its first byte on

    def _end_transfers(self) -> None:
        """Close each connection that no worker has."""
        for connection in list(self._connections.by_fd.values()):
            if connection.waiting is HEAD or connection.waiting is BODY:
                self._end(connection, PeerError(503, "The server is stopping."))
            elif connection.waiting is not WORKER:
                self._connections.close(connection)


def _interval(timeouts: Timeouts) -> Seconds:
    """
    Return the seconds between two sweeps: a fifth of the shortest timeout, but at least 0.02 and at most 1.

    So no deadline is acted on later than that.
    """
    used = [value for value in (timeouts.header, timeouts.body, timeouts.keep_alive, timeouts.send) if value]
    return min(1.0, max(0.02, min(used, default=5.0) / 5))
