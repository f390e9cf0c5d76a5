"""
What a worker can be, what can happen to it, and what a person is told about it.

Knows one worker at a time: its phase, since when, and what it runs. Knows no thread, no clock and no log. Nothing with
a duration in it is stored: *hung* and *zombie* are phases that have lasted, computed from a record, ``now`` and policy.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pastepool.core.policy import PoolPolicy
from pastepool.errors import InternalError
from pastepool.types import Seconds, WorkerId


class Phase(enum.Enum):
    """The stored fact about a worker."""

    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    RETIRING = "retiring"
    DYING = "dying"
    GONE = "gone"


class WorkerEvent(enum.Enum):
    """What can happen to a worker. ``FINISHED``: its call returned or raised. ``EXITED``: its thread has ended."""

    READY = "ready"
    TOOK = "took"
    FINISHED = "finished"
    RETIRE = "retire"
    KILL = "kill"
    EXITED = "exited"


class Status(enum.Enum):
    """What a person is shown: phase plus time (contract P3)."""

    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    HUNG = "hung"
    RETIRING = "retiring"
    DYING = "dying"
    ZOMBIE = "zombie"
    GONE = "gone"


TRANSITIONS: Mapping[Phase, Mapping[WorkerEvent, Phase]] = MappingProxyType(
    {
        Phase.STARTING: MappingProxyType({WorkerEvent.READY: Phase.IDLE, WorkerEvent.EXITED: Phase.GONE}),
        Phase.IDLE: MappingProxyType(
            {WorkerEvent.TOOK: Phase.BUSY, WorkerEvent.RETIRE: Phase.RETIRING, WorkerEvent.EXITED: Phase.GONE},
        ),
        Phase.BUSY: MappingProxyType(
            {WorkerEvent.FINISHED: Phase.IDLE, WorkerEvent.KILL: Phase.DYING, WorkerEvent.EXITED: Phase.GONE},
        ),
        Phase.RETIRING: MappingProxyType({WorkerEvent.EXITED: Phase.GONE}),
        Phase.DYING: MappingProxyType({WorkerEvent.FINISHED: Phase.DYING, WorkerEvent.EXITED: Phase.GONE}),
        Phase.GONE: MappingProxyType({}),
    }
)
"""
Where each event takes each phase; an empty cell is a bug of ours (docs/reference/states.md).

``FINISHED`` while dying is an application that swallowed the kill: the worker stays dying and has to leave.
"""

_PLAIN_STATUS: Mapping[Phase, Status] = MappingProxyType({phase: Status(phase.value) for phase in Phase})


@dataclass(frozen=True)
class TaskSummary:
    """
    What a worker runs, as far as the pool is concerned; the pool knows no HTTP.

    ``title``: for people, any text (``GET /x``). ``serial``: tells this task from every other one of the process, so
    that a kill meant for it hits no later one. ``began_at``: when the application was called; it outlives the kill,
    which restarts ``Record.since``. ``kill_after``: seconds from ``began_at`` that replace the policy's; ``None`` means
    the policy's, 0 means never; whoever sets it while the task runs nudges the supervisor. ``client``: who asked, for
    people.
    """

    title: str
    serial: int
    began_at: Seconds = 0.0
    kill_after: Seconds | None = None
    client: str = ""


@dataclass(frozen=True)
class Record:
    """
    One worker as the pool knows it.

    ``since``: instant the phase began. ``task``: what it runs; ``None`` unless busy, or dying and still in the call.
    """

    worker: WorkerId
    phase: Phase
    since: Seconds
    task: TaskSummary | None = None

    @property
    def serial(self) -> int:
        """The task's serial; 0, which no task has, without a task."""
        return 0 if self.task is None else self.task.serial

    @property
    def title(self) -> str:
        """The task's title; empty without a task."""
        return "" if self.task is None else self.task.title


def advance(record: Record, event: WorkerEvent, now: Seconds, task: TaskSummary | None = None) -> Record:
    """
    Move one worker along the table.

    Args:
        record: where it is.
        event: what happened.
        now: same clock as ``record.since``.
        task: what it took; for ``TOOK`` only, and there required.

    Returns:
        a new record. ``since`` becomes ``now`` only if the phase changed; the task survives a kill and nothing else.

    Raises:
        InternalError: the table has no such cell, or ``TOOK`` came without a task. Our bug.
    """
    phase = TRANSITIONS[record.phase].get(event)
    if phase is None:
        raise InternalError(f"worker {record.worker} is {record.phase.value}: {event.value!r} cannot happen to it")
    if (task is None) is (event is WorkerEvent.TOOK):
        raise InternalError(
            f"worker {record.worker}: {event.value!r} came {'without' if task is None else 'with'} a task"
        )
    kept = record.task if event is WorkerEvent.KILL else task
    return Record(record.worker, phase, record.since if phase is record.phase else now, kept)


def classify(record: Record, now: Seconds, policy: PoolPolicy) -> Status:
    """
    Say what a person should be told about one worker.

    The comparison is against ``since + limit`` and never against ``now - since``: they differ by one rounding step, and
    the supervisor sleeps until the former.

    Args:
        record: phase and the instant it began.
        now: same clock as ``record.since``.
        policy: ``hung_after`` and ``dying_for`` are read.

    Units: seconds, monotonic. Runs on: any thread; pure.

    Source: contract P3, P6, P9. At exactly the limit Paste is of two minds; we say hung.
    """
    if record.phase is Phase.BUSY and now >= record.since + policy.hung_after:
        return Status.HUNG
    if record.phase is Phase.DYING and now >= record.since + policy.dying_for:
        return Status.ZOMBIE
    return _PLAIN_STATUS[record.phase]


def count_by_status(records: Iterable[Record], now: Seconds, policy: PoolPolicy) -> Counter[Status]:
    """Count workers by what a person is told about them; a status nobody has counts 0."""
    return Counter(classify(record, now, policy) for record in records)
