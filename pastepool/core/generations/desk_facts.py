"""Say when the desk is forked again, looked at and killed, from what is known of it. It is no child of the fleet."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from pastepool.core.generations.back_off import again_at
from pastepool.core.generations.child import LIVED_LONG, NO_DEATHS, Deaths
from pastepool.core.generations.health import Signs, look_after
from pastepool.types import Seconds

ENDS_WITHIN: Seconds = 3.0
"""How long the desk may take to end. It may have a mail to send, for which it takes two seconds at most."""


@dataclass(frozen=True)
class DeskFacts:
    """
    What is known of the desk, and of those before it.

    ``deaths``: the desks that in a row died young. ``forked_at``: when the last one was forked. ``looked_at``: when the
    parent has looked at it last. ``kill_at``: when it is killed; infinity before the end was asked for.
    """

    deaths: Deaths = NO_DEATHS
    forked_at: Seconds = -math.inf
    looked_at: Seconds = -math.inf
    signs: Signs = field(default_factory=Signs)
    kill_at: Seconds = math.inf

    @property
    def leaves(self) -> bool:
        """Whether it was told to end for good."""
        return self.kill_at < math.inf

    def next_at(self, is_there: bool) -> Seconds:
        """Return when to do something: look at the desk, or kill it, or fork one if there is none."""
        if self.leaves:
            return self.kill_at
        return look_after(self.looked_at) if is_there else again_at(self.deaths)

    def forked(self, now: Seconds) -> DeskFacts:
        """Note a new desk. Nothing was seen of it yet."""
        return replace(self, forked_at=now, signs=Signs())

    def seen(self, beat: float, requests: int, running: int, now: Seconds) -> DeskFacts:
        """Note a look at the board."""
        signs = self.signs.seen(beat, requests, running, now, now - self.looked_at)
        return replace(self, looked_at=now, signs=signs)

    def died(self, now: Seconds, luck: float) -> DeskFacts:
        """Note that it has ended unasked, or could not be forked. ``luck``: as for ``Fleet.ended``."""
        count = self.deaths.count + 1 if now < self.forked_at + LIVED_LONG else 0
        return replace(self, deaths=Deaths(count, now, luck))

    def replaced(self) -> DeskFacts:
        """Note that another one is wanted, at once."""
        return replace(self, deaths=NO_DEATHS)

    def told_to_end(self, now: Seconds, at_once: bool) -> DeskFacts:
        """Note that the parent ends."""
        return replace(self, kill_at=now if at_once else now + ENDS_WITHIN)
