"""
A pool without threads: records, a backlog and the hand that applies plans, for the tests of ``supervision``.

Applies the way the runtime does, refusals included: a kill is refused once the call has returned, a retirement where
the worker is the leader, a spawn where the machine has no thread left.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from pastepool.core.actions import Action, CutReader, ExitProcess, Forget, Kill, KillAsked, Retire, Spawn
from pastepool.core.history import History
from pastepool.core.policy import PoolPolicy
from pastepool.core.states import Phase, Record, Status, TaskSummary, WorkerEvent, advance, classify
from pastepool.core.supervision import Plan, plan

SERVING = (Status.STARTING, Status.IDLE, Status.BUSY)


class Kills(enum.Enum):
    """What becomes of a kill: it lands, it is held back for the moment, or the window happens to be shut."""

    LAND = "land"
    ARE_HELD_BACK = "are held back"
    FIND_IT_SHUT = "find it shut"


@dataclass
class SimulatedPool:
    """
    ``leader``: never retires. ``threads_left``: spawns beyond it fail. ``done``: actions applied, and when. ``kills``:
    what becomes of them. ``attempts``: at each running task, when and whether they landed.
    """

    policy: PoolPolicy
    now: float = 1000.0
    backlog: int = 0
    leader: int = 0
    threads_left: float = math.inf
    can_kill: bool = True
    serving_since: float = -math.inf
    records: dict[int, Record] = field(default_factory=dict)
    history: History = field(default_factory=History)
    asked: set[KillAsked] = field(default_factory=set)
    worn: set[int] = field(default_factory=set)
    kills: Kills = Kills.LAND
    missed: set[tuple[int, int]] = field(default_factory=set)
    attempts: dict[tuple[int, int], list[tuple[float, bool]]] = field(default_factory=dict)
    start_failed_at: float = -math.inf
    spawned: int = 0
    serials: int = 0
    done: list[tuple[float, Action]] = field(default_factory=list)

    def plan(self, at: float | None = None, records: Iterable[Record] | None = None) -> Plan:
        """Plan without applying, now or as if it were another time."""
        return plan(
            list(self.records.values() if records is None else records),
            self.backlog,
            self.now if at is None else at,
            self.policy,
            history=self.history,
            asked=self.asked,
            worn=self.worn,
            start_failed_at=self.start_failed_at,
            missed=self.missed,
            can_kill=self.can_kill,
            serving_since=self.serving_since,
        )

    def look(self) -> Plan:
        """Plan and apply, as the supervisor does."""
        made = self.plan()
        self.history = made.history
        self.asked = set()
        self.missed = set()
        for action in made.actions:
            self.apply(action)
        return made

    def apply(self, action: Action) -> None:
        """Do what one action says, or refuse it."""
        self.done.append((self.now, action))
        if isinstance(action, CutReader):
            assert self.statuses()[action.worker] is Status.SENDING
        elif isinstance(action, Forget):
            assert self.records.pop(action.worker).phase is Phase.GONE
        elif isinstance(action, Kill):
            self.kill(action)
        elif isinstance(action, Spawn):
            for _ in range(action.count):
                self.spawn()
        elif isinstance(action, Retire) and self.records[action.worker].phase is Phase.BUSY:
            assert action.even_busy
        elif isinstance(action, Retire) and action.worker != self.leader:
            self.happen(action.worker, WorkerEvent.RETIRE)

    def kill(self, action: Kill) -> None:
        """Do what becomes of kills."""
        record, task = self.records[action.worker], (action.worker, action.serial)
        self.attempts.setdefault(task, []).append((self.now, self.kills is Kills.LAND))
        if self.kills is not Kills.LAND:
            self.missed.add(task)
        if self.kills is not Kills.FIND_IT_SHUT and record.phase is Phase.BUSY and record.serial == action.serial:
            self.happen(action.worker, WorkerEvent.KILL)

    def spawn(self) -> None:
        """Start one worker, or find that the machine has no thread left."""
        if self.live() >= self.threads_left:
            self.start_failed_at = self.now
            return
        self.spawned += 1
        self.records[self.spawned] = Record(self.spawned, Phase.STARTING, self.now)

    def happen(self, worker: int, event: WorkerEvent, task: TaskSummary | None = None) -> None:
        """Let one event come."""
        self.records[worker] = advance(self.records[worker], event, self.now, task)

    def ready(self) -> None:
        """Let every starting worker arrive."""
        for worker in self.in_phase(Phase.STARTING):
            self.happen(worker, WorkerEvent.READY)

    def take(self, worker: int, kill_after: float | None = None, title: str = "GET /x") -> int:
        """Let an idle worker take a request; gives its serial."""
        self.serials += 1
        task = TaskSummary(title, self.serials, self.now, kill_after)
        self.happen(worker, WorkerEvent.TOOK, task)
        return self.serials

    def send(self, worker: int, stalled_since: float | None = None) -> None:
        """Let a busy worker wait for its client, which has read nothing since an instant, or until just now."""
        task = self.records[worker].task
        assert task is not None
        stalled = self.now if stalled_since is None else stalled_since
        since = self.now if task.sending_since is None else task.sending_since
        self.change_task(worker, sending_since=since, stalled_since=stalled)

    def go_on(self, worker: int) -> None:
        """Let a worker that waited for its client go on with its call."""
        task = self.records[worker].task
        assert task is not None and task.sending_since is not None
        waited = self.now - task.sending_since
        self.change_task(worker, sending_since=None, stalled_since=math.inf, sent_for=task.sent_for + waited)

    def change_task(self, worker: int, **facts: Any) -> None:
        """Change facts about the task of a worker."""
        record = self.records[worker]
        assert record.task is not None
        self.records[worker] = replace(record, task=replace(record.task, **facts))

    def in_phase(self, *phases: Phase) -> list[int]:
        """Workers in one of these phases, by number."""
        return sorted(worker for worker, record in self.records.items() if record.phase in phases)

    def statuses(self, at: float | None = None) -> dict[int, Status]:
        """What a person would be told of each worker."""
        moment = self.now if at is None else at
        return {worker: classify(record, moment, self.policy) for worker, record in self.records.items()}

    def number(self, *statuses: Status) -> int:
        """How many are called one of these now."""
        return sum(status in statuses for status in self.statuses().values())

    def live(self) -> int:
        """Threads that have not ended."""
        return len(self.records) - self.number(Status.GONE)

    def serving(self) -> int:
        """Workers that can serve."""
        return self.number(*SERVING)

    def acted(self, kind: type[Action]) -> list[Action]:
        """Actions of one kind applied so far."""
        return [action for _, action in self.done if isinstance(action, kind)]

    def ended(self) -> bool:
        """Whether the process was told to end."""
        return bool(self.acted(ExitProcess))


def pool_of(
    policy: PoolPolicy, *, hung: int = 0, busy: int = 0, idle: int = 0, dying: int = 0, sending: int = 0
) -> SimulatedPool:
    """A pool with so many workers of each kind; the hung have just reached the limit, the others just begun."""
    pool = SimulatedPool(policy)
    pool.now -= policy.hung_after
    for _ in range(hung + busy + idle + dying + sending):
        pool.spawn()
    pool.ready()
    for worker in range(1, hung + 1):
        pool.take(worker)
    pool.now += policy.hung_after
    for worker in range(hung + 1, hung + busy + dying + 1):
        pool.take(worker)
    for worker in range(hung + busy + 1, hung + busy + dying + 1):
        pool.happen(worker, WorkerEvent.KILL)
    for worker in range(hung + busy + dying + 1, hung + busy + dying + sending + 1):
        pool.take(worker)
        pool.send(worker)
    return pool
