"""
A pool for the tests of the baton and of kills. ``Baton``, ``Pool`` and ``Caretaker`` are real; the poller is a list.
"""

from __future__ import annotations

import functools
import itertools
import math
import threading
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from types import TracebackType
from typing import Any

from pastepool.core.policy import OverloadPolicy, PoolPolicy
from pastepool.core.telling.masking import request_facts
from pastepool.core.telling.notices import Notice
from pastepool.pooling.assembly import assemble_base, assemble_pool
from pastepool.runtime.pool.caretaker import Caretaker
from pastepool.runtime.pool.leading import Leading
from pastepool.runtime.pool.task import ShedReason, Task, TaskOutcome, WaitForClient
from pastepool.runtime.system.clock import MonotonicClock
from pastepool.types import CallWindow
from tests.waiting import WATCHDOG


class Job:
    """A task that runs a callable. ``events``: what happened to it, in order, such as run, failed, killed, conclude."""

    kind: Hashable = "job"
    arrived_at = 0.0
    started_at = 0.0
    worker_name = ""
    kill_after: float | None = None
    client_wait: WaitForClient | None = None
    cancellations: Sequence[Callable[[], object]] | None = None
    environ: Mapping[str, object] | None = None
    peer: str | None = None
    _serials = itertools.count(1)

    def __init__(self, work: Callable[[], Any] = lambda: None) -> None:
        self.serial = next(self._serials)
        self.work = work
        self.events: list[str] = []
        self.error: BaseException | None = None
        self.done = threading.Event()

    def run(self, window: CallWindow) -> float | None:
        self.events.append("run")
        window.open(self.serial)
        self.work()
        window.shut()
        return None

    def title(self) -> str:
        return f"job {self.serial}"

    def described(self) -> Mapping[str, str]:
        return dict(request_facts(self.environ)) if self.environ else {}

    def outcome(self) -> TaskOutcome:
        return TaskOutcome()

    def failed(self, error: BaseException) -> None:
        self.error = error
        self.events.append("failed")

    def conclude(self, now: float) -> None:
        self.events.append("conclude")
        self.done.set()

    def killed(self, now: float) -> None:
        self.events.append("killed")

    def cut_if_waiting(self) -> bool:
        return False

    def refused(self, reason: ShedReason) -> None:
        self.events.append(reason.name)
        self.done.set()

    def dropped(self) -> None:
        self.events.append("dropped")
        self.done.set()


class Feed:
    """
    A poller that is a list of tasks. It notices when two threads poll at the same time.

    ``intruders``: the names of threads that polled while another thread polled. The baton has to prevent this.
    ``polled_by``: the name of the thread that polls now. ``on_poll``: called before the holder takes a task or waits.
    """

    def __init__(self) -> None:
        self.intruders: list[str] = []
        self.polled_by = ""
        self.on_poll: Callable[[], None] = lambda: None
        self.wakes = 0
        self._tasks: deque[Task] = deque()
        self._changed = threading.Condition()
        self._woken = False
        self._inside = threading.Lock()

    def add(self, *tasks: Task) -> None:
        """Let tasks arrive, as if requests had come."""
        with self._changed:
            self._tasks.extend(tasks)
            self._changed.notify()

    def wake(self) -> None:
        with self._changed:
            self.wakes += 1
            self._woken = True
            self._changed.notify()

    def next_task(self, until: float = math.inf) -> Task | None:
        if not self._inside.acquire(blocking=False):
            self.intruders.append(threading.current_thread().name)
            return None
        self.polled_by = threading.current_thread().name
        try:
            self.on_poll()
            with self._changed:
                timeout = None if until == math.inf else max(0.0, until - MonotonicClock.now())
                self._changed.wait_for(lambda: self._tasks or self._woken, timeout)
                if self._tasks:
                    return self._tasks.popleft()
                self._woken = False
                return None
        finally:
            self.polled_by = ""
            self._inside.release()

    def ready_tasks(self, most: int) -> list[Task]:
        with self._changed:
            return [self._tasks.popleft() for _ in range(min(most, len(self._tasks)))]

    def rest(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._woken, seconds)

    def wake_for_returned(self) -> None:
        """Do nothing: a job gives no connection back."""


class Telling(threading.Event):
    """The event that wakes a supervisor. It also calls ``tell`` each time it is set."""

    def __init__(self, tell: Callable[[], None]) -> None:
        super().__init__()
        self._tell = tell

    def set(self) -> None:
        super().set()
        self._tell()


class LivePool:
    """
    A pool that runs. It is a context manager that ends all its threads.

    ``caretaker``: runs on a thread of its own. ``supervisor``: has no thread here. ``mails``: notices it would mail.
    """

    def __init__(
        self,
        workers: int = 3,
        *,
        policy: PoolPolicy | None = None,
        overload: OverloadPolicy | None = None,
        caretaker: bool = True,
    ) -> None:
        self.clock = MonotonicClock()
        self.feed = Feed()
        self.policy = policy or PoolPolicy(workers=workers)
        overload = overload or OverloadPolicy(queue_limit=10**9)
        base = assemble_base(overload, self.clock, self.feed.wake, Telling(self._changed))
        self.baton = base.baton
        self.first_waiting = threading.Event()
        self.caretaker = Caretaker(self.baton, self.feed.wake, self.clock, self.first_waiting.set, base.note_shed)
        leading = Leading(
            self.feed.next_task, self.feed.ready_tasks, self.caretaker.refuse, self.feed.wake_for_returned
        )
        self.mails: list[Notice] = []
        _, self.pool, self.supervisor = assemble_pool(
            base,
            self.policy,
            leading,
            end_process=lambda reason: None,
            logger="pastepool.pool",
            mail=self.mails.append,
            mail_hung=True,
        )
        self.exits = threading.Semaphore(0)
        self._workers = workers
        take_care = functools.partial(self.caretaker.take_care, self.feed)
        self._thread = threading.Thread(target=take_care, name="caretaker") if caretaker else None

    def _changed(self) -> None:
        """Forget each worker as soon as it has gone. No supervisor runs here that would do it."""
        for worker in list(self.pool.workers.values()):
            if worker.phase.value == "gone":
                self.pool.forget(worker.worker_id)
                self.exits.release()

    def __enter__(self) -> LivePool:
        for _ in range(self._workers):
            self.pool.spawn()
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.caretaker.finish()
        self.pool.close()
        joined = self.pool.join(WATCHDOG)
        if self._thread is not None:
            self._thread.join(WATCHDOG)
        assert joined or error, [worker.fact for worker in self.pool.workers.values()]

    def run(self, *works: Callable[[], Any]) -> list[Job]:
        """Let one task arrive for each callable, and return the tasks."""
        jobs = [Job(work) for work in works]
        self.feed.add(*jobs)
        return jobs
