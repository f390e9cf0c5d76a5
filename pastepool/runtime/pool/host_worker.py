"""
A worker for tasks of another program: while such a task runs, requests begin and end inside of it.

The server of another program hands over a connection, on which many requests may come, or a callable that turns out to
be a request. The pool must know the request, because limits count from its begin, and because a kill is meant for it.
So a request is a task of its own that takes the place of the outer task while it lasts.
"""

from __future__ import annotations

import threading
from bisect import bisect

from pastepool.core.states import Phase
from pastepool.core.telling.histogram import BOUNDS
from pastepool.errors import WorkerKilled
from pastepool.runtime.pool.task import Task
from pastepool.runtime.pool.worker import Fact, Worker
from pastepool.types import Seconds


class _Here(threading.local):
    worker: HostWorker | None = None


_here = _Here()


def worker_here() -> HostWorker | None:
    """Return the worker that the calling thread is; None on any other thread."""
    return _here.worker


class HostWorker(Worker):
    """A worker whose tasks may hold requests. ``_requests``: how many requests the present task has held."""

    _requests = 0

    def main(self) -> None:
        """The thread's whole life. Runs on: this worker."""
        _here.worker = self
        super().main()

    def begin_request(self, request: Task) -> Fact:
        """
        Put a request in the place of the present task. Returns what ``end_request`` needs. The window must be shut.

        Runs on: this worker.
        """
        outer = self.fact
        now = self._now()
        request.started_at = now
        request.worker_name = self.name
        self.fact = (Phase.BUSY, now, request)
        return outer

    def end_request(self, request: Task, outer: Fact) -> Seconds:
        """
        Count a request and put the outer task back. A worker whose request was killed keeps it, and stays dying.

        Returns the instant of its end.

        The window must be shut. Runs on: this worker.
        """
        now = self._now()
        self._requests += 1
        self._count(request, now - request.started_at, now)
        if self.fact[0] is Phase.BUSY:
            self.fact = outer
        if now - request.started_at > self._pool.long_call:
            self._pool.changed()
        return now

    def raise_if_killed(self) -> None:
        """Raise what a kill raises if a kill has won the claim to the response. The window must be shut."""
        if self.window.killed:
            raise self._pool.kill_exception

    def _count_task(self, task: Task, duration: Seconds, ended: Seconds) -> None:
        """Count a task that held no requests. If it held some, each of them was counted, and only its wait is."""
        held, self._requests = self._requests, 0
        if not held:
            self._count(task, duration, ended)
        if task.arrived_at:
            self._count_wait(task.started_at - task.arrived_at)

    def _count(self, task: Task, duration: Seconds, ended: Seconds) -> None:
        if duration > self._tally.slow_above:
            self._tally.note_slow(task, self.worker_id, duration, ended)
        self._calls[bisect(BOUNDS, duration)] += 1

    def _clear_away(self, task: Task) -> None:
        """Clear away what the kill has left; it was aimed at the request, if there was one."""
        super()._clear_away(self.fact[2] or task)

    def shut_window(self) -> None:
        """Shut the window, also if a repeated kill lands meanwhile."""
        while True:
            try:
                self.window.shut()
                return
            except WorkerKilled:
                continue
