"""
The board: what each worker shows of itself in memory that all processes share.

A row has a few numbers, each written whole and read by anybody, also while the worker stands still. The worker writes
how it is, and the parent what it is. The parent gives each worker a row, and clears it when the worker has ended.
"""

from __future__ import annotations

import math
import mmap
import time
from collections.abc import Iterator
from dataclasses import dataclass

from pastepool.core.generations.child import Child, ChildPhase
from pastepool.types import Seconds

_ROWS = 4096
"""More than twice the largest number of processes. Memory that is never touched costs nothing."""

_WIDTH = 16
_BEAT, _ROOM, _DRAINS, _REQUESTS, _RUNNING = range(5)
_SERIAL, _SLOT, _PID, _GENERATION, _PHASE, _SINCE, _MOLD = range(8, 15)
_USED, _GONE, _STOPS = (_WIDTH * _ROWS + at for at in range(3))
_PHASES = tuple(ChildPhase)

FRESH = 1.0
"""A worker whose beat is older may stand still: nobody leaves clients to it."""


@dataclass(frozen=True)
class Shown:
    """
    One worker as the board shows it. ``serial`` to ``since``: as in ``core.generations.child.Child``, by the parent.
    ``beat``, ``requests``, ``running``: by the worker; ``beat`` is 0.0 before it serves.
    """

    serial: int
    slot: int
    pid: int
    generation: int
    phase: ChildPhase
    since: Seconds
    beat: Seconds
    requests: int
    running: int


@dataclass(frozen=True)
class ShownMold:
    """One mold as the parent shows it. ``forks``: whether it is to fork a worker now. ``since``: since when this is so."""

    pid: int
    generation: int
    forks: bool
    since: Seconds


class BoardRow:
    """One worker's row. The instants are those of ``time.monotonic``, which all processes share on Linux."""

    def __init__(self, board: Board, number: int) -> None:
        self.number = number
        self.board = board
        self._cells = board.cells
        self._at = _WIDTH * number

    def other(self, number: int) -> BoardRow:
        """Return the row of another worker, for a process that becomes that worker."""
        return BoardRow(self.board, number)

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

    def show(self, child: Child, pid: int) -> None:
        """Show what the worker is. Runs on: the parent."""
        cells, at = self._cells, self._at
        what = (child.slot, pid, child.generation, _PHASES.index(child.phase), child.since)
        for cell, value in enumerate(what, at + _SLOT):
            cells[cell] = value
        cells[at + _SERIAL] = child.serial  # the last: a row without a serial shows no worker

    def show_mold(self, mold: ShownMold) -> None:
        """Show a mold. Runs on: the parent."""
        cells, at = self._cells, self._at
        cells[at + _PID], cells[at + _GENERATION], cells[at + _SINCE] = mold.pid, mold.generation, mold.since
        cells[at + _MOLD] = 2 if mold.forks else 1  # the last: 0 is no mold

    def clear(self) -> None:
        """Forget the worker or mold: it has ended. Its requests stay in the total. Runs on: the parent."""
        self._cells[_GONE] += self._cells[self._at + _REQUESTS]
        self._cells[self._at : self._at + _WIDTH] = self.board.nothing
        self.board.taken.discard(self.number)

    # What one of several servers asks of the others (``runtime.sockets.siblings``). Runs on: baton.

    def have_room(self) -> bool:
        """Say whether another worker has room for a client and is not stuck."""
        cells, since = self._cells, time.monotonic() - FRESH
        for at in range(0, _WIDTH * self.board.used(), _WIDTH):
            if cells[at + _ROOM] > 0 and cells[at + _BEAT] > since and not cells[at + _DRAINS] and at != self._at:
                return True
        return False

    def stand_aside(self) -> None:
        """Show that this process never serves a client. Runs on: the desk."""
        self._cells[self._at + _DRAINS] = 1.0

    def note_room(self, room: int) -> None:
        """Show for how many clients there is room."""
        self._cells[self._at + _ROOM] = room

    def go_on(self) -> bool:
        """Show that this worker drains, and say whether another one goes on."""
        cells, since = self._cells, time.monotonic() - FRESH
        cells[self._at + _DRAINS] = 1.0
        rows = range(0, _WIDTH * self.board.used(), _WIDTH)
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
        self.cells[_USED] = max(self.used(), number + 1)
        return BoardRow(self, number)

    def shown(self) -> Iterator[Shown]:
        """Yield each worker that has not ended. Runs on: any process."""
        for at in range(0, _WIDTH * self.used(), _WIDTH):
            row = self.cells[at : at + _WIDTH].tolist()
            if row[_SERIAL]:
                serial, slot, pid, generation, phase = map(int, row[_SERIAL:_SINCE])
                counts = int(row[_REQUESTS]), int(row[_RUNNING])
                yield Shown(serial, slot, pid, generation, _PHASES[phase], row[_SINCE], row[_BEAT], *counts)

    def molds(self) -> Iterator[ShownMold]:
        """Yield each mold that has not ended. Runs on: any process."""
        for at in range(0, _WIDTH * self.used(), _WIDTH):
            row = self.cells[at : at + _WIDTH].tolist()
            if row[_MOLD]:
                yield ShownMold(int(row[_PID]), int(row[_GENERATION]), row[_MOLD] == 2, row[_SINCE])

    def used(self) -> int:
        """Return how many rows may have something in them."""
        return int(self.cells[_USED])

    @property
    def total(self) -> int:
        """How many requests all workers have had, those that have ended included."""
        rows = range(0, _WIDTH * self.used(), _WIDTH)
        return int(self.cells[_GONE] + sum(self.cells[at + _REQUESTS] for at in rows))

    @property
    def last_beat(self) -> Seconds:
        """When a worker that serves has last given a sign of life; minus infinity if none serves."""
        return max((shown.beat for shown in self.shown() if shown.phase is ChildPhase.READY), default=-math.inf)

    @property
    def stops(self) -> bool:
        """Whether the end of all was asked for."""
        return bool(self.cells[_STOPS])

    def note_stop(self) -> None:
        """Show that all end. Runs on: the parent."""
        self.cells[_STOPS] = 1.0
