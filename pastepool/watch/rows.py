"""Make one row for each worker: its status, the request it runs, for how long, and what the request waits for."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pastepool.core.kills import kill_at
from pastepool.core.states import Phase, Record, Status, classify
from pastepool.core.telling.masking import masked_path
from pastepool.core.telling.report import CodePlace, Diagnosis, activity, place_text, sentence, telling_place, wait_kind
from pastepool.core.telling.stack_view import phase_of
from pastepool.core.wording import printable
from pastepool.runtime.pool.pool import record_of
from pastepool.runtime.pool.task import Task
from pastepool.runtime.pool.worker import Worker
from pastepool.runtime.watching.server_view import ServerView
from pastepool.types import Seconds
from pastepool.watch.visitor import Visitor
from pastepool.watch.wall import rounded


@dataclass(frozen=True)
class Seen:
    """
    One worker at one moment. ``facts``: the description of its task, with secrets masked. ``diagnosis``: empty if the
    worker runs nothing.
    """

    worker: Worker
    phase: Phase
    since: Seconds
    task: Task | None
    facts: Mapping[str, str]
    diagnosis: Diagnosis

    @property
    def serial(self) -> int:
        """Return the serial of the task; 0 without a task."""
        return 0 if self.task is None else self.task.serial

    def record(self, now: Seconds) -> Record:
        """Return the record of the worker, with what is known now of the client that it may wait for."""
        return record_of(self.worker.worker_id, (self.phase, self.since, self.task), now)

    def title(self) -> str:
        """Name the task in a few words; empty without a task."""
        return "" if self.task is None else shown_title(self.task, self.facts)


def shown_title(task: Task, facts: Mapping[str, str]) -> str:
    """
    Name a task in a few words, with secrets masked.

    ``facts``: an earlier result of ``task.described()``. If the task has ended since, ``described`` would return
    nothing now.
    """
    return f"{facts['method']} {facts.get('path', '')}" if "method" in facts else printable(masked_path(task.title()))


def see(server_view: ServerView, visitor: Visitor) -> list[Seen]:
    """
    Return what every worker does now. Workers that run something get a diagnosis, except for the visitor's own worker.
    """
    # First the descriptions of the requests, then the stacks. Looking at stacks waits for the GIL while other threads
    # compute; a request may end during that wait, and it drops its environ when it ends.
    everything = [_without_stack(worker, *worker.fact) for worker in server_view.workers()]
    running = [seen.worker for seen in everything if seen.task is not None and seen.worker.worker_id != visitor.worker]
    now = server_view.clock.now()
    server_view.inspector.remember_only([(seen.worker.ident, seen.worker.native_id) for seen in everything])
    looked = server_view.inspector.look_at_all([(worker.ident, worker.native_id) for worker in running], now)
    return [
        # If the worker has another task by now, the stack may belong to that task: leave it out.
        _with_stack(seen, looked.get(seen.worker.ident)) if seen.worker.task is seen.task else seen
        for seen in everything
    ]


def _without_stack(worker: Worker, phase: Phase, since: Seconds, task: Task | None) -> Seen:
    return Seen(worker, phase, since, task, {} if task is None else task.described(), Diagnosis())


def _with_stack(seen: Seen, diagnosis: Diagnosis | None) -> Seen:
    return seen if diagnosis is None else replace(seen, diagnosis=diagnosis)


def status_of(seen: Seen, server_view: ServerView, now: Seconds) -> Status:
    """Return the status of a worker, as people are told it."""
    return classify(seen.record(now), now, server_view.policy)


def app_root_of(server_view: ServerView) -> str:
    """
    Return the application's folder, guessed: the folder of the configuration file; empty without one.

    Most applications keep their configuration file in their own folder.
    """
    file = server_view.config_file
    return os.path.dirname(os.path.abspath(file)) if file else ""


@dataclass(frozen=True)
class Look:
    """
    Makes the rows of one state from what they share.

    ``stack_of``: the id of each worker's stack. ``unmoved``: since when each worker's stack has been the same.
    """

    server_view: ServerView
    now: Seconds
    stack_of: Mapping[int, int]
    unmoved: Mapping[int, Seconds]

    def rows(self, everything: Sequence[Seen]) -> list[dict[str, Any]]:
        """Make the rows. The worker whose task has run longest comes first; workers without a task come last."""
        return [self._row(seen) for seen in sorted(everything, key=self._order)]

    def _order(self, seen: Seen) -> tuple[float, int]:
        if seen.task is None:
            return float("inf"), seen.worker.worker_id
        return seen.task.started_at, seen.worker.worker_id

    def _row(self, seen: Seen) -> dict[str, Any]:
        worker, now = seen.worker, self.now
        record = seen.record(now)
        status = classify(record, now, self.server_view.policy)
        lasted = max(0.0, now - (record.sending_since if status is Status.SENDING else seen.since))
        row: dict[str, Any] = {
            "worker": worker.worker_id,
            "name": worker.name,
            "native_id": worker.native_id,
            "status": status.value,
            "for": rounded(lasted),
            "served": worker.served,
            "own": False,
            "can_kill": seen.task is not None and seen.phase is Phase.BUSY,
            "kill_note": self.server_view.supervisor.no_kills,
        }
        row.update(NOTHING if seen.task is None else self._task(seen, seen.task, status, lasted))
        return row

    def _task(self, seen: Seen, task: Task, status: Status, lasted: Seconds) -> dict[str, Any]:
        facts, diagnosis, number = seen.facts, seen.diagnosis, seen.worker.worker_id
        root = app_root_of(self.server_view)
        place = telling_place(diagnosis.frames, root)
        return {
            "ran_for": rounded(max(0.0, self.now - task.started_at)),
            "serial": seen.serial,
            "title": seen.title(),
            "method": facts.get("method", ""),
            "path": facts.get("path", ""),
            "query": facts.get("query", ""),
            "client": facts.get("client", ""),
            "request": [list(pair) for pair in facts.items()],
            "phase": phase_of(diagnosis.frames),
            "doing": activity(diagnosis),
            "wait": wait_kind(diagnosis),
            "sentence": sentence(status, lasted, diagnosis, root),
            "place": place_text(place, root) if place else "",
            "cpu_share": None if diagnosis.cpu_share is None else round(diagnosis.cpu_share, 3),
            "stack": self.stack_of.get(number),
            "unmoved_for": rounded(self.now - self.unmoved[number]) if number in self.unmoved else None,
            "kill_in": self._kill_in(seen),
        }

    def _kill_in(self, seen: Seen) -> Seconds | None:
        if seen.phase is not Phase.BUSY or self.server_view.supervisor.no_kills:
            return None
        due_at = kill_at(seen.record(self.now), self.server_view.policy)
        return None if due_at == math.inf else rounded(max(0.0, due_at - self.now))


NOTHING: dict[str, Any] = {
    "ran_for": None,
    "serial": None,
    "title": "",
    "method": "",
    "path": "",
    "query": "",
    "client": "",
    "request": [],
    "phase": "",
    "doing": "",
    "wait": "",
    "sentence": "",
    "place": "",
    "cpu_share": None,
    "stack": None,
    "unmoved_for": None,
    "kill_in": None,
}


def personal(row: dict[str, Any], visitor: Visitor, may_kill: bool) -> dict[str, Any]:
    """
    Return a shared row as one visitor sees it: with ``own`` set, and ``can_kill`` only where this visitor may.

    ``kill_note`` is left only where nothing but the reason in it keeps this visitor from a kill.
    """
    own = row["worker"] == visitor.worker and row["serial"] == visitor.serial
    may = row["can_kill"] and may_kill and row["worker"] != visitor.worker
    note = row["kill_note"] if may else ""
    return {**row, "own": own, "can_kill": may and not note, "kill_note": note}


class Movements:
    """
    Remembers since when the stack of each busy worker has been the same.

    One thread at a time writes to it: see ``Observer``. When a request became hung, the supervisor noted its stack.
    This class takes that stack for its own first look, so the page need not have been open then.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, Sequence[CodePlace], Seconds]] = {}

    def follow(self, everything: Sequence[Seen], server_view: ServerView, now: Seconds) -> dict[int, Seconds]:
        """Compare with the last look. Returns since when the stack of each worker has been as it is now."""
        known: dict[int, tuple[int, Sequence[CodePlace], Seconds]] = {}
        for seen in everything:
            frames = seen.diagnosis.frames
            if frames and seen.task is not None:
                known[seen.worker.worker_id] = (seen.serial, frames, self._since(seen, server_view, now))
        self._known = known
        return {number: since for number, (_, _, since) in known.items()}

    def _since(self, seen: Seen, server_view: ServerView, now: Seconds) -> Seconds:
        number, frames = seen.worker.worker_id, seen.diagnosis.frames
        serial, before, since = self._known.get(number, (0, (), now))
        if serial == seen.serial:
            return since if before == frames else now
        noted_at, noted = server_view.journal.last_stack(number, seen.serial)
        return noted_at if tuple(noted) == frames else now
