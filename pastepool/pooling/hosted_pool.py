"""
``HostedPool``: the pool of our server for the program of somebody else. ``pastepool.WorkerPool`` adds the page to it.

A pool serves in the process that starts it. Its parts work once: ``start`` after a ``stop``, and the first work after a
fork, find new ones. So a pool may be made, and may be given work, before its program becomes a daemon (contract F2).
"""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import Callable, Collection, MutableMapping
from dataclasses import replace
from typing import Any

from pastepool.core.states import Phase, Record, Status, classify
from pastepool.core.wording import counted
from pastepool.errors import NoThread, StartError
from pastepool.pooling.backlog_waits import BacklogWaits
from pastepool.pooling.executor import PoolExecutor
from pastepool.pooling.hosted import HostedRequest, HostTask
from pastepool.pooling.hosting import LOOK_EVERY, HostedParts, assemble_hosted, unlimited
from pastepool.pooling.keywords import read_keywords
from pastepool.pooling.leftovers import tell_what_did_not_stop
from pastepool.pooling.stamp import Stamp
from pastepool.pooling.stamped_application import StampedApplication
from pastepool.pooling.work import CallableWork, Work
from pastepool.pooling.worker_counts import WorkerCounts
from pastepool.runtime.log import scribe
from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.pool.host_worker import HostWorker, worker_here
from pastepool.runtime.pool.task import ShedReason
from pastepool.runtime.pool.worker import Worker
from pastepool.runtime.system import forks
from pastepool.runtime.system.clock import MonotonicClock
from pastepool.runtime.system.threads import spawn_thread
from pastepool.runtime.watching.paste_pool import PastePool
from pastepool.runtime.window.interruption import interruption
from pastepool.types import Clock, Seconds, Spawner

_log = scribbled("pastepool")

_LOST = (Status.HUNG, Status.DYING, Status.ZOMBIE, Status.RETIRING, Status.GONE)
"""The statuses of workers that cannot be counted on."""

_LOST_AFTER: Seconds = 1.0
"""
After waiting this long for its host, a worker cannot be counted on either: no client takes so long between connecting and
sending. With a shorter time a burst would get more workers than ``most`` while the machine is busy.
"""

_ABLE = (Phase.STARTING, Phase.IDLE, Phase.BUSY)
"""The phases of workers that take another piece of work after the present one, unless they were told to leave."""

POOL_KEY = "paste.httpserver.thread_pool"
"""The key under which applications, and the page, find the pool."""

_LEAVE_FOR: Seconds = 0.5
"""How long idle workers and the mailer have to end after the time for ``stop`` is over. They need milliseconds."""


class HostedPool:
    """
    A pool of threads that outlives work that hangs: it reports such work with its stack, adds workers in the place of
    those that hang, and kills them at the kill limit.

    Large because it is everything that a program may ask of a pool, and the order in which the parts of one begin and
    end.

    ``name``: of the program, for log and page. ``settings``: the effective options. ``most``: as in the constructor; it may
    be changed at any time. ``counts``: what the program counts for each worker. ``now``, ``waits``: for its tasks. Runs on:
    any thread; only one thread at a time may call ``start`` or ``stop``. All fields are written under ``_lock``, except
    those that ``start`` and ``stop`` alone write.
    """

    def __init__(
        self,
        name: str = "pastepool",
        *,
        most: int | None = None,
        end_process: Callable[[str], None] | None = None,
        clock: Clock | None = None,
        spawn: Spawner = spawn_thread,
        **options: object,
    ) -> None:
        """
        Make a pool. It starts no thread.

        Args:
            name: what the page and the log call the program that uses the pool.
            most: how many workers there may be that do not hang. More than ``workers`` are started when work would have
                to wait, and leave when they were idle for ``idle_timeout``. None: as many as ``workers``.
            end_process: called with the reason when there are more zombies than allowed; the default is a SIGTERM to
                this process. Runs on: supervisor.
            clock: tells the time; for tests.
            spawn: starts a worker's thread; for tests.
            options: those of an INI file that concern the pool, with or without ``threadpool_``: ``workers``,
                ``max_workers``, ``hung_thread_limit``, ``kill_thread_limit``, ``queue_limit``, ``error_email`` and so on
                (``docs/reference/options.md``).

        Raises: SettingsError: a keyword is unknown or has a bad value.
        """
        if most is not None and "max_workers" not in options and "threadpool_max_workers" not in options:
            options["max_workers"] = min(4 * most, 10000)
        if most is not None and not {"spawn_if_under", "threadpool_spawn_if_under"} & options.keys():
            options["spawn_if_under"] = 0  # it is ``most``, see below
        settings = read_keywords(options, name)
        self.name = name
        self.most = max(settings.pool.workers, most or 0)
        if most is not None:  # also where work waits already, because workers have become hung
            settings = replace(settings, pool=replace(settings.pool, spawn_if_under=self.most))
        self.settings = settings if "queue_limit" in options else unlimited(settings)
        self._end_process = end_process or _end_by_signal
        self._clock = clock or MonotonicClock()
        self.now = self._clock.now
        self._spawn = spawn
        self._lock = threading.Lock()
        self._ended = threading.Condition(self._lock)
        self.counts = WorkerCounts(self.running)
        self.waits = BacklogWaits()
        self._make_parts()

    def _make_parts(self) -> None:
        self.waits.full_since = None
        self._tasks: set[HostTask] = set()
        self._looked_at: Seconds = -math.inf
        self._stopping = False
        self._started = False
        self._forked_from = 0
        self._parts: HostedParts = assemble_hosted(
            self.settings, self.name, self._clock, self._end_process, self._is_stopping, self.submit, self._spawn
        )

    def _is_stopping(self) -> bool:
        return self._stopping

    def _after_fork(self) -> None:
        """Start a pool that ran when the process was forked. Warns once, because its program may not expect that."""
        parent, self._forked_from = self._forked_from, 0
        _log.warning(
            "the pool of %s was started in process %d, and this is process %d, a fork of it: it starts again with %d "
            "workers; what the parent runs stays there. Start the pool after the fork, or not at all: it starts with its"
            " first work.",
            self.name,
            parent,
            os.getpid(),
            self.settings.pool.workers,
        )
        self.start()

    # The life.

    def start(self) -> None:
        """
        Start the workers and the supervisor, in the process that will serve. A second call does nothing.

        Raises: StartError: the system has no thread left.
        """
        with self._lock:
            if self._started:
                return
            if self._stopping:
                self._make_parts()
            self._started = True
            self._forked_from = 0
        parts = self._parts
        try:
            scribe.begin()
            forks.watch(self)
            for note in self.settings.notes:
                _log.info("%s", note)
            parts.mailer.start()
            for _ in range(self.settings.pool.workers):
                parts.pool.spawn()
            workers = counted(self.settings.pool.workers, "worker")
            parts.base.journal.note("spawned", f"spawn {workers}: the pool starts")
            spawn_thread(parts.supervisor.run, "pastepool supervisor")
        except NoThread as error:
            self.stop(0)
            raise StartError(f"The threads of the pool of {self.name} cannot be started: {error}.") from error

    def stop(self, timeout: Seconds | None = 5.0) -> bool:
        """
        Take no more work, finish what was taken, and end all threads. Work that no worker took in time is refused.

        Args:
            timeout: how many seconds the work may take; None for ever. Threads that still run then are left alone: they
                keep no process from ending.

        Returns: whether all work has ended.
        Runs on: any thread, also a worker of the pool, which then is not waited for.
        """
        with self._lock:
            started, self._stopping = self._started, True
            own = self._own_worker()
            mine = 0 if own is None else 1
            parts = self._parts
        self.waits.tell()
        with self._lock:
            if started:
                self._ended.wait_for(lambda: len(self._tasks) <= mine, timeout)
        rest = parts.base.baton.close()
        parts.supervisor.close()
        parts.sampler.close(_LEAVE_FOR)
        parts.pool.close()
        for task in rest:
            task.refused(ShedReason.STOPPING)
        if started:
            all_gone = len(self._tasks) <= mine
            if own is None:
                all_gone = parts.pool.join(_LEAVE_FOR)
            if not all_gone:
                tell_what_did_not_stop(worker for worker in list(parts.pool.workers.values()) if worker is not own)
            parts.mailer.close(_LEAVE_FOR)
            scribe.end(_LEAVE_FOR)
            forks.forget(self)
        with self._lock:
            self._started = False
            return len(self._tasks) <= mine

    @property
    def handled(self) -> Collection[int]:
        """Return no signal: a pool handles none (``forks.Forked``)."""
        return ()

    def in_child(self) -> None:
        """Give up everything that belongs to the parent process (``forks.Forked``)."""
        old, running = self._parts, self._started
        self._lock = threading.Lock()
        self._ended = threading.Condition(self._lock)
        interruption.in_child()
        for worker in old.pool.workers.values():
            worker.in_child()
        old.base.baton.in_child()
        self.waits = BacklogWaits()
        self._make_parts()
        self._forked_from = os.getppid() if running else 0

    # Work.

    def submit(
        self, work: Work | Callable[[], object], *, wait: bool = True, room_within: Seconds | None = 0.0
    ) -> bool:
        """
        Give a piece of work to a worker. Before ``start`` it waits for that.

        Args:
            work: a ``Work``, or a callable without arguments.
            wait: whether it may wait until a worker is free. If not, it is taken only if a worker is free or can be
                started; that is exact also when many threads submit at once.
            room_within: for how many seconds the backlog (``queue_limit``) may have been full: this call waits for the
                rest of them, None for ever. On a worker of this pool it does not wait.

        Returns: whether it was taken. If not, the pool stops, the backlog is full, or no worker is free.
        """
        # A check for an abstract class costs more than all the rest, so most work is not checked.
        piece: Any = work if not callable(work) or isinstance(work, Work) else CallableWork(work)
        if self._forked_from:
            self._after_fork()
        taken = self._offer(piece, wait)
        if not taken and room_within != 0.0 and self._own_worker() is None:

            def is_over() -> bool:
                nonlocal taken
                taken = self._offer(piece, wait)
                return taken or self._stopping

            self.waits.until(is_over, self.waits.left(room_within, self.now()))
        if taken:
            self.waits.full_since = None
        if self.waits.wanted:
            self.waits.tell()
        return taken

    def _offer(self, piece: Work, wait: bool) -> bool:
        with self._lock:
            if self._stopping:
                return False
            parts = self._parts
            baton = parts.base.baton
            task = HostTask(piece, next(parts.base.serials), self)
            if not baton.follower_count:
                task.arrived_at = self.now()
                if not wait and not (self._started and self._make_room(1)):
                    return False
            self._tasks.add(task)
            if not baton.offer(task):
                self._tasks.discard(task)
                return False
            waiting = len(baton.backlog) if self._started else 0
            if waiting and (not wait or len(parts.pool.workers) < self.most or self._is_due(task.arrived_at)):
                self._make_room(0)
        if waiting == 1:
            parts.pool.changed()  # the supervisor decides whether workers hang that must be replaced; it looks again itself
        return True

    def take_back(self, timeout: Seconds | None = 0.0) -> Work | None:
        """
        Take the piece of work away that has waited longest; no worker has it. Returns None if none came in time.

        ``timeout``: how many seconds to wait for one; None for ever.
        """
        found: list[Work] = []

        def came() -> bool:
            with self._lock:
                task = self._parts.base.baton.next_waiting()
                if isinstance(task, HostTask):
                    self._tasks.discard(task)
                    found.append(task.work)
            return bool(found)

        return found[0] if self.waits.until(came, timeout) else None

    def _is_due(self, now: Seconds) -> bool:
        """Return whether to look again for workers that hang, where there are ``most`` of them. Under the lock."""
        due = now >= self._looked_at + LOOK_EVERY
        if due:
            self._looked_at = now
        return due

    def _make_room(self, more: int) -> bool:
        """
        Start a worker if there is none for what was taken and ``more``. Returns whether there is one. Under the lock.

        A worker that can go on counts for one piece of work, whether it has begun with it or not.
        """
        pool, policy = self._parts.pool, self.settings.pool
        able, elsewhere = 0, 0
        for worker in list(pool.workers.values()):
            phase, _, running = worker.fact
            if not worker.leaving and phase in _ABLE:
                able += 1
            elif isinstance(running, (HostTask, HostedRequest)) and not running.over:
                elsewhere += 1
        if able >= len(self._tasks) - elsewhere + more:
            return True
        records, now = pool.records(), self.now()
        serving = sum(self._counts(record, now) for record in records)
        if serving >= self.most or len(records) >= policy.max_workers:
            return False
        return pool.spawn() is not None

    def _counts(self, record: Record, now: Seconds) -> bool:
        """Return whether a worker is one of ``most``."""
        lost = classify(record, now, self.settings.pool) in _LOST
        return not lost and now < record.sending_since + _LOST_AFTER

    def end_one(self, task: HostTask) -> None:
        """
        Note that a task has ended (``hosted.PoolOfTasks``).

        It takes the lock only at the end of the pool: otherwise the workers would wait for each other here whenever the
        thread that submits loses the GIL while it has the lock.
        """
        task.over = True
        self._tasks.discard(task)
        if self._stopping:  # looked at after the task has gone; ``stop`` looks for tasks after it has set this
            with self._lock:
                self._ended.notify_all()

    def nudge(self) -> None:
        """Make the supervisor look now (``hosted.PoolOfTasks``)."""
        self._parts.supervisor.nudge()

    def request(
        self,
        environ: MutableMapping[str, Any],
        respond: Callable[[], object] | None = None,
        hang_up: Callable[[], object] | None = None,
    ) -> Stamp:
        """
        Tell the pool which request the calling worker runs: ``with pool.request(environ): ...``

        Limits count from here. The page shows the request, and a kill ends it. On another thread than a worker of this
        pool it does nothing.

        Args:
            environ: of the request. It gets the keys with which an application can set its kill limit, be told of a
                kill, and find the pool (``docs/reference/environ.md``).
            respond: answers the client if the request is killed before ``Stamp.sending``. Runs on: supervisor.
            hang_up: cuts the connection to the client if the request is killed. Runs on: supervisor.
        """
        worker, parts = worker_here(), self._parts
        environ[POOL_KEY] = parts.paste_pool
        if worker is None or parts.pool.workers.get(worker.worker_id) is not worker:
            return Stamp(None, None)
        outer = worker.fact[2]
        if not isinstance(outer, HostTask):
            return Stamp(None, None)
        return Stamp(worker, HostedRequest(environ, next(parts.base.serials), outer, respond, hang_up))

    def wrap(self, application: Callable[..., Any]) -> StampedApplication:
        """Return a WSGI application whose requests the pool knows, for a server that does not tell the pool of them."""
        return StampedApplication(self, application)

    def executor(self) -> PoolExecutor:
        """Return an executor of ``concurrent.futures`` that gives its calls to this pool. It starts the pool."""
        self.start()
        return PoolExecutor(self.submit)

    def _own_worker(self) -> HostWorker | None:
        """Return the worker of this pool that the calling thread is."""
        here = worker_here()
        return here if here is not None and self._parts.pool.workers.get(here.worker_id) is here else None

    # The size.

    def resize(self, workers: int, most: int) -> None:
        """
        Set how many workers are kept, and ``most``. A pool that runs has the new ``most`` at once, and the rest from its
        next start on.
        """
        policy = self.settings.pool
        with self._lock:
            self.most = max(workers, most)
            if (workers, self.most) == (policy.workers, policy.spawn_if_under):
                return
            room = max(policy.max_workers, self.most)
            changed = replace(policy, workers=workers, max_workers=room, spawn_if_under=self.most)
            self.settings = replace(self.settings, pool=changed)
            if self._started or self._stopping:
                return
            waiting = self._parts.base.baton.close()
            self._make_parts()
        for task in waiting:
            if isinstance(task, HostTask):
                self._offer(task.work, wait=True)

    def grow(self, amount: int) -> int:
        """Start workers, as far as the limits allow. Returns how many. Those that nobody needs leave later."""
        policy, pool = self.settings.pool, self._parts.pool
        with self._lock:
            records = pool.records()
            now = self.now()
            serving = sum(self._counts(record, now) for record in records)
            room = min(self.most - serving, policy.max_workers - len(records))
            return sum(pool.spawn() is not None for _ in range(min(amount, room)))

    def shrink(self, amount: int) -> int:
        """Tell idle workers to leave now, but keep ``workers``. Returns how many leave."""
        pool, baton = self._parts.pool, self._parts.base.baton
        with self._lock:
            spare = len(pool.workers) - self.settings.pool.workers
            left = 0
            for worker in list(pool.workers.values()):
                if left >= min(amount, spare):
                    break
                left += worker.phase is Phase.IDLE and baton.dismiss(worker)
            return left

    @property
    def idle(self) -> int:
        """Return how many workers wait for work."""
        return self._parts.base.baton.follower_count

    @property
    def qsize(self) -> int:
        """Return how many pieces of work wait for a worker."""
        return len(self._parts.base.baton.backlog)

    @property
    def workers(self) -> list[Worker]:
        """Return the workers. The list is a copy."""
        return list(self._parts.pool.workers.values())

    def running(self) -> dict[str, Work | None]:
        """Return what each worker runs now, by the name of the worker; None if nothing."""
        found: dict[str, Work | None] = {}
        for worker in self.workers:
            task = worker.task
            outer = task.outer if isinstance(task, HostedRequest) else task
            found[worker.name] = outer.work if isinstance(outer, HostTask) else None
        return found

    @property
    def paste_pool(self) -> PastePool:
        """Return the pool in the shape of Paste's, for ``environ['paste.httpserver.thread_pool']``."""
        return self._parts.paste_pool


def _end_by_signal(reason: str) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
