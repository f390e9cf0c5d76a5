"""Do what a plan says: fork a worker, tell one to end, kill one. Each is noted in the fleet as it is done."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable

from pastepool.core.generations.actions import ForkChild, KillChild, RetireChild
from pastepool.core.generations.fleet import Fleet
from pastepool.process.kin import Kinship
from pastepool.process.telling import Teller, name_of
from pastepool.runtime.family.birth import RETIRE, Birth
from pastepool.runtime.family.offer import Offers, shared
from pastepool.types import Seconds


class Hands:
    """``close``: closes in a child what belongs to the parent alone. Runs on: the only thread of the parent."""

    def __init__(self, kinship: Kinship, offers: Offers, tell: Teller, close: Callable[[], None]) -> None:
        self._kinship = kinship
        self._offers = offers
        self._tell = tell
        self._close = close
        self.serials = 0

    def apply(
        self, action: ForkChild | RetireChild | KillChild, fleet: Fleet, now: Seconds
    ) -> tuple[Fleet, Birth | None]:
        """Do one thing. Returns: the fleet after it; and in the child of a fork what it is given."""
        if isinstance(action, ForkChild):
            return self._fork(action, fleet, now)
        if isinstance(action, RetireChild):
            self._kinship.tell(action.serial, RETIRE, str(action.patience))
            return fleet.retired(action.serial, action.why, now), None
        return self._kill(action, fleet, now), None

    def next_serial(self) -> int:
        """Return a number for a new child that no other has."""
        self.serials += 1
        return self.serials

    def _fork(self, action: ForkChild, fleet: Fleet, now: Seconds) -> tuple[Fleet, Birth | None]:
        serial = self.next_serial()
        given, mold = self._offers.newest(fleet.reloading), self._kinship.molds.usable(fleet.source)
        forked = fleet.forked(serial, action.slot, now, mold.generation if mold is not None else 0)
        try:
            if mold is not None:
                self._kinship.order(mold, serial, action.slot)
                return forked, None
            loads_for_others = given.policy.preload and self._kinship.molds.wanted(fleet.asked)
            own = self._kinship.fork(serial, mold=fleet.asked if loads_for_others else 0)
        except OSError as error:
            self._tell.error(f"a worker cannot be forked: {error.strerror}")
            return forked.ended(serial, now, luck()), None
        if own is None:
            return forked, None
        self._close()
        sockets, admin = shared(given.sockets), shared(given.admin_sockets)
        return forked, Birth(serial, action.slot, fleet.asked, given.settings, sockets, admin, *own)

    def _kill(self, action: KillChild, fleet: Fleet, now: Seconds) -> Fleet:
        child = fleet.find(action.serial)
        if child is not None:
            tell = self._tell.info if child.why else self._tell.error
            tell(f"{name_of(child, self._kinship.pid_of(child.serial))} is killed: {action.why}")
        self._kinship.signal(action.serial, signal.SIGKILL)
        return fleet.killed(action.serial, action.why, now, luck(), action.failed)


def luck() -> float:
    """Draw what makes a pause longer or shorter (``Fleet.ended``)."""
    return random.uniform(-1.0, 1.0)
