"""Decide which children are forked, and when: for vacant slots, and for those that are to be replaced."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pastepool.core.generations.actions import ForkChild
from pastepool.core.generations.back_off import again_at, fork_at, load_again_at
from pastepool.core.generations.child import ChildPhase
from pastepool.core.generations.fleet import Fleet
from pastepool.core.policy import ProcessPolicy
from pastepool.types import Seconds

EXIT, RETRY = "exit", "retry"
"""What a failed first start leads to (``ProcessPolicy.start_failure``)."""


def forks_due(fleet: Fleet, now: Seconds, policy: ProcessPolicy) -> tuple[list[ForkChild], Seconds, bool]:
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
    if fleet.stopping or gives_up(fleet, policy):
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


def gives_up(fleet: Fleet, policy: ProcessPolicy) -> bool:
    """Say whether the first start of all has failed, and is not tried again. Who sees that on a terminal starts again."""
    then = policy.start_failure or (EXIT if fleet.on_terminal else RETRY)
    return then == EXIT and not fleet.loaded and fleet.misses.count > 0


def oldest_mold(fleet: Fleet) -> float:
    """Return the oldest generation whose mold may yet be asked for a child; infinity if none is."""
    return math.inf if fleet.stopping else fleet.goal
