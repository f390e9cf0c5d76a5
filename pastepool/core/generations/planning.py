"""
Decide what the parent should do about its worker processes, from the facts at one instant. No other module decides that.

Knows the fleet, numbers and instants. Knows no process, no signal and no clock; applies nothing. Everything is pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from pastepool.core.generations.actions import EndParent, FleetPlan, KillChild, RetireChild
from pastepool.core.generations.child import Child, ChildPhase
from pastepool.core.generations.fleet import Fleet
from pastepool.core.generations.forking import forks_due, gives_up
from pastepool.core.policy import ProcessPolicy
from pastepool.types import Seconds

LATE_BY: Seconds = 5.0
"""How long after its own deadline a child that was told to end is sent SIGKILL. It needs this time for exit functions."""

STUCK_FOR: Seconds = 1.0
"""How long a child that stands still lives at least, so that its stack can be written."""

FAILED_START = 3
"""The exit status of a parent whose first child does not become ready, if it does not try again."""

STOPS = "the server stops"


def plan(fleet: Fleet, now: Seconds, policy: ProcessPolicy) -> FleetPlan:
    """
    Decide what the parent should do now.

    Rules, in order:
        1. kill each child that is past its deadline, that boots for nothing, or that stands still and was replaced;
        2. retire each child for which another one serves in the same slot, and those whose slot is not wanted any more;
        3. fork children for vacant slots, and a replacement for a child that is to be replaced (``forking``), with
           pauses after failures;
        4. when the end was asked for, fork nothing, retire all, and end when none is left.

    Promises (each a property test):
        the same facts give the same plan. There are never more than ``2 * processes + 2`` children. No plan lowers the
        number of ready children below ``processes``, unless the end was asked for. Before ``look_again_at`` nothing
        changes by time alone.

    Units: seconds, monotonic.
    """
    kills = [
        KillChild(child.serial, why, failed)
        for child in fleet.children
        for at, why, failed in [_kill_at(fleet, child, policy)]
        if now >= at
    ]
    retires = list(_stops(fleet, policy) if fleet.stopping else _retires(fleet, policy))
    for kill in kills:
        fleet = fleet.killed(kill.serial, kill.why, now, 0.0, kill.failed)
    for retire in retires:
        fleet = fleet.retired(retire.serial, retire.why, now)
    forks, look_at, held_back = forks_due(fleet, now, policy)
    ends = list(_ends(fleet, policy))
    later = [at for child in fleet.children for at, _, _ in [_kill_at(fleet, child, policy)] if at > now]
    return FleetPlan((*kills, *retires, *forks, *ends), min([look_at, *later]), held_back)


def _kill_at(fleet: Fleet, child: Child, policy: ProcessPolicy) -> tuple[Seconds, str, bool]:
    """Return when a child is to be killed, why, and whether that counts as a failed start. Infinity for never."""
    phase, never = child.phase, (math.inf, "", False)
    if phase is ChildPhase.KILLED:
        return never
    if fleet.stopping:
        at_once = fleet.at_once or phase is ChildPhase.BOOTING
        return (-math.inf if at_once else fleet.stopping_since + policy.shutdown + LATE_BY), STOPS, False
    if phase is ChildPhase.BOOTING:
        if child.why or child.slot > policy.processes:
            return -math.inf, child.why or "its slot is not wanted any more", False
        late = child.since + policy.startup if policy.startup else math.inf
        return late, f"it was not ready within startup_timeout = {policy.startup:g} s", True
    if phase is ChildPhase.RETIRING:
        return child.since + policy.drain + LATE_BY, "it did not end in time", False
    if phase is ChildPhase.STUCK:
        replaced = any(fleet.is_fresh(each) for each in fleet.children if each.slot == child.slot)
        patience = STUCK_FOR if replaced else max(STUCK_FOR, policy.startup)
        return child.since + patience, child.why, False
    return never


def _stops(fleet: Fleet, policy: ProcessPolicy) -> Iterator[RetireChild]:
    """Yield an order to end for each child that has none for the end of all. A child that is killed needs none."""
    told = (ChildPhase.BOOTING, ChildPhase.KILLED)
    for child in fleet.children:
        if child.phase not in told and child.why != STOPS and not fleet.at_once:
            yield RetireChild(child.serial, STOPS, policy.shutdown)


def _retires(fleet: Fleet, policy: ProcessPolicy) -> Iterator[RetireChild]:
    ready = [child for child in fleet.children if child.phase is ChildPhase.READY]
    stay = {child.slot: child.serial for child in ready if fleet.is_fresh(child)}  # the newest of each slot
    left = len(ready)
    for child in ready:
        wanted = child.slot <= policy.processes
        other = stay.get(child.slot, child.serial)
        if left > policy.processes and (not wanted or other != child.serial):
            left -= 1
            why = child.why or ("it was replaced" if wanted else "processes was lowered")
            yield RetireChild(child.serial, why, policy.drain)


def _ends(fleet: Fleet, policy: ProcessPolicy) -> Iterator[EndParent]:
    if not fleet.children and (fleet.stopping or gives_up(fleet, policy)):
        yield EndParent(0 if fleet.stopping else FAILED_START)
