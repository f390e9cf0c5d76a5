"""
What an operator may do from the page: kill one request, write all stacks to the log, count anew, draw a flame graph.

Each is logged to ``pastepool.watch`` with the address it came from, and stands among the events.
"""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass
from typing import Any

from pastepool.core.states import Phase
from pastepool.core.telling.masking import masked_path, request_facts
from pastepool.core.wording import counted, printable, spoken
from pastepool.runtime.inspection.stacks import current_frames, stack_lines, stack_of
from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.pool.worker import Worker
from pastepool.runtime.watching.server_view import ServerView
from pastepool.types import Seconds
from pastepool.watch.visitor import Visitor

_log = scribbled("pastepool.watch")

OUTCOME_WITHIN: Seconds = 2.0
"""
How long an answer waits to tell what became of a kill. A thread in Python code ends within milliseconds, one that is
blocked may take for ever: in between lies little.
"""

_LOOK_EVERY: Seconds = 0.02


@dataclass(frozen=True)
class Outcome:
    """What became of an action; see the table in ``docs/reference/watch-api.md``."""

    status: int
    outcome: str
    text: str

    @property
    def ok(self) -> bool:
        """Whether it was done, or is being done."""
        return self.status < 300

    def as_json(self) -> dict[str, Any]:
        """As the JSON has it."""
        return {"ok": self.ok, "outcome": self.outcome, "text": self.text}


def task_title(task: Any) -> str:
    """A request in a few words, masked."""
    environ = task.environ
    facts = dict(request_facts(environ)) if environ else {}
    return f"{facts['method']} {facts.get('path', '')}" if "method" in facts else printable(masked_path(task.title()))


def find(server_view: ServerView, number: int, serial: int) -> Worker | Outcome:
    """Find the worker that runs a request, or say why there is none."""
    worker = server_view.pool.workers.get(number)
    if worker is None or not worker.ident:
        return Outcome(404, "not found", f"There is no worker {number} any more.")
    task = worker.fact[2]
    if task is None or task.serial != serial:
        return Outcome(409, "finished", f"Worker {number} has ended that request; nobody was killed.")
    return worker


def kill(server_view: ServerView, visitor: Visitor, number: int, serial: int) -> Outcome:
    """
    Have one request killed, if it still runs, and wait a little for what becomes of it.

    Runs on: the thread that answers, for ``OUTCOME_WITHIN`` seconds at most.
    """
    worker = find(server_view, number, serial)
    if isinstance(worker, Outcome):
        return worker
    if number == visitor.worker:
        return Outcome(403, "refused", "That is the worker that answers you; it is not killed from its own page.")
    if not server_view.supervisor.can_kill:
        return Outcome(403, "refused", "This Python cannot raise an exception in another thread; no request is killed.")
    title = task_title(worker.fact[2])
    _note(server_view, visitor, f"asked to kill worker {number}: {title}", worker=number, serial=serial, title=title)
    server_view.supervisor.ask_kill(number, serial)
    outcome = _await_end(server_view, worker, serial, title)
    _log.warning("%s was told of its kill of worker %d: %s", _who(visitor), number, outcome.text)
    return outcome


def _await_end(server_view: ServerView, worker: Worker, serial: int, title: str) -> Outcome:
    clock, never = server_view.clock, threading.Event()
    asked_at = clock.now()
    while clock.now() < asked_at + OUTCOME_WITHIN:
        phase, _, task = worker.fact
        if task is None or task.serial != serial:
            if worker.window.killed or phase is Phase.GONE:
                return Outcome(200, "killed", f"Killed: {title} on worker {worker.worker_id} has ended.")
            return Outcome(409, "finished", f"{title} ended by itself just before; nobody was killed.")
        clock.wait(never, clock.now() + _LOOK_EVERY)
    if worker.fact[0] is Phase.DYING:
        text = (
            f"{title} is told to end and has not ended yet: it is in a call that does not return, or it catches what"
            f" it is told. After {spoken(server_view.settings.pool.dying_for)} it counts as a zombie."
        )
        return Outcome(202, "dying", text)
    text = (
        f"{title} still runs: it is between two steps of its answer, where no kill may land. Look again, and ask again."
    )
    return Outcome(202, "pending", text)


def dump(server_view: ServerView | None, visitor: Visitor) -> Outcome:
    """Write the stack of every thread to the log."""
    frames = current_frames()
    if not frames:
        return Outcome(
            403, "refused", "This interpreter runs without its GIL, where stacks cannot be looked at safely."
        )
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    lines = []
    for ident, frame in frames.items():
        lines.append(f"{names.get(ident, 'a thread Python did not start')} ({ident}):")
        lines += stack_lines(stack_of(frame))
    text = f"wrote the stacks of {counted(len(frames), 'thread')} to the log"
    if server_view is None:
        _log.warning("%s %s", _who(visitor), text)
    else:
        _note(server_view, visitor, text)
    _log.warning("stacks of all threads, on Python %s:\n%s", sys.version.split()[0], "\n".join(lines))
    return Outcome(
        200, "dumped", f"The stacks of {counted(len(frames), 'thread')} are in the log (logger pastepool.watch)."
    )


def note_reset(server_view: ServerView, visitor: Visitor) -> Outcome:
    """Tell of a reset that was made."""
    _note(server_view, visitor, "set all counters back to nothing")
    return Outcome(200, "reset", "Everything is counted from nothing again.")


def note_flame(server_view: ServerView, visitor: Visitor, seconds: int, worker: int) -> Outcome:
    """Tell of a flame graph that was begun."""
    who = f"worker {worker}" if worker else "all workers"
    _note(server_view, visitor, f"began a flame graph of {who} for {seconds} s")
    return Outcome(202, "started", f"Looking at {who} for {seconds} s.")


def _note(server_view: ServerView, visitor: Visitor, what: str, **about: Any) -> None:
    _log.warning("%s %s", _who(visitor), what)
    server_view.journal.note("action", f"{_who(visitor)} {what}", **about)


def _who(visitor: Visitor) -> str:
    where = "the admin listener" if visitor.closing is not None else "the page"
    return f"{printable(visitor.address, 60) or 'somebody'}, by {where},"
