"""
``environ['paste.httpserver.thread_pool']``: our pool in the shape of Paste's pool, for programs that look into it.

Everything is computed when it is asked for. The shapes are those of Paste: see ``reference`` in the docs, "Differences
from Paste".
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pastepool.core.policy import PoolPolicy
from pastepool.core.states import Phase, Status, classify
from pastepool.errors import PoolClosed
from pastepool.runtime.pool.background import BackgroundTask
from pastepool.runtime.pool.baton import Baton
from pastepool.runtime.pool.pool import Pool
from pastepool.runtime.pool.worker import Worker
from pastepool.types import Clock

if TYPE_CHECKING:
    from pastepool.runtime.watching.server_view import ServerView


class PastePool:
    """
    Offers the public attributes and methods of ``paste.httpserver.ThreadPool``.

    ``server_view``: through which ``watch_threads`` sees the server; None for a pool without a server. Thread ids are
    those of ``threading.get_ident``. Times are seconds of the wall clock, as in Paste. Runs on: any thread.
    """

    def __init__(
        self,
        pool: Pool,
        baton: Baton,
        policy: PoolPolicy,
        clock: Clock,
        serials: itertools.count[int],
        ask_kill: Callable[[int, int], None],
        server_view: ServerView | None = None,
    ) -> None:
        self.pool = pool
        self.server_view = server_view
        self.nworkers = policy.workers
        self._baton = baton
        self._policy = policy
        self._clock = clock
        self._serials = serials
        self._ask_kill = ask_kill

    @property
    def workers(self) -> list[threading.Thread]:
        """Return the threads of the workers. Those that are being killed are in ``dying_threads`` instead."""
        ended = (Phase.DYING, Phase.GONE)
        return [worker.thread for worker in self._started() if worker.phase not in ended]

    @property
    def worker_tracker(self) -> dict[int, list[Any]]:
        """Map the id of each thread that runs something to [time started, environ or None]."""
        return {
            worker.ident: [self._wall(task.started_at), task.environ]
            for worker in self._started()
            for phase, _, task in [worker.fact]
            if phase is Phase.BUSY and task is not None
        }

    @property
    def idle_workers(self) -> list[int]:
        """Return the ids of the threads that run nothing."""
        return [worker.ident for worker in self._started() if worker.phase is Phase.IDLE]

    @property
    def dying_threads(self) -> dict[int, tuple[float, threading.Thread]]:
        """Map the id of each thread that is being killed to (time of the kill, thread)."""
        return {
            worker.ident: (self._wall(since), worker.thread)
            for worker in self._started()
            for phase, since, _ in [worker.fact]
            if phase is Phase.DYING
        }

    def track_threads(self) -> dict[str, list[threading.Thread]]:
        """Return the threads by state: idle, busy, hung, dying, zombie."""
        now = self._clock.now()
        by_id = {worker.worker_id: worker for worker in self._started()}
        states: dict[str, list[threading.Thread]] = {name: [] for name in ("idle", "busy", "hung", "dying", "zombie")}
        for record in self.pool.records():
            status = classify(record, now, self._policy)
            worker = by_id.get(record.worker)
            if worker is not None and status not in (Status.STARTING, Status.RETIRING, Status.GONE):
                known = Status.BUSY if status is Status.SENDING else status  # Paste has no word for it
                states[known.value].append(worker.thread)
        return states

    def kill_worker(self, thread_id: int) -> None:
        """
        Have the request that a thread runs now killed, in the same way as at the kill limit.

        Raises: KeyError: no thread of the pool with this id runs anything.
        """
        for worker in self._started():
            task = worker.task
            if worker.ident == thread_id and task is not None:
                self._ask_kill(worker.worker_id, task.serial)
                return
        raise KeyError(f"No thread of the pool with the id {thread_id} runs a request.")

    def add_task(self, task: Callable[[], Any]) -> None:
        """
        Run a callable without arguments on the pool.

        Raises: PoolClosed: the backlog is full, or the server stops.
        """
        work = BackgroundTask(task, next(self._serials))
        work.arrived_at = self._clock.now()
        if not self._baton.submit(work):
            raise PoolClosed(
                "The task was not taken: all workers are busy and queue_limit tasks wait already, or the server stops."
            )
        if self._baton.backlog:
            self.pool.changed()  # all workers are busy, so the supervisor must decide whether to spawn one

    def _started(self) -> list[Worker]:
        return [worker for worker in list(self.pool.workers.values()) if worker.ident]

    def _wall(self, instant: float) -> float:
        return time.time() - (self._clock.now() - instant)
