"""
Hold everything that one plan of the supervisor is made from, and compute the numbers that its rules have in common.

Knows records, numbers and instants; decides nothing.

The words: a worker can *serve* while it is starting, idle, or busy without being hung. A worker that is *sending* only
waits for its client, and cannot serve. A worker *lives* until its
thread has ended. The cap (``max_workers``) counts every live worker: a hung, dying or zombie thread still uses memory.
A pool that has reached the cap says so (``Capped``) and does not grow. So hung workers are replaced, but the number of
threads stays bounded (contract P2). A worker is *worn* when it has run as many requests as it may.
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
"""The statuses of a worker that can serve."""


@dataclass(frozen=True)
class Facts:
    """
    Hold everything that one plan is made from.

    ``records``: of all workers that are not gone. ``coming``: how many workers this plan spawns. All other fields are
    described as the arguments of ``supervision.plan``.
    """

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
        """Return how many workers may live."""
        return max(1, self.policy.max_workers)

    @property
    def floor(self) -> int:
        """Return how many workers should be able to serve: at least one, and no more than may live."""
        return min(max(1, self.policy.workers), self.cap)

    @property
    def room(self) -> int:
        """Return how many more workers may be spawned."""
        return max(0, self.cap - len(self.records))

    def status(self, record: Record) -> Status:
        """Return the status that a person is shown for one worker."""
        return classify(record, self.now, self.policy)

    @cached_property
    def counts(self) -> Counter[Status]:
        """Return how many workers have each status."""
        return count_by_status(self.records, self.now, self.policy)

    @cached_property
    def serving(self) -> int:
        """Return how many workers can serve, worn ones included."""
        return sum(self.counts[status] for status in SERVING)

    @cached_property
    def fresh(self) -> int:
        """Return how many workers can serve and are not worn. Workers that this plan spawns are included."""
        able = (record for record in self.records if self.status(record) in SERVING)
        return self.coming + sum(record.worker not in self.worn for record in able)

    @property
    def surplus(self) -> int:
        """Return how many more workers than ``floor`` can serve and are not worn; 0 while requests wait."""
        return 0 if self.backlog else max(0, self.fresh - self.floor)

    @property
    def renewable(self) -> int:
        """Return how many worn workers can leave so that ``floor`` others can still serve; 0 while requests wait."""
        return 0 if self.backlog else max(0, self.serving + self.coming - self.floor)

    @property
    def missing_for_the_cap(self) -> int:
        """
        Return how many workers are needed but cannot be spawned because of the cap.

        Worn workers count as able to serve: they go on serving where there is no room to replace them. So do those that
        wait for their clients: they will serve again, or are cut while requests wait (``cuts``).
        """
        return max(0, self.floor - self.serving - self.counts[Status.SENDING] - self.room)
