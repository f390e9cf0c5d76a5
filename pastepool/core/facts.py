"""
Everything one plan of the supervisor is made from, and the numbers its rules have in common.

Knows records, numbers and instants; decides nothing.

The words: a worker can *serve* while it is starting, idle, or busy without being hung. It *lives* until its thread has
ended: a hung, dying or zombie thread still costs memory, so the cap counts it, and a pool whose cap is reached says so
(``Capped``) instead of growing. That is the walk between exploding and freezing (contract P2).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from pastepool.core.actions import KillAsked
from pastepool.core.history import History
from pastepool.core.policy import PoolPolicy
from pastepool.core.states import Record, Status, classify, count_by_status
from pastepool.types import Seconds, WorkerId

SERVING = (Status.STARTING, Status.IDLE, Status.BUSY)
"""What a worker is called while it can serve."""


@dataclass(frozen=True)
class Facts:
    """Everything one plan is made from. ``records``: without the gone. ``coming``: workers this plan spawns."""

    records: tuple[Record, ...]
    backlog: int
    now: Seconds
    policy: PoolPolicy
    history: History
    asked: frozenset[KillAsked]
    worn: frozenset[WorkerId]
    start_failed_at: Seconds
    can_kill: bool
    serving_since: Seconds
    coming: int = 0

    @property
    def cap(self) -> int:
        """How many may live."""
        return max(1, self.policy.max_workers)

    @property
    def floor(self) -> int:
        """How many should be able to serve: at least one, and no more than may live."""
        return min(max(1, self.policy.workers), self.cap)

    @property
    def room(self) -> int:
        """How many more may live."""
        return max(0, self.cap - len(self.records))

    def status(self, record: Record) -> Status:
        """What a person is told about one worker."""
        return classify(record, self.now, self.policy)

    @cached_property
    def counts(self) -> Counter[Status]:
        """Workers by status."""
        return count_by_status(self.records, self.now, self.policy)

    @cached_property
    def serving(self) -> int:
        """How many can serve, worn ones among them."""
        return sum(self.counts[status] for status in SERVING)

    @cached_property
    def fresh(self) -> int:
        """How many can serve and are not worn, those that are coming among them."""
        able = (record for record in self.records if self.status(record) in SERVING)
        return self.coming + sum(record.worker not in self.worn for record in able)

    @property
    def surplus(self) -> int:
        """How many more can serve than should; none while requests wait."""
        return 0 if self.backlog else max(0, self.fresh - self.floor)

    @property
    def renewable(self) -> int:
        """How many worn workers can go with enough left to serve; none while requests wait."""
        return 0 if self.backlog else max(0, self.serving + self.coming - self.floor)

    @property
    def missing_for_the_cap(self) -> int:
        """How many the cap keeps from being spawned. Worn workers serve on where there is no room to replace them."""
        return max(0, self.floor - self.serving - self.room)
