"""
The action that an operator can take on our own server: kill one request.

``note`` records each action: in the log ``pastepool.watch``, with the visitor's address, and among the events.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from pastepool.core.states import Phase
from pastepool.core.wording import spoken
from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.pool.task import Task
from pastepool.runtime.pool.worker import Worker
from pastepool.runtime.watching.server_view import ServerView
from pastepool.types import Seconds
from pastepool.watch.rows import shown_title
from pastepool.watch.visitor import Visitor
from pastepool.watch.watched import ActionOutcome, Aim

_log = scribbled("pastepool.watch")

OUTCOME_WITHIN: Seconds = 2.0
"""
How long the response to a kill waits for the request to end. A thread in Python code ends within milliseconds. A thread
that is blocked may never end. Few threads take a time between the two.
"""

_LOOK_EVERY: Seconds = 0.02


def find(server_view: ServerView, aim: Aim) -> tuple[Worker, Task] | ActionOutcome:
    """Find the worker that runs a request, and the request, or say why neither can be killed."""
    if not aim.allowed:
        return ActionOutcome(
            403, "refused", "Killing is off; allow_kill = true, beside the other settings of this page, allows it."
        )
    if server_view.supervisor.no_kills:
        return ActionOutcome(403, "refused", server_view.supervisor.no_kills)
    if aim.whose.is_other(os.getpid()):
        return ActionOutcome(
            409, "refused", f"This is the process {os.getpid()}, not {aim.whose.pid}; nobody was killed."
        )
    if aim.worker is None or aim.serial is None:
        return ActionOutcome(400, "invalid", "worker and serial must both be whole numbers, as the page has them.")
    worker = server_view.pool.workers.get(aim.worker)
    if worker is None or not worker.ident:
        return ActionOutcome(404, "not found", f"There is no worker {aim.worker} any more.")
    task = worker.task
    if task is None or task.serial != aim.serial:
        return ActionOutcome(409, "finished", f"Worker {aim.worker} has ended that request; nobody was killed.")
    return worker, task


def kill(server_view: ServerView, aim: Aim, visitor: Visitor) -> ActionOutcome:
    """
    Ask the supervisor to kill one request that still runs, wait until it ends, and return the outcome.

    Runs on: the thread that makes the response. It waits ``OUTCOME_WITHIN`` seconds at most.
    """
    found = find(server_view, aim)
    if isinstance(found, ActionOutcome):
        return found
    worker, task = found
    number, serial = worker.worker_id, task.serial
    if number == visitor.worker:
        return ActionOutcome(403, "refused", "That is the worker that answers you; it is not killed from its own page.")
    title = shown_title(task, task.described())
    note(server_view, visitor, f"asked to kill worker {number}: {title}", worker=number, serial=serial, title=title)
    server_view.supervisor.ask_kill(number, serial)
    outcome = _await_end(server_view, worker, serial, title)
    _log.warning("%s was told of its kill of worker %d: %s", visitor.told(), number, outcome.text)
    return outcome


def _await_end(server_view: ServerView, worker: Worker, serial: int, title: str) -> ActionOutcome:
    clock, never = server_view.clock, threading.Event()
    asked_at = clock.now()
    while clock.now() < asked_at + OUTCOME_WITHIN:
        phase, _, task = worker.fact
        if task is None or task.serial != serial:
            if worker.window.killed or phase is Phase.GONE:
                return ActionOutcome(200, "killed", f"Killed: {title} on worker {worker.worker_id} has ended.")
            return ActionOutcome(409, "finished", f"{title} ended by itself just before; nobody was killed.")
        clock.wait(never, clock.now() + _LOOK_EVERY)
    if worker.phase is Phase.DYING:
        text = (
            f"{title} is told to end and has not ended yet: it is in a call that does not return, or it catches what"
            f" it is told. After {spoken(server_view.policy.dying_for)} it counts as a zombie."
        )
        return ActionOutcome(202, "dying", text)
    text = (
        f"{title} still runs: it is between two steps of its answer, where no kill may land. Look again, and ask again."
    )
    return ActionOutcome(202, "pending", text)


def note(server_view: ServerView, visitor: Visitor, what: str, **about: Any) -> None:
    """Record in the log and among the events what a visitor has done or asked for."""
    _log.warning("%s %s", visitor.told(), what)
    server_view.journal.note("action", f"{visitor.told()} {what}", **about)
