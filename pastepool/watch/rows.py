"""One row a worker: what it is, what it runs, for how long, and what that waits for."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pastepool.core.kills import kill_at
from pastepool.core.states import Phase, Record, Status, TaskSummary, classify
from pastepool.core.telling.masking import masked_path
from pastepool.core.telling.report import CodePlace, Diagnosis, activity, place_text, sentence, telling_place
from pastepool.core.telling.stack_view import phase_of
from pastepool.core.wording import printable
from pastepool.runtime.pool.task import Task
from pastepool.runtime.pool.worker import Worker
from pastepool.runtime.watching.server_view import ServerView
from pastepool.types import Seconds
from pastepool.watch.visitor import Visitor
from pastepool.watch.wall import rounded


@dataclass(frozen=True)
class Seen:
    """One worker at one moment. ``facts``: what describes its task, masked. ``diagnosis``: empty if it runs nothing."""

    worker: Worker
    phase: Phase
    since: Seconds
    task: Task | None
    facts: Mapping[str, str]
    diagnosis: Diagnosis

    @property
    def serial(self) -> int:
        """The task's, 0 without one."""
        return 0 if self.task is None else self.task.serial

    def title(self) -> str:
        """The task in a few words."""
        return "" if self.task is None else shown_title(self.task, self.facts)


def shown_title(task: Task, facts: Mapping[str, str]) -> str:
    """
    Name a task in a few words, masked. ``facts``: what ``described`` answered: it may have ended since, and answer
    nothing now.
    """
    return f"{facts['method']} {facts.get('path', '')}" if "method" in facts else printable(masked_path(task.title()))


def see(server_view: ServerView, visitor: Visitor) -> list[Seen]:
    """Look at every worker, and into those that run something other than the request that asks."""
    # Requests before stacks: a look waits for the GIL as often as somebody computes, and a request that ends meanwhile
    # lets go of its environ.
    everything = [_without_stack(worker, *worker.fact) for worker in server_view.workers()]
    running = [seen.worker for seen in everything if seen.task is not None and seen.worker.worker_id != visitor.worker]
    now = server_view.clock.now()
    looked = server_view.inspector.look_at_all([(worker.ident, worker.native_id) for worker in running], now)
    return [
        # A worker that has gone on since: what was seen may be the stack of its next request.
        _with_stack(seen, looked.get(seen.worker.ident)) if seen.worker.task is seen.task else seen
        for seen in everything
    ]


def _without_stack(worker: Worker, phase: Phase, since: Seconds, task: Task | None) -> Seen:
    return Seen(worker, phase, since, task, {} if task is None else task.described(), Diagnosis())


def _with_stack(seen: Seen, diagnosis: Diagnosis | None) -> Seen:
    return seen if diagnosis is None else replace(seen, diagnosis=diagnosis)


def status_of(seen: Seen, server_view: ServerView, now: Seconds) -> Status:
    """Say what a person is told about a worker."""
    return classify(Record(seen.worker.worker_id, seen.phase, seen.since), now, server_view.settings.pool)


def app_root_of(server_view: ServerView) -> str:
    """The directory of the configuration file: where most applications are started from their own."""
    file = server_view.settings.config_file
    return os.path.dirname(os.path.abspath(file)) if file else ""


@dataclass(frozen=True)
class Look:
    """What all rows of one state share."""

    server_view: ServerView
    now: Seconds
    stack_of: Mapping[int, int]
    unmoved: Mapping[int, Seconds]

    def rows(self, everything: Sequence[Seen]) -> list[dict[str, Any]]:
        """Make the rows, those that run longest first."""
        return [self._row(seen) for seen in sorted(everything, key=self._order)]

    def _order(self, seen: Seen) -> tuple[float, int]:
        if seen.task is None:
            return float("inf"), seen.worker.worker_id
        return seen.task.started_at, seen.worker.worker_id

    def _row(self, seen: Seen) -> dict[str, Any]:
        worker, now = seen.worker, self.now
        status = status_of(seen, self.server_view, now)
        lasted = max(0.0, now - seen.since)
        row: dict[str, Any] = {
            "worker": worker.worker_id,
            "name": worker.name,
            "native_id": worker.native_id,
            "status": status.value,
            "for": rounded(lasted),
            "served": worker.served,
            "own": False,
            "can_kill": seen.task is not None and seen.phase is Phase.BUSY,
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
            "sentence": sentence(status, lasted, diagnosis, root),
            "place": place_text(place, root) if place else "",
            "cpu_share": None if diagnosis.cpu_share is None else round(diagnosis.cpu_share, 3),
            "stack": self.stack_of.get(number),
            "unmoved_for": rounded(self.now - self.unmoved[number]) if number in self.unmoved else None,
            "kill_in": self._kill_in(seen, task),
        }

    def _kill_in(self, seen: Seen, task: Task) -> Seconds | None:
        if seen.phase is not Phase.BUSY or not self.server_view.supervisor.can_kill:
            return None
        summary = TaskSummary("", task.serial, task.started_at, task.kill_after)
        record = Record(seen.worker.worker_id, seen.phase, seen.since, summary)
        due_at = kill_at(record, self.server_view.settings.pool)
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
    "sentence": "",
    "place": "",
    "cpu_share": None,
    "stack": None,
    "unmoved_for": None,
    "kill_in": None,
}


def personal(row: dict[str, Any], visitor: Visitor, may_kill: bool) -> dict[str, Any]:
    """Make of a row that is the same for everybody the one of this visitor."""
    own = row["worker"] == visitor.worker and row["serial"] == visitor.serial
    return {**row, "own": own, "can_kill": row["can_kill"] and may_kill and row["worker"] != visitor.worker}


class Movements:
    """
    Remembers of each busy worker since when its stack has been the same.

    Written by one thread at a time: see ``Observer``. A stack the supervisor noted when the request became hung counts
    as the first look, so that the page need not have been open.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, Sequence[CodePlace], Seconds]] = {}

    def follow(self, everything: Sequence[Seen], server_view: ServerView, now: Seconds) -> dict[int, Seconds]:
        """Compare with the last look. Answers since when each worker's stack has been as it is now."""
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
