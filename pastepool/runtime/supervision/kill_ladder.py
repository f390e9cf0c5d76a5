"""
Kill one task: the steps of the kill ladder that act on a worker (contract P8).

1. Win the claim to the response.
2. Send 504 if nothing was sent, and shut the client's socket down.
3. Run the request's cancel callbacks and wait a moment for them. If a callback cancels a query, the call ends in the
   application's own way.
4. Inject the exception.
5. If the operator allows it, shut down the foreign socket on which the thread is blocked.

If the task still runs after that, the plan repeats steps 4 and 5 with pauses. After the dying limit the worker counts
as a zombie.

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
from pastepool.runtime.system import forks
from pastepool.runtime.system.threads import spawn_thread
from pastepool.types import Injected, Seconds, WorkerId

_log = scribbled("pastepool.pool")


HEAD_START: Seconds = 0.1
"""
How long cancel callbacks may run before the exception is injected. To cancel a query takes a round trip, which is less.
This is the time for all callbacks of one look together: a hundred that hang delay the supervisor no more than one.
"""


MOST_RUNNING = 20
"""
For how many requests cancel callbacks may hang at the same time; each such request occupies a thread. Beyond that, a
request is killed without its callbacks.
"""


class _Started(NamedTuple):
    """A kill whose cancel callbacks were started. ``over``: set when all of them have returned or raised."""

    worker: Worker
    serial: int
    over: threading.Event


class KillLadder:
    """
    Applies kills. ``unblock_sockets``: whether step 5 is allowed.

    ``missed``: worker and serial of each kill that injected nothing. The supervisor empties it for the next plan.
    """

    def __init__(self, unblock_sockets: bool) -> None:
        self.missed: list[tuple[WorkerId, int]] = []
        self._unblock_sockets = unblock_sockets
        self._started: list[_Started] = []
        self._until: Seconds = 0.0
        self._running: list[threading.Event] = []

    def kill(self, worker: Worker, serial: int, now: Seconds) -> bool:
        """
        Kill the task ``serial`` of a worker, for the first time or again.

        Returns False if the worker does not run that task any more, or is just ending it. If the task has cancel
        callbacks, this method only starts them; ``finish`` does the rest.

        While a worker sends a piece of a streamed response, the window is shut. Then this method only cuts the
        connection. That is enough, because the worker waits for that client and for nothing else.
        """
        task = worker.task
        if task is None or task.serial != serial:
            return False

        def claim() -> bool:
            # This happens before the exception is injected. After it, the worker may already be gone, and the phase of
            # a gone worker must not change to dying.
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
        """
        Finish the kills that were started in this look: wait for their callbacks, then inject.

        All callbacks together have until ``HEAD_START`` after the first one was started.
        """
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
        """Start the cancel callbacks of a request. Returns False if they cannot run."""
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
        """Handle the result of an attempt: tell the next plan if nothing was injected, and take step 5."""
        if injected in (Injected.HELD_BACK, Injected.WINDOW_SHUT):
            self.missed.append((worker.worker_id, serial))
        if self._unblock_sockets and injected is not Injected.WINDOW_SHUT:
            _unblock(worker)


def _nothing() -> None:
    """Do nothing. ``Window.kill`` calls this where the claim was won by an earlier attempt."""


def _unblock(worker: Worker) -> None:
    blocked = socket_blocked_on(worker.native_id)
    if blocked is not None and shut_down(blocked):
        _log.warning("%s: shut down the socket it was blocked on (kill_unblocks_sockets = true)", worker.name)


def _run_apart(callbacks: Sequence[Callable[[], object]], worker_name: str) -> threading.Event | None:
    """
    Run cancel callbacks on a thread of their own, because one that hangs must not hang the supervisor.

    Returns: an event that is set when all have ended; None if the system has no thread for them, which is logged.
    """
    over = threading.Event()
    born = forks.generation()
    name = f"cancel callbacks of {worker_name}"

    def run() -> None:
        try:
            for callback in callbacks:
                try:
                    callback()
                except (Exception, SystemExit) as error:
                    forks.end_if_child(born, name, error)
                    _log.exception("%s: a cancel callback failed", worker_name)
        finally:
            over.set()

    try:
        spawn_thread(run, name)
    except RuntimeError as error:
        _log.error("%s: its cancel callbacks cannot run: %s", worker_name, error)
        return None
    return over
