"""
Ending one task: the steps of the kill ladder that act on a worker (contract P8).

1. win the claim; 2. answer 504 if nothing was sent, shut the client's socket; 3. run the request's cancel callbacks,
   and wait for them, but not for long: a query that is cancelled ends its call in the application's own way; 4. inject;
5. if the operator allows it, shut down the foreign socket the thread waits on. Whatever is left is waiting: the plan
repeats 4 and 5 with pauses, and calls the worker a zombie when it has lasted.

Runs on: supervisor.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.pool.worker import Worker
from pastepool.runtime.supervision.unblocking import shut_down, socket_blocked_on
from pastepool.runtime.system.threads import spawn_thread
from pastepool.types import Injected, Seconds, WorkerId

_log = scribbled("pastepool.pool")


HEAD_START: Seconds = 0.1
"""
How long cancel callbacks may run before the exception is sent, all those of one look together, so that a hundred of
them that hang hold up the supervisor no longer than one. Nothing derives it: cancelling a query is a round trip.
"""


MOST_RUNNING = 20
"""
Requests whose cancel callbacks may hang at the same time: each keeps a thread. What is killed beyond that is killed
without its callbacks. Nothing derives it.
"""


class _Started(NamedTuple):
    """A kill whose callbacks have a head start. ``over``: set when all of them have returned or raised."""

    worker: Worker
    serial: int
    over: threading.Event


class KillLadder:
    """
    Applies kills. ``unblock_sockets``: whether step 5 is allowed.

    ``missed``: worker and serial of each kill that raised nothing; whoever plans takes them away.
    """

    def __init__(self, unblock_sockets: bool) -> None:
        self.missed: list[tuple[WorkerId, int]] = []
        self._unblock_sockets = unblock_sockets
        self._started: list[_Started] = []
        self._until: Seconds = 0.0
        self._running: list[threading.Event] = []

    def kill(self, worker: Worker, serial: int, now: Seconds) -> bool:
        """
        End the task ``serial`` of a worker, or try again. Answers False if the worker is not inside it any more.

        One with cancel callbacks is only begun here; ``finish`` does the rest.

        Between two pieces of a streamed response the window is shut; then cutting the connection is all there is to
        do, and it is enough: the worker waits for that client and for nothing else.
        """
        task = worker.task
        if task is None or task.serial != serial:
            return False

        def claim() -> bool:
            # Before the exception is on its way: a worker that has gone already must not be called dying after that.
            worker.begin_dying(task, now)
            try:
                task.killed(now)
            except Exception:
                _log.exception("%s: the client of a killed request could not be told; please report this", worker.name)
            callbacks = list(task.cancellations or ())
            return bool(callbacks) and self._start(callbacks, worker, serial)

        already = len(self._started)
        injected = worker.window.kill(serial, claim)
        if len(self._started) > already:
            return True
        self._note(worker, serial, injected)
        return injected is not Injected.WINDOW_SHUT or task.cut_if_waiting()

    def finish(self) -> None:
        """Let the callbacks have the rest of their head start, all of them together, and inject."""
        started, self._started = self._started, []
        for kill in started:
            kill.over.wait(max(0.0, self._until - time.monotonic()))
        for worker, serial, _ in started:
            try:
                self._note(worker, serial, worker.window.kill(serial, _nothing))
            except Exception:
                _log.exception("%s: a kill was begun and could not be finished; please report this", worker.name)
                self.missed.append((worker.worker_id, serial))

    def _start(self, callbacks: Sequence[Callable[[], object]], worker: Worker, serial: int) -> bool:
        """Run cancel callbacks. Answers False where they cannot run."""
        self._running = [over for over in self._running if not over.is_set()]
        if len(self._running) >= MOST_RUNNING:
            _log.error("%s: its cancel callbacks are not run: those of %d requests hang", worker.name, MOST_RUNNING)
            return False
        over = _run_apart(callbacks, worker.name)
        if over is None:
            return False
        self._running.append(over)
        if not self._started:
            self._until = time.monotonic() + HEAD_START
        self._started.append(_Started(worker, serial, over))
        return True

    def _note(self, worker: Worker, serial: int, injected: Injected) -> None:
        """Take what came of an attempt: steps that follow it, or news for the plan."""
        if injected in (Injected.HELD_BACK, Injected.WINDOW_SHUT):
            self.missed.append((worker.worker_id, serial))
        if self._unblock_sockets and injected is not Injected.WINDOW_SHUT:
            _unblock(worker)


def _nothing() -> None:
    """The claim was won before."""


def _unblock(worker: Worker) -> None:
    blocked = socket_blocked_on(worker.native_id)
    if blocked is not None and shut_down(blocked):
        _log.warning("%s: shut down the socket it was blocked on (kill_unblocks_sockets = true)", worker.name)


def _run_apart(callbacks: Sequence[Callable[[], object]], worker_name: str) -> threading.Event | None:
    """
    Run cancel callbacks on a thread of their own: one that hangs must not hang the supervisor.

    Returns: what is set when all are over; None if there is no thread for them, which is logged.
    """
    over = threading.Event()

    def run() -> None:
        try:
            for callback in callbacks:
                try:
                    callback()
                except (Exception, SystemExit):
                    _log.exception("%s: a cancel callback failed", worker_name)
        finally:
            over.set()

    try:
        spawn_thread(run, f"cancel callbacks of {worker_name}")
    except RuntimeError as error:
        _log.error("%s: its cancel callbacks cannot run: %s", worker_name, error)
        return None
    return over
