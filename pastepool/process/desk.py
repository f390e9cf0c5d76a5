"""
Keep one desk: a child without the application, which shows all workers, mails what the parent has to say, and answers
clients when no worker serves. The site serves on without it, and the parent never waits for it.
"""

from __future__ import annotations

import signal

from pastepool.core.generations.desk_facts import DeskFacts
from pastepool.core.generations.ends import ended_with
from pastepool.process.hands import luck
from pastepool.process.kinship import Kinship
from pastepool.runtime.family.birth import RETIRE, Birth
from pastepool.runtime.family.kin import Kin
from pastepool.runtime.family.offer import Offer
from pastepool.runtime.family.teller import Teller
from pastepool.types import Seconds


class DeskKeeper:
    """Runs on: the only thread of the parent."""

    def __init__(self, kinship: Kinship, tell: Teller) -> None:
        self._kinship = kinship
        self._tell = tell
        self._facts = DeskFacts()

    @property
    def next_at(self) -> Seconds:
        """When to look again."""
        return self._facts.next_at(self._kinship.desk > 0)

    def look(self, given: Offer, generation: int, now: Seconds) -> Birth | None:
        """
        Fork a desk if there is none, and kill one that gives no sign of life.

        Returns: in the child of a fork what it is given; otherwise None.
        """
        if now < self.next_at:
            return None
        desk = self._kinship.by_serial.get(self._kinship.desk)
        if desk is None:
            return self._fork(given, generation, now)
        self._facts = self._facts.seen(*desk.row.figures, now)
        if self._facts.signs.stands_still(given.policy):
            self._tell.error("the desk gives no sign of life and is killed")
            self._kinship.signal(desk.serial, signal.SIGKILL)
        return None

    def _fork(self, given: Offer, generation: int, now: Seconds) -> Birth | None:
        self._facts = self._facts.forked(now)
        try:
            return self._kinship.fork(next(self._kinship.serials), 0, generation, given)
        except OSError as error:
            self._tell.error(f"the desk cannot be forked: {error.strerror}")
            self._facts = self._facts.died(now, luck())
            return None

    def replace(self) -> None:
        """Let it end, and fork another one at the next look: the settings have changed."""
        self._kinship.dismiss_desk()
        self._facts = self._facts.replaced()

    def ended(self, kin: Kin, code: int, now: Seconds) -> None:
        """Note that it has ended, and tell it unless that was wanted. ``code``: as for ``ended_with``."""
        if not self._facts.leaves:
            why = f":\n{kin.failure}" if kin.failure else ""
            self._tell.error(f"the desk (pid {kin.pid}) {ended_with(code)}; another one is started{why}")
            self._facts = self._facts.died(now, luck())

    def has_ended(self, now: Seconds, at_once: bool) -> bool:
        """Let it end with the parent, and say whether it has; kill it when it takes too long."""
        if not self._facts.leaves:
            self._facts = self._facts.told_to_end(now, at_once)
            self._kinship.tell(self._kinship.desk, RETIRE)
        if now >= self._facts.kill_at:
            self._kinship.signal(self._kinship.desk, signal.SIGKILL)
        return not self._kinship.desk
