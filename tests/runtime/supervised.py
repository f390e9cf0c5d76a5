"""A pool with its supervisor on a clock that the test moves: threads are real, time and their starting are not."""

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
from pastepool.runtime.pool.leading import Leading
from pastepool.runtime.pool.worker import Worker
from pastepool.server.assembly import assemble_base, assemble_pool
from pastepool.testing import FakeClock, StepSpawner
from tests.runtime.pools import WATCHDOG, Job, Telling

LOGGER = "tests.supervised"


def until(condition: Callable[[], object], what: str) -> None:
    """Look often until something is so."""
    deadline = time.monotonic() + WATCHDOG
    while not condition():
        assert time.monotonic() < deadline, what


class Call(Job):
    """
    A call that lasts until it is released, on a worker of its own.

    It waits in Python, so that a kill lands; ``blocked`` ones wait for a lock, where it does not. ``stubborn`` ones
    swallow it.
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
            except SystemExit:
                if not self._stubborn:
                    raise
                self.swallowed += 1

    def _compute(self) -> None:
        while self._released.locked():
            time.sleep(0.001)


class Inspector:
    """Finds every thread in the same place."""

    def look(self, ident: int, native_id: int, now: float) -> Diagnosis:
        return Diagnosis(frames=(CodePlace("app/db.py", 88, "fetch"),), syscall="recvfrom", waits_for="10.0.0.5:5432")


class Supervised:
    """
    The parts of a pool, put together; a context manager that ends all its threads.

    ``automatic``: threads start as they are spawned. Otherwise the test starts them. The baton stays where it is: tasks
    are offered. ``run`` puts the supervisor on a thread; without it the test calls ``look``.
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

    # What is there.

    @property
    def workers(self) -> list[Worker]:
        return list(self.pool.workers.values())

    def facts(self) -> list[tuple[int, Phase]]:
        return [(worker.worker_id, worker.phase) for worker in self.workers]

    def number(self, *statuses: Status) -> int:
        """How many workers are called one of these now."""
        now = self.clock.now()
        return sum(classify(record, now, self.policy) in statuses for record in self.pool.records())

    def await_idle(self, count: int) -> None:
        """Wait until so many workers have lain down."""
        until(lambda: self.baton.follower_count == count, f"{count} workers are idle: {self.facts()}")

    def await_live(self, count: int) -> None:
        """Wait until no more than so many are in the table."""
        until(lambda: len(self.pool.workers) == count, f"{count} workers: {self.facts()}")

    # What happens.

    def call(self, **kind: bool) -> Call:
        """One request that does not end by itself, given to an idle worker."""
        return self.call_of(Call(**kind))

    def call_of(self, call: Call) -> Call:
        """The same with a call of the test's own."""
        self.calls.append(call)
        call.arrived_at = self.clock.now()
        assert self.baton.follower_count, "nobody is idle"
        assert self.baton.offer(call)
        assert call.entered.wait(WATCHDOG)
        return call

    def wait_in_line(self) -> Call:
        """One request for which nobody is free."""
        call = Call()
        call.release()
        call.arrived_at = self.clock.now()
        assert not self.baton.follower_count
        assert self.baton.offer(call)
        return call

    def finish(self, call: Call) -> None:
        """Let a call end, and wait until it is over."""
        call.release()
        assert call.done.wait(WATCHDOG)

    def advance(self, seconds: float) -> None:
        """Move time on: the supervisor's thread looks whenever it said it would, else the test looks once at the end."""
        if self._run:
            self.clock.advance(seconds)
            self.clock.settle()
        else:
            self.clock.advance(seconds)
            self.supervisor.look()

    def nudge(self) -> None:
        """Have the supervisor's thread look, and wait until it has."""
        self.supervisor.nudge()
        self.clock.settle()
