"""
Kill workers under load at random moments, and count what the kills did.

The load has several kinds of calls, in random order: calls of 0 to 0.4 ms that compute or sleep, calls that stay in
system calls for some milliseconds, with and without a lock, responses in pieces (the window shuts and opens around each
piece), calls of ``write()``, calls that log lines, calls that submit a task to the pool, calls that leave a cancel
callback, and finalizers that compute. In a finalizer the interpreter swallows a kill.
"""

from __future__ import annotations

import gc
import io
import logging
import random
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pastepool.core.policy import OverloadPolicy
from pastepool.core.states import Phase
from pastepool.errors import WorkerKilled
from pastepool.runtime.pool.worker import Worker
from pastepool.runtime.supervision.kill_ladder import KillLadder
from pastepool.runtime.window.interruption import interruption
from pastepool.runtime.window.window import _Absorbed
from pastepool.types import CallWindow
from tests.runtime.pools import Job, LivePool
from tests.waiting import WATCHDOG

LONGEST = 0.0004
OUTSTANDING = 60
_PIECES = 12

app_log = logging.Logger("tests.kill_stress", logging.INFO)
"""It is not made by ``getLogger``, so that no tool can add a handler to it."""


class Streaming(Job):
    """A response in pieces, with a ``close`` that also runs after a kill. It uses the window as ``wsgi.call`` does."""

    def run(self, window: CallWindow) -> None:
        self.events.append("run")
        window.open(self.serial)
        try:
            for _ in range(_PIECES):
                self.work()
                window.shut()
                window.open(self.serial)
            window.shut()
        finally:
            window.shut()
            window.open_for_close(self.serial)
            self.work()
            window.shut()


class Writing(Job):
    """An application that answers with ``write()``."""

    def run(self, window: CallWindow) -> None:
        self.events.append("run")
        window.open(self.serial)
        for _ in range(_PIECES):
            self.work()
            self.write(window)
        window.shut()

    def write(self, window: CallWindow) -> None:
        window.shut()
        window.open(self.serial)


@dataclass
class Account:
    """
    The result of a run. Each list has faults of one kind, so it has to stay empty.

    ``kills``: tasks that were killed. ``refused``: kills that could not be made at that moment. ``again``: repeated
    kills. ``landed``: killed tasks in which the exception was raised. ``swallowed``: kills that landed in a finalizer
    or in a callback of a weak reference.
    """

    kills: int = 0
    refused: int = 0
    again: int = 0
    tasks: int = 0
    landed: int = 0
    swallowed: int = 0
    innocent_hit: list[str] = field(default_factory=list)
    not_run_once: list[str] = field(default_factory=list)
    survived: list[str] = field(default_factory=list)
    lost_workers: list[str] = field(default_factory=list)
    polled_together: list[str] = field(default_factory=list)
    errors_logged: list[str] = field(default_factory=list)
    locks_left: list[str] = field(default_factory=list)
    unraisable: list[str] = field(default_factory=list)

    @property
    def faults(self) -> dict[str, list[str]]:
        """Return the faults by their kind, at most five of each kind. Empty if there is none."""
        return {name: value[:5] for name, value in vars(self).items() if isinstance(value, list) and value}


class Finalized:
    """An object whose finalizer takes some time. The finalizer also works if a kill ended ``__init__`` early."""

    last_words: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, last_words: Callable[[], None]) -> None:
        self.last_words = last_words

    def __del__(self) -> None:
        self.last_words()


class _Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


class Stress:
    """A pool of ``workers``, a thread that gives it tasks, and the calling thread, which kills."""

    def __init__(self, workers: int = 4, seed: int = 1) -> None:
        self.account = Account()
        self.jobs: list[Job] = []
        self.victims: dict[int, Worker] = {}
        self.live = LivePool(workers, overload=OverloadPolicy(queue_limit=10**9, queue_timeout=600.0))
        self._random = random.Random(seed)
        self._workers = workers
        self._stopped = False
        self._unfinished = threading.Semaphore(OUTSTANDING)
        self._lock = threading.Lock()
        self._own = threading.RLock()
        self._handler = logging.StreamHandler(io.StringIO())

    def run(self, kills: int) -> Account:
        """Kill ``kills`` tasks, wait until all tasks and killed workers have ended, and return what happened."""
        with (
            _watched_logs(self._handler) as errors,
            _counted_unraisable(self.account),
            frequent_switches(),
            _no_callbacks_of_the_collector(),
            interrupted_system_calls(),
            self.live,
        ):
            self.live.pool.changed = self._replace
            feeder = threading.Thread(target=self._feed, name="feeder")
            feeder.start()
            try:
                while len(self.victims) < kills:
                    self._kill_one()
            finally:
                self._stopped = True
                self._unfinished.release(OUTSTANDING)
                feeder.join()
            self._settle(errors)
        return self.account

    def _feed(self) -> None:
        while not self._stopped:
            self._unfinished.acquire()
            job = self._job()
            self.jobs.append(job)
            self.live.feed.add(job)

    def _job(self) -> Job:
        kind = self._random.randrange(10)
        if kind == 0:
            job: Job = Job(lambda: None)
        elif kind == 1:
            job = Job(self._compute)
        elif kind == 2:
            job = Job(self._sleep)
        elif kind == 3:
            job = Streaming(self._compute_briefly)
        elif kind == 4:
            job = Writing(self._compute_briefly)
        elif kind == 5:
            job = Job(self._log_lines)
        elif kind == 6:
            job = Job(self._compute)
            job.cancellations = [self._sleep]
        elif kind == 7:
            job = Job(self._drop)
        elif kind == 8:
            job = Job(self._wait)
        else:
            job = Job(self._call_the_pool)
        conclude = job.conclude

        def concluded(now: float) -> None:
            conclude(now)
            self._unfinished.release()

        job.conclude = concluded  # type: ignore[method-assign]
        return job

    def _compute(self) -> None:
        until = time.perf_counter() + random.uniform(0, LONGEST)
        while time.perf_counter() < until:
            pass

    def _compute_briefly(self) -> None:
        until = time.perf_counter() + random.uniform(0, LONGEST / _PIECES)
        while time.perf_counter() < until:
            pass

    def _sleep(self) -> None:
        time.sleep(random.uniform(0, LONGEST))

    def _wait(self) -> None:
        """Stay in system calls long enough to be interrupted in one."""
        for _ in range(3):
            select.select([], [], [], random.uniform(0, 4 * LONGEST))
            with self._own:
                time.sleep(LONGEST)

    def _drop(self) -> None:
        Finalized(self._compute)

    def _log_lines(self) -> None:
        for number in range(5):
            app_log.info("line %d", number)

    def _call_the_pool(self) -> None:
        """Submit a task from inside a call, as an application does with ``add_task``."""
        job = Job()
        job.arrived_at = self.live.clock.now()
        self.jobs.append(job)
        self.live.baton.submit(job)

    def _replace(self) -> None:
        """Forget the workers that have gone, and spawn as many. No supervisor runs here that would do it."""
        with self._lock:
            pool = self.live.pool
            gone = [worker for worker in list(pool.workers.values()) if worker.phase is Phase.GONE]
            for worker in gone:
                pool.forget(worker.worker_id)
            if not self._stopped or gone:
                for _ in range(self._workers - len(pool.workers)):
                    pool.spawn()

    def _kill_one(self) -> None:
        workers = [worker for worker in list(self.live.pool.workers.values()) if worker.phase is Phase.BUSY]
        if not workers:
            time.sleep(0.0001)
            return
        worker = self._random.choice(workers)
        fact = worker.fact
        if fact[0] is not Phase.BUSY or fact[2] is None:
            return
        if self._random.random() < 0.5:
            time.sleep(self._random.uniform(0, LONGEST))
        ladder, serial, now = KillLadder(False), fact[2].serial, self.live.clock.now()
        if not ladder.kill(worker, serial, now):
            self.account.refused += 1
            return
        ladder.finish()
        self.victims[serial] = worker
        for _ in range(self._random.choice((0, 0, 0, 1, 4))):
            self.account.again += ladder.kill(worker, serial, now)

    def _settle(self, errors: list[str]) -> None:
        account = self.account
        account.tasks = len(self.jobs)
        account.kills = len(self.victims)
        deadline = time.monotonic() + WATCHDOG
        for worker in self.victims.values():
            worker.thread.join(max(0.0, deadline - time.monotonic()))
            if worker.thread.is_alive():
                account.survived.append(worker.name)
        for job in self.jobs:
            job.done.wait(max(0.0, deadline - time.monotonic()))
            killed = job.serial in self.victims
            once = (job.events.count("run"), job.events.count("conclude")) == (1, 1)
            # A task that submits another one may be killed before it does so. Then the other one has no events.
            if not once and (killed or job.events):
                account.not_run_once.append(f"{job.title()}: {job.events}")
            account.landed += killed and job.error is not None
            if job.error is not None and not killed:
                account.innocent_hit.append(f"{job.title()}: {job.error!r}")
        account.polled_together += self.live.feed.intruders
        account.errors_logged += errors
        self._look_for_the_lost()
        if not self._own.acquire(timeout=1.0):
            account.locks_left.append("the application's own lock")
        if not self._handler.lock.acquire(timeout=1.0):  # type: ignore[union-attr]
            account.locks_left.append("the lock of a logging handler")
        else:
            self._handler.lock.release()  # type: ignore[union-attr]

    def _look_for_the_lost(self) -> None:
        """Give each worker a task that waits for all the others. If one does not come, note every worker as lost."""
        meeting = threading.Barrier(self._workers + 1)
        self.live.run(*[lambda: meeting.wait(WATCHDOG)] * self._workers)
        try:
            meeting.wait(WATCHDOG)
        except threading.BrokenBarrierError:
            workers = self.live.pool.workers.values()
            self.account.lost_workers += [f"{worker.name}: {worker.fact}" for worker in workers]


@contextmanager
def _watched_logs(handler: logging.Handler) -> Iterator[list[str]]:
    errors = _Errors()
    ours = logging.getLogger("pastepool")
    ours.addHandler(errors)
    app_log.addHandler(handler)
    try:
        yield errors.lines
    finally:
        ours.removeHandler(errors)
        app_log.removeHandler(handler)


@contextmanager
def _counted_unraisable(account: Account) -> Iterator[None]:
    """Count the exceptions that the interpreter swallows. Kills are allowed here; every other exception is a fault."""

    def swallowed(raised: sys.UnraisableHookArgs) -> None:
        if raised.exc_type in (WorkerKilled, _Absorbed):
            account.swallowed += 1
        else:
            account.unraisable.append(f"{raised.exc_type.__name__} in {raised.object!r}")

    before, sys.unraisablehook = sys.unraisablehook, swallowed
    try:
        yield
    finally:
        sys.unraisablehook = before


@contextmanager
def frequent_switches() -> Iterator[None]:
    """Switch threads ten times as often as usual. So kills hit more places, and threads wait less for the GIL."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


@contextmanager
def interrupted_system_calls() -> Iterator[None]:
    """Have the signal installed, as a supervisor does where the interpreter can end system calls."""
    user = object()
    interruption.begin(user)
    try:
        yield
    finally:
        interruption.end(user)


@contextmanager
def _no_callbacks_of_the_collector() -> Iterator[None]:
    """
    Remove the callbacks of the garbage collector for a while.

    Tools of other tests leave such callbacks behind. A callback runs in any thread that collects garbage. The
    interpreter swallows a kill that is raised in one and reports it. This test does not look for that.
    """
    before = gc.callbacks[:]
    gc.callbacks.clear()
    try:
        yield
    finally:
        gc.callbacks[:] = before


def report(account: Account) -> str:
    """Return the figures as one line of text, for a person who runs the long test by hand."""
    figures = {name: value for name, value in vars(account).items() if isinstance(value, int)}
    return f"{sys.version.split()[0]}: {figures} {account.faults}"
