"""
Keep the table of workers: start them, forget them, and report what each does. Decides nothing, knows no HTTP.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable
from dataclasses import replace

from pastepool.core.dispatch import LongKinds
from pastepool.core.policy import PoolPolicy
from pastepool.core.states import Phase, Record, TaskSummary
from pastepool.errors import KILL_EXCEPTIONS
from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.pool.baton import Baton
from pastepool.runtime.pool.clearing import Clearing
from pastepool.runtime.pool.leading import Leading
from pastepool.runtime.pool.tally import Tally
from pastepool.runtime.pool.worker import Fact, OwnPool, Worker
from pastepool.runtime.system.clock import MonotonicClock
from pastepool.types import Clock, Seconds, Spawner, WorkerId


class Pool:
    """
    The table of workers.

    Large because workers read from it, with one look-up each, what they need with every task.

    ``workers``: by id; written under ``_lock``; readers on other threads copy it. ``expected_wait``, ``long_kinds``:
    estimates that the dispatch rules use (``core.dispatch``); every worker writes them. ``leading``: how leaders find
    tasks. ``start_failed_at``: when the system last had no thread for a worker; minus infinity if never. ``changed``:
    called when a worker cannot be started, when one ends, when one ends a call longer than ``long_call``, and when a
    submitted task has to wait; must return at once. ``clearing``: clears away what killed calls have left.
    ``kill_exception``: what a kill raises in them.
    """

    def __init__(
        self,
        baton: Baton,
        policy: PoolPolicy,
        clock: Clock,
        spawn: Spawner,
        leading: Leading,
        tally: Tally,
        changed: Callable[[], None],
        logger: str,
        make_worker: Callable[[WorkerId, str, OwnPool, Baton, Clock], Worker] = Worker,
    ) -> None:
        self.workers: dict[WorkerId, Worker] = {}
        self.expected_wait = 0.0
        self.long_kinds = LongKinds()
        self.leading = leading
        self.changed = changed
        self.long_call = policy.hung_after
        self.kill_exception = KILL_EXCEPTIONS[policy.kill_exception]
        self.tally = tally
        self.start_failed_at = -math.inf
        self.clearing = Clearing(MonotonicClock(), spawn)  # it is about processor time, which no test can move
        self._baton = baton
        self._clock = clock
        self._spawn = spawn
        self._make_worker = make_worker
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._empty = threading.Event()
        self._closing = False
        self._log = scribbled(logger)

    def share_ready(self) -> None:
        """
        Read the requests that other clients have sent already, and give them to followers and to the backlog.

        If calls are long, some worker becomes free at almost any moment. If that worker finds a task in the backlog, it
        need not become the leader or fall asleep first. Measured with calls of 0.5 ms. Runs on: the leader, before a
        call of its own.
        """
        baton = self._baton
        tasks = self.leading.ready_tasks(baton.follower_count + len(self.workers))
        if not tasks:
            return
        now = self._clock.now()
        for task in tasks:
            task.arrived_at = now
        for task in baton.offer_all(tasks):
            self.leading.refuse(task)

    def spawn(self) -> Worker | None:
        """
        Start one worker. Returns None if the pool is closing, or if the system has no thread left, which is logged.
        """
        worker_id = next(self._ids)
        worker = self._make_worker(worker_id, f"pastepool worker {worker_id}", self, self._baton, self._clock)
        with self._lock:
            if self._closing:
                return None  # ``close`` has told all workers to leave, and would miss this one
            self.workers[worker_id] = worker
            self._empty.clear()
        try:
            self._spawn(worker.main, worker.name)
        except RuntimeError as error:
            self.start_failed_at = self._clock.now()
            self._log.error(
                "%s cannot be started: %s. Lower threadpool_max_workers or raise the limit (ulimit -u).",
                worker.name,
                error,
            )
            self.forget(worker_id)
            self.changed()
            return None
        self.tally.count("spawned")
        return worker

    def report_ready(self, worker: Worker) -> None:
        """Log that a worker is ready. Runs on: the worker, before its first turn."""
        self._log.debug("%s is ready (native id %d)", worker.name, worker.native_id)

    def report_exit(self, worker: Worker) -> None:
        """Log that a worker ends, or forget it if the pool is closing. Runs on: the worker, as its last act."""
        if self._closing:
            self.forget(worker.worker_id)
        else:
            self._log.info("%s is gone after %d requests", worker.name, worker.served)
        self.changed()

    def forget(self, worker_id: WorkerId) -> None:
        """Remove a worker that has ended. Runs on: supervisor; while the pool is closing, also the worker itself."""
        with self._lock:
            worker = self.workers.pop(worker_id, None)
            if worker is not None and worker.ident:
                self.tally.retire(worker.tally)
                self.tally.count("gone")
            if not self.workers:
                self._empty.set()

    def records(self) -> list[Record]:
        """Return a record of each worker, from which the plan is made. The list is a copy."""
        with self._lock:
            workers = list(self.workers.values())
        now = self._clock.now()
        return [record_of(worker.worker_id, worker.fact, now) for worker in workers]

    def close(self) -> None:
        """Tell every worker to leave at its next turn; followers leave now. Does not wait."""
        with self._lock:
            self._closing = True
            workers = list(self.workers.values())
        self.clearing.close()
        for worker in workers:
            worker.leaving = True
        for worker in workers:
            self._baton.dismiss(worker)
            if worker.phase is Phase.GONE:  # it ended before ``_closing`` was set, and the supervisor looks no more
                self.forget(worker.worker_id)

    def join(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds until all workers have left. Returns whether they have."""
        with self._lock:
            if not self.workers:
                return True
        return self._empty.wait(timeout)


def record_of(worker: WorkerId, fact: Fact, now: Seconds) -> Record:
    """Return a worker's record. ``fact``: ``Worker.fact``, which the caller has read once. Runs on: any thread."""
    phase, since, task = fact
    if task is None:
        return Record(worker, phase, since)
    summary = TaskSummary(task.title(), task.serial, task.started_at, task.kill_after)
    wait = task.client_wait
    if wait is not None:
        sending_since = wait.since
        stalled_since = math.inf if sending_since is None else wait.stalled_since(now)
        summary = replace(summary, sending_since=sending_since, stalled_since=stalled_since, sent_for=wait.lasted)
    return Record(worker, phase, since, summary)
