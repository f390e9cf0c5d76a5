"""
Keep one desk: a child without the application, which shows all workers, mails what the parent has to say, and answers
clients when no worker serves. The site serves on without it, and the parent never waits for it.
"""

from __future__ import annotations

import math
import signal
from collections.abc import Callable

from pastepool.core.generations.back_off import again_at
from pastepool.core.generations.child import LIVED_LONG, Deaths
from pastepool.core.generations.health import LOOK_EVERY, Signs
from pastepool.process.hands import luck
from pastepool.process.kin import Kin, Kinship
from pastepool.process.telling import Teller, ended_with
from pastepool.runtime.family.birth import RETIRE, Birth
from pastepool.runtime.family.offer import Offer, shared
from pastepool.types import Seconds

ENDS_WITHIN: Seconds = 3.0
"""How long the desk may take to end. It may have a mail to send, for which it takes two seconds at most."""


class DeskKeeper:
    """``close``: closes in a child what belongs to the parent alone. Runs on: the only thread of the parent."""

    def __init__(self, kinship: Kinship, tell: Teller, close: Callable[[], None]) -> None:
        self._kinship = kinship
        self._tell = tell
        self._close = close
        self._deaths = Deaths(0, -math.inf, 0.0)
        self._forked_at: Seconds = -math.inf
        self._looked_at: Seconds = -math.inf
        self._signs = Signs()
        self._kill_at: Seconds = math.inf

    def next_at(self) -> Seconds:
        """Return when to look again."""
        return min(self._looked_at + LOOK_EVERY, self._kill_at) if self._kinship.desk else again_at(self._deaths)

    def look(self, serial: Callable[[], int], given: Offer, generation: int, now: Seconds) -> Birth | None:
        """
        Fork a desk if there is none, and kill one that gives no sign of life.

        ``serial``: draws the number of a new one. Returns: in the child of a fork what it is given; otherwise None.
        """
        if self._kinship.desk:
            self._watch(given.policy.deadlock, now)
        elif now >= again_at(self._deaths):
            return self._fork(serial(), given, generation, now)
        return None

    def _fork(self, serial: int, given: Offer, generation: int, now: Seconds) -> Birth | None:
        self._forked_at, self._signs = now, Signs()
        try:
            own = self._kinship.fork(serial, is_desk=True)
        except OSError as error:
            self._tell.error(f"the desk cannot be forked: {error.strerror}")
            self._died(now)
            return None
        if own is None:
            return None
        self._close()
        return Birth(serial, 0, generation, given.settings, shared(given.sockets), shared(given.admin_sockets), *own)

    def _watch(self, deadlock: Seconds, now: Seconds) -> None:
        if now < self._looked_at + LOOK_EVERY:
            return
        passed, self._looked_at = now - self._looked_at, now
        self._signs = self._signs.seen(*self._kinship.by_serial[self._kinship.desk].row.figures, now, passed)
        if deadlock and self._signs.silent_for >= deadlock:
            self._tell.error("the desk gives no sign of life and is killed")
            self._kinship.signal(self._kinship.desk, signal.SIGKILL)

    def replace(self) -> None:
        """Let it end, and fork another one at the next look: the settings have changed."""
        self._kinship.tell(self._kinship.desk, RETIRE)
        self._kinship.desk = 0
        self._deaths = Deaths(0, -math.inf, 0.0)

    def ended(self, kin: Kin, status: int, now: Seconds) -> None:
        """Note that it has ended, and tell it unless that was wanted. ``status``: as ``os.waitpid`` returns it."""
        self._kinship.desk = 0
        if self._kill_at == math.inf:
            why = f":\n{kin.failure}" if kin.failure else ""
            self._tell.error(f"the desk (pid {kin.pid}) {ended_with(status)}; another one is started{why}")
            self._died(now)

    def _died(self, now: Seconds) -> None:
        young = now < self._forked_at + LIVED_LONG
        self._deaths = Deaths(self._deaths.count + 1 if young else 0, now, luck())

    def has_ended(self, now: Seconds, at_once: bool) -> bool:
        """Let it end with the parent, and say whether it has; kill it when it takes too long."""
        if self._kill_at == math.inf:
            self._kill_at = now if at_once else now + ENDS_WITHIN
            self._kinship.tell(self._kinship.desk, RETIRE)
        if now >= self._kill_at:
            self._kinship.signal(self._kinship.desk, signal.SIGKILL)
        return not self._kinship.desk
