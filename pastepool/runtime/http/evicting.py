"""
Close connections to make room for new clients: those that only wait, the one that has waited longest first.

Runs on: baton.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable

from pastepool.core.deadlines import waiting_since
from pastepool.core.policy import Timeouts
from pastepool.runtime.http.connection import BODY, HEAD, NEXT, READER, WORKER, Connection
from pastepool.runtime.http.open_connections import OpenConnections
from pastepool.types import Clock, Seconds

_AT_ONCE = 256
"""
How many connections are chosen in one look at all of them. A look at 10,000 takes some milliseconds, so it must not be
made for each new client.
"""

_PAUSE_FOR_EACH: Seconds = 5e-6
"""
How long after a look that found nothing the next one is made, for each connection. A look takes a tenth of that, so a
crowd of clients for which there is no room costs no more than a tenth of a processor.
"""


class Evicting:
    """
    Chooses the connection that has to go. ``drop``: closes it.

    A connection may go while no worker has it: while it waits for its next request, is silent, or has sent only a part
    of a request. A client that does not read its response goes only if there is no other.
    """

    def __init__(
        self, connections: OpenConnections, timeouts: Timeouts, clock: Clock, drop: Callable[[Connection], None]
    ) -> None:
        self._connections = connections
        self._now = clock.now
        self._drop = drop
        self._timeout_of = {
            NEXT: timeouts.keep_alive,
            HEAD: timeouts.header,
            BODY: timeouts.body,
        }
        self._victims: deque[tuple[Connection, Seconds]] = deque()
        self._look_at = -math.inf

    def make_room(self) -> bool:
        """Close one connection. Returns whether there was one that may go."""
        if self._drop_next():
            return True
        now = self._now()
        if now < self._look_at:
            return False
        waiting = [each for each in list(self._connections.by_fd.values()) if each.waiting is not WORKER]
        chosen = heapq.nsmallest(_AT_ONCE, waiting, key=lambda each: (each.waiting is READER, self._since(each)))
        self._victims.extend((each, self._since(each)) for each in chosen)
        if self._drop_next():
            return True
        self._look_at = now + _PAUSE_FOR_EACH * len(self._connections.by_fd)
        return False

    def _drop_next(self) -> bool:
        """Close the next chosen connection that still waits for the same thing as when it was chosen."""
        while self._victims:
            victim, since = self._victims.popleft()
            if victim.closed or victim.waiting is WORKER or self._since(victim) != since:
                continue
            if victim.between_requests and victim.has_input():
                continue  # it has sent something that the poll has not come to yet
            self._drop(victim)
            return True
        return False

    def _since(self, connection: Connection) -> Seconds:
        """Say since when a client has been waited for, or when it last read something."""
        output = connection.output
        if connection.waiting is READER and output is not None:
            return output.moved_at  # its deadline is only that of the next look at how far it has come
        timeout = self._timeout_of.get(connection.waiting, 0.0)
        return waiting_since(connection.deadline, timeout, connection.began_at)
