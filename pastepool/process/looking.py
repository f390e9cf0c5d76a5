"""
Look at the board and at the memory of the workers, and have the stacks of one that stands still written.
"""

from __future__ import annotations

from pastepool.core.generations.child import ChildPhase
from pastepool.core.generations.fleet import Fleet
from pastepool.core.generations.health import Signs, StacksStage, judged, look_after
from pastepool.core.policy import ProcessPolicy
from pastepool.process.kinship import Kinship
from pastepool.runtime.family.teller import Teller
from pastepool.runtime.inspection.memory import resident_size
from pastepool.types import Seconds


class Looking:
    """Runs on: the only thread of the parent."""

    def __init__(self, kinship: Kinship, tell: Teller, now: Seconds) -> None:
        self._kinship = kinship
        self._tell = tell
        self._signs: dict[int, Signs] = {}
        self._looked_at = now

    @property
    def next_at(self) -> Seconds:
        """When to look again."""
        return look_after(self._looked_at)

    def look(self, fleet: Fleet, now: Seconds, policy: ProcessPolicy) -> Fleet:
        """Look, if it is time. Returns the fleet with what was found."""
        if now < self.next_at:
            return fleet
        passed, self._looked_at = now - self._looked_at, now
        before, self._signs = self._signs, {}
        self._kinship.molds.look(passed)
        for child in fleet.children:
            kin = self._kinship.by_serial.get(child.serial)
            if kin is None or child.phase not in (ChildPhase.READY, ChildPhase.STUCK):
                continue
            seen = before.get(child.serial, Signs()).seen(*kin.row.figures, now, passed)
            if seen.is_to_measure(now, policy):
                seen = seen.measured(resident_size(kin.pid) or 0, now)
            signs = self._signs[child.serial] = seen.with_stacks(policy)
            if signs.stacks is StacksStage.ASKED:
                kin.ask_for_stacks()
            elif seen.stacks is StacksStage.ASKED:
                name = child.named(kin.pid)
                self._tell.error(f"{name} gives no sign of life; its threads:\n{kin.stacks.read()}")
        return judged(fleet, self._signs, now, policy)
