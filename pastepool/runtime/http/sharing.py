"""
Share new clients with the other processes that serve on the same listening sockets (``core.sharing`` decides).

Runs on: baton.
"""

from __future__ import annotations

import math
from typing import Protocol

from pastepool.core.sharing import LONGEST_WAIT, clients_to_take, room_for_clients
from pastepool.runtime.http.connection import HEAD, Connection
from pastepool.runtime.sockets.acceptor import Acceptor
from pastepool.runtime.sockets.siblings import Siblings
from pastepool.types import Clock, Seconds


class Workers(Protocol):
    """The workers of this process, for those who share clients: see ``runtime.pool.baton``."""

    def free_count(self) -> int: ...
    def want_workers(self, wanted: bool) -> None: ...


class Sharing:
    """
    Says how many new clients to take, and takes the listeners out of the poll while others should have them.

    While it does so it looks again every ``LONGEST_WAIT``, and at once when a worker of this process becomes free.
    """

    def __init__(self, siblings: Siblings, acceptor: Acceptor, workers: Workers, clock: Clock) -> None:
        self._siblings = siblings
        self._acceptor = acceptor
        self._workers = workers
        self._now = clock.now
        self._new: list[Connection] = []
        self._look_at = 0.0
        self._waited = False

    def note(self, connection: Connection) -> None:
        """Note a new client, whose first request will need a worker."""
        self._new.append(connection)

    def _room(self) -> int:
        self._new = [each for each in self._new if each.waiting is HEAD and not each.closed]
        return room_for_clients(self._workers.free_count(), len(self._new))

    def clients_to_take(self) -> int:
        """Return how many new clients to take now, because there are some. If it is none, leave them to the others."""
        room = self._room()
        count = clients_to_take(room, room <= 0 and self._siblings.have_room(), self._waited)
        self._waited = False
        if not count:
            self._acceptor.leave(True)
            self._look_at = self._now() + LONGEST_WAIT
        return count

    def look(self, now: Seconds) -> Seconds:
        """
        Show the others the room there is, and watch the listeners again if new clients are not theirs any more.

        Called before each poll. Returns: when to look again, at the latest; infinity if the listeners are watched.
        """
        room = self._room()
        self._siblings.note_room(room)
        self._workers.want_workers(room <= 0)
        if not self._acceptor.left:
            return math.inf
        if room <= 0:
            if now < self._look_at:
                return self._look_at
            if self._siblings.have_room():
                self._look_at = now + LONGEST_WAIT
                return self._look_at
            self._waited = True
        self._acceptor.leave(False)
        return math.inf
