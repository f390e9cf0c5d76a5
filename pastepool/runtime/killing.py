"""
Ending one task: the steps of the kill ladder that act on a worker (DESIGN 4, contract P8).

1. win the claim; 2. answer 504 if nothing was sent, shut the client's socket; 3. run the request's cancel callbacks;
   4. inject;
5. if the operator allows it, shut down the foreign socket the thread waits on. Whatever is left is waiting: the plan
repeats 4 and 5 with pauses, and calls the worker a zombie when it has lasted.

Runs on: supervisor.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from pastepool.core.states import Phase
from pastepool.runtime.threads import spawn_thread
from pastepool.runtime.unblocking import shut_down, socket_blocked_on
from pastepool.runtime.worker import Worker
from pastepool.types import Injected, Seconds

_log = logging.getLogger("pastepool.pool")


class Executioner:
    """Applies kills. ``unblock_sockets``: whether step 5 is allowed."""

    def __init__(self, unblock_sockets: bool) -> None:
        self._unblock_sockets = unblock_sockets

    def kill(self, worker: Worker, serial: int, now: Seconds) -> bool:
        """
        End the task ``serial`` of a worker, or try again. Answers False if the worker is not inside it any more.

        Between two pieces of a streamed response the window is shut; then cutting the connection is all there is to
        do, and it is enough: the worker waits for that client and for nothing else.
        """
        task = worker.fact[2]
        if task is None or task.serial != serial:
            return False

        def claim() -> None:
            # Before the exception is on its way: a worker that has gone already must not be called dying after that.
            worker.fact = (Phase.DYING, now, task)
            try:
                task.kill_answer(now)
            except Exception:
                _log.exception("%s: the client of a killed request could not be told; please report this", worker.name)
            callbacks = list(task.cancellations or ())
            if callbacks:
                _run_apart(callbacks, worker.name)

        if worker.window.kill(serial, claim) is Injected.WINDOW_SHUT:
            return bool(task.cut_if_waiting())
        if self._unblock_sockets:
            _unblock(worker)
        return True


def _unblock(worker: Worker) -> None:
    blocked = socket_blocked_on(worker.native_id)
    if blocked is not None and shut_down(blocked):
        _log.warning("%s: shut down the socket it was blocked on (kill_unblocks_sockets = true)", worker.name)


def _run_apart(callbacks: list[Callable[[], Any]], worker_name: str) -> None:
    """Run cancel callbacks on a thread of their own: one that hangs must not hang the supervisor."""

    def run() -> None:
        for callback in callbacks:
            try:
                callback()
            except Exception:
                _log.exception("%s: a cancel callback failed", worker_name)

    try:
        spawn_thread(run, f"cancel callbacks of {worker_name}")
    except RuntimeError as error:
        _log.error("%s: its cancel callbacks cannot run: %s", worker_name, error)
