"""Say when a child may be forked after others have failed, so that a failure that lasts costs little."""

from __future__ import annotations

import math

from pastepool.core.generations.child import LIVED_LONG, Child, ChildPhase, Deaths
from pastepool.core.generations.fleet import FORKS_WITHIN, Fleet
from pastepool.types import Seconds

FIRST_PAUSE: Seconds = 1.0
LONGEST_PAUSE: Seconds = 30.0
SPREAD = 0.2
"""The pause after a failure doubles with each, up to the longest, and is up to a fifth longer or shorter."""

SHORTEST_PAUSE: Seconds = 1.0
"""The pause that a waiting client cannot shorten, and the one between two forks when there were too many."""


def again_at(deaths: Deaths) -> Seconds:
    """Return when the next attempt is due after failures in a row; minus infinity after none."""
    if not deaths.count:
        return -math.inf
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(deaths.count - 1, 30))
    return deaths.at + pause * (1.0 + SPREAD * deaths.luck)


def load_again_at(fleet: Fleet) -> Seconds:
    """
    Return when the next attempt to load the application is due. A client that has waited since the last one fetches it
    forward.
    """
    due = again_at(fleet.misses)
    if fleet.hurried_at > fleet.misses.at:
        due = min(due, max(fleet.hurried_at, fleet.misses.at + SHORTEST_PAUSE))
    return due


def waits_for_client(fleet: Fleet) -> bool:
    """Say whether nothing serves and the next attempt to load waits, which a client can fetch forward."""
    serves = any(child.phase is ChildPhase.READY for child in fleet.children)
    waits = fleet.misses.count > 0 and fleet.hurried_at <= fleet.misses.at
    return waits and not serves and not fleet.stopping


def fork_at(fleet: Fleet, now: Seconds, processes: int) -> Seconds:
    """
    Return when the next fork may be: at once, unless there were more than two for each process within ten seconds.

    Returns: minus infinity, or an instant later than ``now``.
    """
    recent = [at for at in fleet.forks if now < at + FORKS_WITHIN]
    free = len(recent) < 2 * processes or now >= recent[-1] + SHORTEST_PAUSE
    return -math.inf if free else min(recent[-1] + SHORTEST_PAUSE, recent[-2 * processes] + FORKS_WITHIN)


def repeats(fleet: Fleet, child: Child, now: Seconds) -> bool:
    """Say whether the end of a child now would repeat what has happened before, in a row: to its slot, or to loading."""
    if child.phase is ChildPhase.BOOTING:
        return fleet.misses.count > 0
    return fleet.deaths_of(child.slot).count > 0 and now < child.since + LIVED_LONG
