"""
Judge how the children are, from what they show: which stands still, and which has served long enough.

Knows numbers and instants, and no process. ``Signs`` is what the parent has seen of one child.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pastepool.core.generations.child import Child, ChildPhase
from pastepool.core.generations.fleet import Fleet
from pastepool.core.policy import ProcessPolicy
from pastepool.core.wording import spoken
from pastepool.types import Seconds

LOOK_EVERY: Seconds = 0.5
"""How often the parent looks at what the children show."""


def look_after(looked_at: Seconds) -> Seconds:
    """
    Return when to look again: at a multiple of ``LOOK_EVERY``, but not before half of that has passed.

    These instants are the same for all that is looked at, so the parent wakes up once for all. ``looked_at``: minus
    infinity for never.
    """
    if looked_at == -math.inf:
        return looked_at
    return ((looked_at + LOOK_EVERY / 2) // LOOK_EVERY + 1.0) * LOOK_EVERY


LATE: Seconds = 5.0
"""A child that has shown nothing for so long has its stacks written, once. It may go on by itself."""

MEMORY_EVERY: Seconds = 10.0
"""How often the size of a child is read, if there is a limit."""

YOUNGEST: Seconds = 10.0
"""A child is not replaced for its age, its requests or its memory before it has served for so long."""

FORKS_WITHIN: Seconds = 10.0
"""
A mold that has not forked a worker so long after the order is hung. The fork of a large process takes a tenth of a second;
functions of the application that run before and after it may take longer.
"""

SPREAD = 0.1
"""By how much of it the limit on requests is larger for some children, so that not all reach it at once."""

_GOLDEN = 0.618034
"""Multiples of it, without their whole part, lie far from each other (golden section)."""


class StacksStage(enum.Enum):
    """What became of the stacks of a child that is late."""

    NOT_ASKED = "not asked"
    ASKED = "asked"
    WRITTEN = "written"


@dataclass(frozen=True)
class Signs:
    """
    What was seen of one child.

    ``beat``: the last beat, which is only compared. ``silent_for``: for how long of the time that was watched it was the
    same: a parent that was stopped itself has seen nothing. ``requests``: how many it has had. ``active_at``: when one
    ran or came last. ``size``, ``measured_at``: its last size in bytes, and when that was read. ``memory``: the smaller of
    the last two sizes; 0 if not known. ``stacks``: whether they were asked for, and have been written.
    """

    beat: float = 0.0
    silent_for: Seconds = 0.0
    requests: int = 0
    active_at: Seconds = 0.0
    size: int = 0
    measured_at: Seconds = -math.inf
    memory: int = 0
    stacks: StacksStage = StacksStage.NOT_ASKED

    def seen(self, beat: float, requests: int, running: int, now: Seconds, passed: Seconds) -> Signs:
        """Note a look at the board. ``passed``: the time since the last one."""
        silent = 0.0 if beat != self.beat else self.silent_for + min(passed, 2 * LOOK_EVERY)
        active = now if running or requests != self.requests or not self.active_at else self.active_at
        return replace(self, beat=beat, silent_for=silent, requests=requests, active_at=active)

    def is_to_measure(self, now: Seconds, policy: ProcessPolicy) -> bool:
        """Say whether the size is to be read now."""
        return policy.max_memory > 0 and now >= self.measured_at + MEMORY_EVERY

    def measured(self, size: int, now: Seconds) -> Signs:
        """Note a size. One that is large only for a moment is no leak."""
        return replace(self, size=size, measured_at=now, memory=min(self.size, size))

    def is_late(self, policy: ProcessPolicy) -> bool:
        """Say whether the stacks of a child should be written, if that was not done yet."""
        return policy.deadlock > 0 and self.silent_for >= min(LATE, policy.deadlock)

    def stands_still(self, policy: ProcessPolicy) -> bool:
        """Say whether a child has given no sign of life for too long."""
        return policy.deadlock > 0 and self.silent_for >= policy.deadlock

    def with_stacks(self, policy: ProcessPolicy) -> Signs:
        """Say what is to become of the stacks: they are asked for once, and have been written at the next look."""
        if self.stacks is StacksStage.ASKED:
            return replace(self, stacks=StacksStage.WRITTEN)
        if not self.is_late(policy):
            return replace(self, stacks=StacksStage.NOT_ASKED)
        return self if self.stacks is StacksStage.WRITTEN else replace(self, stacks=StacksStage.ASKED)


def judged(fleet: Fleet, signs: Mapping[int, Signs], now: Seconds, policy: ProcessPolicy) -> Fleet:
    """Return the fleet with the children marked that stand still, go on again, or are to be replaced for their limits."""
    for child in fleet.children:
        shown = signs.get(child.serial)
        if shown is None:
            continue
        if child.phase is ChildPhase.READY and shown.stands_still(policy):
            fleet = fleet.stood_still(child.serial, now)
        elif child.phase is ChildPhase.STUCK and not shown.silent_for:
            fleet = fleet.went_on(child.serial, now)
        elif child.phase is ChildPhase.READY and not child.why and now >= child.since + YOUNGEST:
            why = _limit_reached(child, shown, now, policy)
            fleet = fleet.condemned(child.serial, why) if why else fleet
    return fleet


def _limit_reached(child: Child, shown: Signs, now: Seconds, policy: ProcessPolicy) -> str:
    """Return which limit a child has reached, in words; empty for none."""
    most = int(policy.max_requests * (1 + SPREAD * (child.serial * _GOLDEN % 1)))
    if policy.max_requests and shown.requests >= most:
        return f"it has served {shown.requests} requests (maximum_requests)"
    if policy.restart_every and now >= child.since + policy.restart_every:
        return f"it has served for {spoken(now - child.since)} (restart_interval)"
    if policy.inactive and now >= max(shown.active_at, child.since) + policy.inactive:
        return f"it has had no request for {spoken(now - shown.active_at)} (inactivity_timeout)"
    if policy.max_memory and shown.memory >= policy.max_memory:
        mebibyte = 1024 * 1024
        return f"it uses {shown.memory // mebibyte} MiB of memory (memory_limit = {policy.max_memory // mebibyte} MiB)"
    return ""
