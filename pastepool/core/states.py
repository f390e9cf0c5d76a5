"""
Define which phases a worker can be in, which events can happen to it, and which status a person is shown for it.

Knows one worker at a time: its phase, since when, and what it runs. Knows no thread, no clock and no log. No duration
is stored. *hung* means busy for too long, and *zombie* means dying for too long. Both are computed from a record,
``now`` and the policy. *sending* means busy, but only because a client does not read. This time does not count.
"""

from __future__ import annotations

import enum
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pastepool.core.policy import PoolPolicy
from pastepool.errors import InternalError
from pastepool.types import Seconds, WorkerId


class Phase(enum.Enum):
    """What is stored about a worker. Only events change it."""

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
    """What a person is shown. It is computed from the phase and from how long the phase has lasted (contract P3)."""

    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    SENDING = "sending"
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
For each phase and each event, the phase that follows. An event that is not listed for a phase is a bug of ours
(docs/reference/states.md).

``FINISHED`` while dying means that the application swallowed the kill: the worker stays dying and has to leave.
"""

_PLAIN_STATUS: Mapping[Phase, Status] = MappingProxyType({phase: Status(phase.value) for phase in Phase})


@dataclass(frozen=True)
class TaskSummary:
    """
    What a worker runs, as far as the pool knows it; the pool knows no HTTP.

    ``title``: any text for people (``GET /x``). ``serial``: a number that no other task of the process has, so a kill
    meant for this task cannot hit a later one. ``began_at``: when the application was called. A kill restarts
    ``Record.since``, but does not change ``began_at``. ``kill_after``: this task's own kill limit, in seconds from
    ``began_at``; ``None`` means the policy's limit, 0 means never. The code that sets it while the task runs nudges the
    supervisor. ``client``: who sent the request, for people.

    ``sending_since``: since when the worker has been waiting until the client has read more; ``None`` if it is not.
    ``stalled_since``: meanwhile, since when the client has read nothing. ``sent_for``: how many seconds the worker has
    waited for the client before. The code that changes ``sending_since`` nudges the supervisor.
    """

    title: str
    serial: int
    began_at: Seconds = 0.0
    kill_after: Seconds | None = None
    client: str = ""
    sending_since: Seconds | None = None
    stalled_since: Seconds = math.inf
    sent_for: Seconds = 0.0


@dataclass(frozen=True)
class Record:
    """
    One worker as the pool knows it.

    ``since``: the instant its phase began. ``task``: what it runs; ``None`` unless the worker is busy, or is dying and
    still in the call.
    """

    worker: WorkerId
    phase: Phase
    since: Seconds
    task: TaskSummary | None = None

    @property
    def serial(self) -> int:
        """Return the task's serial; 0 without a task. No task has the serial 0."""
        return 0 if self.task is None else self.task.serial

    @property
    def sending(self) -> bool:
        """Say whether the worker does nothing but wait until its client has read more."""
        return self.phase is Phase.BUSY and self.task is not None and self.task.sending_since is not None

    @property
    def sending_since(self) -> Seconds:
        """Return since when the worker has been waiting for its client; infinity if it is not."""
        since = None if self.task is None else self.task.sending_since
        return math.inf if since is None else since

    @property
    def stalled_since(self) -> Seconds:
        """Return since when the client that the worker waits for has read nothing; infinity if it waits for none."""
        return math.inf if self.task is None else self.task.stalled_since

    @property
    def counts_from(self) -> Seconds:
        """
        Return the instant from which limits count: when the phase began, plus the time that a busy worker has waited
        for its client.
        """
        return self.since + self.task.sent_for if self.phase is Phase.BUSY and self.task is not None else self.since

    @property
    def title(self) -> str:
        """Return the task's title; an empty text without a task."""
        return "" if self.task is None else self.task.title


def advance(record: Record, event: WorkerEvent, now: Seconds, task: TaskSummary | None = None) -> Record:
    """
    Return the record of a worker after one event, according to ``TRANSITIONS``.

    Args:
        record: the worker before the event.
        event: what happened.
        now: same clock as ``record.since``.
        task: the task that the worker took; required for ``TOOK``, not allowed for any other event.

    Returns:
        a new record. ``since`` becomes ``now`` only if the phase changed. Only ``KILL`` keeps the task.

    Raises:
        InternalError: the table does not list the event for this phase, ``TOOK`` came without a task, or another event
            came with one. Our bug.
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
    Return the status that a person is shown for one worker.

    The comparison is ``now >= since + limit`` and never ``now - since >= limit``. The two can differ by one rounding
    step, and the supervisor sleeps until exactly ``since + limit``.

    Args:
        record: ``phase``, ``since`` and what the task says of its client are read.
        now: same clock as ``record.since``.
        policy: ``hung_after`` and ``dying_for`` are read.

    Units: seconds, monotonic. Runs on: any thread; pure.

    Source: contract P3, P6, P9. At exactly the limit, two places in Paste disagree; we say hung.
    """
    if record.sending:
        return Status.SENDING
    if record.phase is Phase.BUSY and now >= record.counts_from + policy.hung_after:
        return Status.HUNG
    if record.phase is Phase.DYING and now >= record.since + policy.dying_for:
        return Status.ZOMBIE
    return _PLAIN_STATUS[record.phase]


def count_by_status(records: Iterable[Record], now: Seconds, policy: PoolPolicy) -> Counter[Status]:
    """Count the workers that have each status; a status that no worker has counts 0."""
    return Counter(classify(record, now, policy) for record in records)
