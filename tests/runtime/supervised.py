"""A pool with its supervisor, on real threads. The test moves the clock, and may start each thread itself."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from pastepool.core.policy import OverloadPolicy, PoolPolicy
from pastepool.core.states import Phase, Status, classify
from pastepool.core.telling.notices import Notice
from pastepool.core.telling.report import CodePlace, Diagnosis
from pastepool.errors import WorkerKilled
from pastepool.pooling.assembly import assemble_base, assemble_pool
from pastepool.runtime.pool.leading import Leading
from pastepool.runtime.pool.worker import Worker
from pastepool.testing import FakeClock, StepSpawner
from tests.runtime.pools import Job, Telling
from tests.waiting import WATCHDOG, until

LOGGER = "tests.supervised"


class Call(Job):
    """
    A call that lasts until the test releases it. It occupies one worker.

    It waits in a loop of Python code, where a kill takes effect. ``blocked``: it waits for a lock instead, where a kill
    has no effect. ``stubborn``: it swallows the exception and waits on. ``swallowed``: how often it did.
    """

    def __init__(self, *, blocked: bool = False, stubborn: bool = False) -> None:
        super().__init__(self._last)
        self.entered = threading.Event()
        self.swallowed = 0
        self._blocked = blocked
        self._stubborn = stubborn
        self._released = threading.Lock()
        self._released.acquire()

    def release(self) -> None:
        if self._released.locked():
            self._released.release()

    def _last(self) -> None:
        self.entered.set()
        if self._blocked:
            self._released.acquire()
            return
        while True:
            try:
                self._compute()
                return
            except WorkerKilled:
                if not self._stubborn:
                    raise
                self.swallowed += 1

    def _compute(self) -> None:
        while self._released.locked():
            time.sleep(0.001)


class Inspector:
    """An inspector that finds every thread in the same place: blocked in ``recvfrom``."""

    def look(self, ident: int, native_id: int, now: float) -> Diagnosis:
        return Diagnosis(frames=(CodePlace("app/db.py", 88, "fetch"),), syscall="recvfrom", waits_for="10.0.0.5:5432")

    def remember_only(self, threads: object) -> None:
        """It remembers nothing."""


class Supervised:
    """
    A pool with its supervisor. It is a context manager that ends all its threads.

    ``automatic``: a thread starts as soon as it is spawned; otherwise the test starts it. ``run``: the supervisor runs
    on a thread of its own; otherwise the test calls ``look``. No worker takes the baton: the test offers tasks.
    """

    def __init__(
        self,
        *,
        automatic: bool = True,
        run: bool = False,
        mail_hung: bool = False,
        overload: OverloadPolicy | None = None,
        **policy: Any,
    ) -> None:
        self.clock = FakeClock()
        self.policy = PoolPolicy(**policy)
        self.spawner = StepSpawner()
        base = assemble_base(overload or OverloadPolicy(), self.clock, lambda: None, Telling(self._count_change))
        leading = Leading(lambda: None, lambda most: [], lambda task: None, lambda: None)
        self.automatic = automatic
        self.mails: list[Notice] = []
        self.ends: list[str] = []
        self.baton, self.journal = base.baton, base.journal
        _, self.pool, self.supervisor = assemble_pool(
            base,
            self.policy,
            leading,
            end_process=self.ends.append,
            logger=LOGGER,
            spawn=self._spawn,
            inspector=Inspector(),  # type: ignore[arg-type]
            mail=self.mails.append,
            mail_hung=mail_hung,
        )
        self.changes = 0
        self.calls: list[Call] = []
        self._run = run
        self._thread = threading.Thread(target=self.supervisor.run, name="supervisor")

    def _spawn(self, body: Callable[[], None], name: str) -> None:
        self.spawner(body, name)
        if self.automatic:
            self.spawner.release(name)

    def _count_change(self) -> None:
        self.changes += 1

    def __enter__(self) -> Supervised:
        logging.getLogger(LOGGER).setLevel(logging.INFO)
        for _ in range(self.policy.workers):
            self.pool.spawn()
        if self.automatic:
            self.await_idle(self.policy.workers)
        if self._run:
            self._thread.start()
            self.clock.settle()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.supervisor.close()
        if self._run:
            self._thread.join(WATCHDOG)
        self.pool.close()
        for call in self.calls:
            call.release()
        while self.spawner.pending:
            self.spawner.step()
        assert self.pool.join(WATCHDOG) or error, self.facts()

    # The state of the pool.

    @property
    def workers(self) -> list[Worker]:
        return list(self.pool.workers.values())

    def facts(self) -> list[tuple[int, Phase]]:
        return [(worker.worker_id, worker.phase) for worker in self.workers]

    def number(self, *statuses: Status) -> int:
        """Return how many workers have one of these statuses now."""
        now = self.clock.now()
        return sum(classify(record, now, self.policy) in statuses for record in self.pool.records())

    def await_idle(self, count: int) -> None:
        """Wait until exactly ``count`` workers are idle."""
        until(lambda: self.baton.follower_count == count, f"{count} workers are idle: {self.facts()}")

    def await_live(self, count: int) -> None:
        """Wait until exactly ``count`` workers are in the table."""
        until(lambda: len(self.pool.workers) == count, f"{count} workers: {self.facts()}")

    # What a test can do.

    def call(self, **kind: bool) -> Call:
        """Give a call that does not end by itself to an idle worker. Returns when the call has begun."""
        return self.call_of(Call(**kind))

    def call_of(self, call: Call) -> Call:
        """Give a call that the test has made to an idle worker. Returns when the call has begun."""
        self.calls.append(call)
        call.arrived_at = self.clock.now()
        assert self.baton.follower_count, "nobody is idle"
        assert self.baton.offer(call)
        assert call.entered.wait(WATCHDOG)
        return call

    def wait_in_line(self) -> Call:
        """Offer a call while no worker is idle. It waits in the backlog, and ends at once when it runs."""
        call = Call()
        call.release()
        call.arrived_at = self.clock.now()
        assert not self.baton.follower_count
        assert self.baton.offer(call)
        return call

    def finish(self, call: Call) -> None:
        """Let a call end, and wait until it has ended."""
        call.release()
        assert call.done.wait(WATCHDOG)

    def advance(self, seconds: float) -> None:
        """
        Move the clock forward.

        If the supervisor has a thread, it makes each look that becomes due. Otherwise this makes one look, at the end.
        """
        if self._run:
            self.clock.advance(seconds)
            self.clock.settle()
        else:
            self.clock.advance(seconds)
            self.supervisor.look()

    def nudge(self) -> None:
        """Make the supervisor's thread look, and wait until it has done so."""
        self.supervisor.nudge()
        self.clock.settle()
