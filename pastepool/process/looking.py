"""
Look at the board and at the memory of the workers, and have the stacks of one that stands still written.

Its stacks are written by C code (``faulthandler``) into a file in memory that the parent has opened, when it is sent
SIGUSR2. That works although no Python code of it runs.
"""

from __future__ import annotations

import math
import os
import signal
import time

from pastepool.core.generations.child import ChildPhase
from pastepool.core.generations.fleet import Fleet
from pastepool.core.generations.health import LOOK_EVERY, Signs, is_late, judged
from pastepool.core.policy import ProcessPolicy
from pastepool.process.kin import Kinship
from pastepool.process.telling import Teller, name_of
from pastepool.runtime.inspection.memory import resident_size
from pastepool.types import Seconds

_MEMORY_EVERY: Seconds = 10.0
_WRITTEN_WITHIN: Seconds = 0.02
_LONGEST_DUMP = 65536


class Looking:
    """Runs on: the only thread of the parent."""

    def __init__(self, kinship: Kinship, tell: Teller, now: Seconds) -> None:
        self._kinship = kinship
        self._tell = tell
        self._signs: dict[int, Signs] = {}
        self._sizes: dict[int, int] = {}
        self._dumped: set[int] = set()
        self._asked: set[int] = set()
        self._looked_at = now
        self._measured_at = now

    def next_at(self, fleet: Fleet) -> Seconds:
        """Return when to look again."""
        return self._looked_at + LOOK_EVERY if fleet.children else float("inf")

    def look(self, fleet: Fleet, now: Seconds, policy: ProcessPolicy) -> Fleet:
        """Look, if it is time. Returns the fleet with what was found."""
        if now < self._looked_at + LOOK_EVERY:
            return fleet
        passed = now - self._looked_at
        self._looked_at = now
        self._kinship.molds.look(passed)
        measures = now >= self._measured_at + _MEMORY_EVERY
        self._measured_at = now if measures else self._measured_at
        for child in fleet.children:
            kin = self._kinship.by_serial.get(child.serial)
            if kin is None or child.phase not in (ChildPhase.READY, ChildPhase.STUCK):
                continue
            signs = self._signs.get(child.serial, Signs()).seen(*kin.row.figures, now, passed)
            if measures and policy.max_memory:
                size = resident_size(kin.pid) or 0
                before, self._sizes[child.serial] = self._sizes.get(child.serial, 0), size
                signs = signs.with_memory(min(before, size))
            self._signs[child.serial] = signs
            self._dump(child.serial, f"{name_of(child, kin.pid)} gives no sign of life", is_late(signs, policy))
        return judged(fleet, self._signs, now, policy)

    def silent_for(self, fleet: Fleet, now: Seconds) -> Seconds:
        """Return how long ago the last beat of any worker that serves was; infinity if none serves."""
        serving = [child.serial for child in fleet.children if child.phase is ChildPhase.READY]
        beats = [
            self._kinship.by_serial[serial].row.figures[0] for serial in serving if serial in self._kinship.by_serial
        ]
        return now - max(beats, default=-math.inf)

    def _dump(self, serial: int, what: str, late: bool) -> None:
        """Ask once for the stacks of a child that is late, and tell them at the next look."""
        if serial in self._asked:
            self._asked.discard(serial)
            self._tell.error(f"{what}; its threads:\n{self.stacks_of(serial)}")
        elif late and serial not in self._dumped:
            self._dumped.add(serial)
            self._asked.add(serial)
            self._ask(serial)
        elif not late:
            self._dumped.discard(serial)

    def _ask(self, serial: int) -> None:
        """Have the stacks of a child written, in the place of those before: its descriptor has the same offset as ours."""
        kin = self._kinship.by_serial.get(serial)
        if kin is not None:
            os.lseek(kin.dump, 0, os.SEEK_SET)
            os.ftruncate(kin.dump, 0)
            self._kinship.signal(serial, signal.SIGUSR2)

    def stacks_of(self, serial: int) -> str:
        """Return what the child has written last; a sentence if that is nothing."""
        try:
            descriptor = self._kinship.by_serial[serial].dump
            text = os.pread(descriptor, _LONGEST_DUMP, 0).decode("utf-8", "replace")
        except (KeyError, OSError):
            text = ""
        return text.strip() or "no stack could be written"

    def stacks_now(self, serial: int) -> str:
        """Have the stacks of a child written, wait a moment for them, and return them."""
        self._ask(serial)
        time.sleep(_WRITTEN_WITHIN)
        return self.stacks_of(serial)

    def forget(self, serial: int) -> None:
        """A worker has ended: keep its numbers in the totals, and free its row."""
        kin = self._kinship.by_serial[serial]
        self._kinship.board.note_gone(kin.row.figures[1])
        kin.row.clear()
        self._signs.pop(serial, None)
        self._sizes.pop(serial, None)
        self._dumped.discard(serial)
        self._asked.discard(serial)

    def total(self) -> int:
        """Return how many requests all workers have had since the start, those that have ended included."""
        return self._kinship.board.gone + sum(kin.row.figures[1] for kin in self._kinship.by_serial.values())
