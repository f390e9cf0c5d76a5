"""
Decide what the parent should do about its worker processes, from the facts at one instant. No other module decides that.

Knows the fleet, numbers and instants. Knows no process, no signal and no clock; applies nothing. Everything is pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from pastepool.core.generations.back_off import again_at, fork_at, load_again_at
from pastepool.core.generations.fleet import Child, ChildPhase, Fleet
from pastepool.core.policy import ProcessPolicy
from pastepool.types import Seconds

LATE_BY: Seconds = 5.0
"""How long after its own deadline a child that was told to end is sent SIGKILL. It needs this time for exit functions."""

STUCK_FOR: Seconds = 1.0
"""How long a child that stands still lives at least, so that its stack can be written."""

FAILED_START = 3
"""The exit status of a parent whose first child does not become ready, if it does not try again."""

STOPS = "the server stops"

EXIT, RETRY = "exit", "retry"
"""What a failed first start leads to (``ProcessPolicy.start_failure``)."""


@dataclass(frozen=True)
class ForkChild:
    """Fork a child for a slot."""

    slot: int


@dataclass(frozen=True)
class RetireChild:
    """Tell a child to finish its requests and end. ``patience``: how long it may take. ``why``: in words."""

    serial: int
    why: str
    patience: Seconds


@dataclass(frozen=True)
class KillChild:
    """Send SIGKILL to a child. ``failed``: it did not become ready in time. ``why``: in words."""

    serial: int
    why: str
    failed: bool = False


@dataclass(frozen=True)
class EndParent:
    """Let the parent end with an exit status: no child is left."""

    status: int


ParentAction = ForkChild | RetireChild | KillChild | EndParent


@dataclass(frozen=True)
class FleetPlan:
    """
    What the parent should do now, and when to look again.

    ``look_again_at``: later than the ``now`` of the plan; infinity if only an event can change anything. ``held_back``:
    whether a fork waits because there were too many.
    """

    actions: tuple[ParentAction, ...]
    look_again_at: Seconds
    held_back: bool


def plan(fleet: Fleet, now: Seconds, policy: ProcessPolicy) -> FleetPlan:
    """
    Decide what the parent should do now.

    Rules, in order:
        1. kill each child that is past its deadline, that boots for nothing, or that stands still and was replaced;
        2. retire each child for which another one serves in the same slot, and those whose slot is not wanted any more;
        3. fork children for vacant slots, and a replacement for a child that is to be replaced (``_wanted``), with
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
    forks, look_at, held_back = _forks(fleet, now, policy)
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


def _forks(fleet: Fleet, now: Seconds, policy: ProcessPolicy) -> tuple[list[ForkChild], Seconds, bool]:
    """Return the forks that are due, when the next one is, and whether one waits because there were too many."""
    most = 2 * policy.processes + 2
    forks: list[ForkChild] = []
    look_at = math.inf
    for slot, at in _wanted(fleet, now, policy):
        allowed_at = fork_at(fleet, now, policy.processes)
        if len(fleet.children) >= most:
            break  # the end of any child is an event
        if now < at:
            look_at = min(look_at, at)
        elif now < allowed_at:
            return forks, min(look_at, allowed_at), True
        else:
            forks.append(ForkChild(slot))
            fleet = fleet.forked(-len(forks), slot, now)
    return forks, look_at, False


def _wanted(fleet: Fleet, now: Seconds, policy: ProcessPolicy) -> Iterator[tuple[int, Seconds]]:
    """
    Yield each slot that wants a new child, and from when.

    While it is not known that what is on disk loads, there is one attempt at a time: the candidate of a reload at once,
    one for a vacant slot with growing pauses, and none for a child that serves. When it loads, all vacant slots get a
    child. Of the slots with a child to be replaced one at a time gets a new one: those of an older generation first, and
    any other only if no child is retiring, so that never two leave.
    """
    if fleet.stopping or _gives_up(fleet, policy):
        return
    alive = [child for child in fleet.children if child.phase in (ChildPhase.READY, ChildPhase.BOOTING)]
    boots = [child for child in alive if child.phase is ChildPhase.BOOTING and not child.why]
    ready = [child for child in alive if child.phase is ChildPhase.READY]
    slots = range(1, policy.processes + 1)
    taken = {child.slot for child in (*ready, *boots)}
    vacant = [slot for slot in slots if slot not in taken]
    if not fleet.loads:
        if fleet.reloading and not boots:
            yield (vacant or [1])[0], -math.inf
        elif vacant and not boots:
            yield vacant[0], load_again_at(fleet)
        return
    due = [(slot, again_at(fleet.deaths_of(slot))) for slot in vacant]
    yield from due
    fresh = {child.slot for child in ready if fleet.is_fresh(child)}
    old = [child.slot for child in ready if child.generation < fleet.goal and child.slot not in fresh]
    other = [child.slot for child in ready if child.why and child.slot not in fresh]
    retiring = any(child.phase is ChildPhase.RETIRING for child in fleet.children)
    replaced = [slot for slot in (*old, *(() if retiring else other)) if slot <= policy.processes]
    if replaced and not boots and all(now < at for _, at in due):
        yield replaced[0], -math.inf


def _gives_up(fleet: Fleet, policy: ProcessPolicy) -> bool:
    """Say whether the first start of all has failed, and is not tried again."""
    return policy.start_failure == EXIT and not fleet.loaded and fleet.misses.count > 0


def _ends(fleet: Fleet, policy: ProcessPolicy) -> Iterator[EndParent]:
    if not fleet.children and (fleet.stopping or _gives_up(fleet, policy)):
        yield EndParent(0 if fleet.stopping else FAILED_START)
