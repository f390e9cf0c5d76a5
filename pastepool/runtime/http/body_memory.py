"""Bound the memory that the contents of requests take, for each of them and for all together."""

from __future__ import annotations

from collections import deque

from pastepool.runtime.http.spool_room import SpoolRoom


class BodyMemory:
    """
    Counts the bytes of content that are in memory.

    ``each``: the most bytes that the content of one request may keep in memory. ``total``: the most for all of them.
    ``spool_room``: bounds the bytes that are in temporary files instead. There is no lock: only the baton's holder takes,
    and what workers give back waits in a deque until it is counted.
    """

    __slots__ = ("each", "total", "spool_room", "_taken", "_returned")

    def __init__(self, each: int, total: int, spool_room: SpoolRoom) -> None:
        self.each = each
        self.total = total
        self.spool_room = spool_room
        self._taken = 0
        self._returned: deque[int] = deque()

    def take(self, size: int) -> bool:
        """Take ``size`` bytes. Returns False, and takes nothing, if that would be too much. Runs on: baton."""
        if self._taken + size > self.total:
            self._settle()
            if self._taken + size > self.total:
                return False
        self._taken += size
        return True

    def give_back(self, size: int) -> None:
        """Give bytes back. Runs on: any thread."""
        self._returned.append(size)

    @property
    def taken(self) -> int:
        """How many bytes are in memory now. Runs on: baton."""
        self._settle()
        return self._taken

    def _settle(self) -> None:
        returned = self._returned
        while returned:
            self._taken -= returned.popleft()
