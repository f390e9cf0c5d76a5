"""
The board: what each worker shows of itself in memory that all processes share.

A row has a few numbers, each written whole by the worker alone and read by anybody, also while the worker stands still.
The parent gives each worker a row, and clears it when the worker has ended.
"""

from __future__ import annotations

import mmap
import time

_ROWS = 4096
"""More than twice the largest number of processes. Memory that is never touched costs nothing."""

_WIDTH = 8
_BEAT, _ROOM, _DRAINS, _REQUESTS, _RUNNING = range(_WIDTH - 3)

FRESH = 1.0
"""A worker whose beat is older may stand still: nobody leaves clients to it."""


class BoardRow:
    """One worker's row. The instants are those of ``time.monotonic``, which all processes share on Linux."""

    def __init__(self, board: Board, number: int) -> None:
        self.number = number
        self._board = board
        self._cells = board.cells
        self._at = _WIDTH * number

    def beat(self, requests: int, running: int) -> None:
        """Show that the worker lives, how many requests it has had, and how many run. Runs on: the thread of beats."""
        cells, at = self._cells, self._at
        cells[at + _REQUESTS] = requests
        cells[at + _RUNNING] = running
        cells[at + _BEAT] = time.monotonic()

    @property
    def figures(self) -> tuple[float, int, int]:
        """Return when the last beat was, how many requests there were, and how many run."""
        cells, at = self._cells, self._at
        return cells[at + _BEAT], int(cells[at + _REQUESTS]), int(cells[at + _RUNNING])

    def clear(self) -> None:
        """Forget what the worker has shown: it has ended. Runs on: the parent."""
        self._cells[self._at : self._at + _WIDTH] = self._board.nothing
        self._board.taken.discard(self.number)

    # What one of several servers asks of the others (``runtime.sockets.siblings``). Runs on: baton.

    def have_room(self) -> bool:
        """Say whether another worker has room for a client and is not stuck."""
        cells, since = self._cells, time.monotonic() - FRESH
        for at in range(0, _WIDTH * self._board.used(), _WIDTH):
            if cells[at + _ROOM] > 0 and cells[at + _BEAT] > since and not cells[at + _DRAINS] and at != self._at:
                return True
        return False

    def note_room(self, room: int) -> None:
        """Show for how many clients there is room."""
        self._cells[self._at + _ROOM] = room

    def go_on(self) -> bool:
        """Show that this worker drains, and say whether another one goes on."""
        cells, since = self._cells, time.monotonic() - FRESH
        cells[self._at + _DRAINS] = 1.0
        rows = range(0, _WIDTH * self._board.used(), _WIDTH)
        return any(cells[at + _BEAT] > since and not cells[at + _DRAINS] for at in rows)


class Board:
    """All rows. ``taken``: the rows that workers have, as the parent knows; a worker has the state at its fork."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8 * _WIDTH * (_ROWS + 1))
        self.cells = memoryview(self._memory).cast("d")
        self.nothing = memoryview(bytes(8 * _WIDTH)).cast("d")
        self.taken: set[int] = set()

    def take(self) -> BoardRow:
        """Return a free row. Runs on: the parent."""
        number = next(number for number in range(_ROWS) if number not in self.taken)
        self.taken.add(number)
        self.cells[_WIDTH * _ROWS] = max(self.used(), number + 1)
        return BoardRow(self, number)

    def used(self) -> int:
        """Return how many rows may have something in them."""
        return int(self.cells[_WIDTH * _ROWS])
