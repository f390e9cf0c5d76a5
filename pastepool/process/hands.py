"""Plan, and do what the plan says: fork a worker, tell one to end, kill one. Each is noted in the fleet as it is done."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable

from pastepool.core.generations.actions import EndParent, ForkChild, KillChild, ParentAction, RetireChild
from pastepool.core.generations.back_off import repeats
from pastepool.core.generations.child import ChildPhase
from pastepool.core.generations.fleet import Fleet
from pastepool.core.generations.planning import plan
from pastepool.core.policy import ProcessPolicy
from pastepool.process.kinship import Kinship
from pastepool.runtime.family.birth import RETIRE, Birth
from pastepool.runtime.family.offer import Offers
from pastepool.runtime.family.teller import Teller
from pastepool.types import Seconds


class Hands:
    """
    ``look_at``: when to plan again by the last plan. ``status``: the exit status of the parent, when its end was planned.

    Runs on: the only thread of the parent.
    """

    def __init__(self, kinship: Kinship, offers: Offers, tell: Teller, now: Callable[[], Seconds]) -> None:
        self.look_at = now()
        self.status: int | None = None
        self._kinship = kinship
        self._offers = offers
        self._tell = tell
        self._now = now
        self._held_back = False

    def do_what_is_planned(self, fleet: Fleet, policy: ProcessPolicy) -> tuple[Fleet, Birth | None]:
        """Plan and apply until there is nothing to do. Returns: the fleet; and in a child what it is given."""
        while self.status is None:
            planned = plan(fleet, self._now(), policy)
            if planned.held_back and not self._held_back:
                self._tell.error("workers are forked too often; from now on one a second at most")
            self._held_back, self.look_at = planned.held_back, planned.look_again_at
            for action in planned.actions:
                fleet, birth = self._apply(action, fleet, self._now())
                if birth is not None:
                    return fleet, birth
            if fleet.failed == fleet.asked and self._offers.drop():
                self._tell.error(f"reload failed: generation {fleet.asked} does not load, and nothing is changed")
            if not planned.actions:
                break
        return fleet, None

    def _apply(self, action: ParentAction, fleet: Fleet, now: Seconds) -> tuple[Fleet, Birth | None]:
        """Do one thing. Returns: the fleet after it; and in the child of a fork what it is given."""
        if isinstance(action, EndParent):
            self.status = action.status
            return fleet, None
        if isinstance(action, ForkChild):
            return self._fork(action, fleet, now)
        if isinstance(action, RetireChild):
            self._kinship.tell(action.serial, RETIRE, str(action.patience))
            return fleet.retired(action.serial, action.why, now), None
        self._kill(action, fleet, now)
        return fleet.killed(action.serial, action.why, now, luck(), action.failed), None

    def _fork(self, action: ForkChild, fleet: Fleet, now: Seconds) -> tuple[Fleet, Birth | None]:
        serial, molds = next(self._kinship.serials), self._kinship.molds
        given, mold = self._offers.newest(fleet.reloading), molds.usable(fleet.source)
        forked = fleet.forked(serial, action.slot, now, mold.generation if mold is not None else 0)
        try:
            if mold is not None:
                self._kinship.order(mold, serial, action.slot)
                return forked, None
            is_mold = given.policy.preload and molds.wanted(fleet.asked)
            return forked, self._kinship.fork(serial, action.slot, fleet.asked, given, is_mold)
        except OSError as error:
            failure = f"a worker cannot be forked: {error.strerror}"
            self._tell.error(failure)
            return forked.ended(serial, now, luck(), failure), None

    def _kill(self, action: KillChild, fleet: Fleet, now: Seconds) -> None:
        child, kin = fleet.find(action.serial), self._kinship.by_serial.get(action.serial)
        if kin is not None and child is not None:
            again, text = repeats(fleet, child, now), f"{child.named(kin.pid)} is killed: {action.why}"
            if action.failed:
                self._tell.error(f"the threads of a worker that does not get ready:\n{kin.stacks_now()}", again)
            boots_for_nothing = child.phase is ChildPhase.BOOTING and not action.failed
            if child.why or boots_for_nothing:
                self._tell.info(text)
            else:
                self._tell.error(text, again)
        self._kinship.signal(action.serial, signal.SIGKILL)


def luck() -> float:
    """Draw what makes a pause longer or shorter (``Fleet.ended``)."""
    return random.uniform(-1.0, 1.0)
