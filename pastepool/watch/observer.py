"""
Look at the whole server and return everything that the page shows, in the form of the JSON
(``docs/reference/watch-api.md``).

A look costs time, so all visitors share it. Only one look runs at a time. A visitor gets the previous look if it is not
older than a quarter of a second, or than ten times its own duration. So all open pages together take at most a tenth of
one processor.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pastepool.core.interpreter import NO_STACKS
from pastepool.core.overload import UNLIMITED
from pastepool.core.states import Status
from pastepool.core.telling.report import counts_line
from pastepool.runtime.pool.task import Task
from pastepool.runtime.watching.server_view import ServerView
from pastepool.types import Seconds
from pastepool.watch.figures import events_of, latency_of, series_of, slowest_of, totals_of
from pastepool.watch.frames import Stacks
from pastepool.watch.groups import fill_in_waits, groups_of
from pastepool.watch.process import Process
from pastepool.watch.rows import Look, Movements, Seen, app_root_of, personal, see, shown_title, status_of
from pastepool.watch.visitor import Visitor
from pastepool.watch.wall import Wall, rounded
from pastepool.watch.watched import FORMAT, VERSION, State

FRESH_FOR: Seconds = 0.25
COST_LIMIT = 10.0
"""How long a look is reused, as a multiple of its own duration."""

WAITING_SHOWN = 20


@dataclass(frozen=True)
class SharedLook:
    """The result of one look, the same for every visitor. ``good_until``: when it is too old to be reused."""

    good_until: Seconds
    common: State


class Observer:
    """
    Looks at one server for all its pages. Runs on: any thread.

    ``_last`` and the contents of ``_movements`` and ``_process`` are written under ``_lock``.
    """

    def __init__(self, server_view: ServerView) -> None:
        self._server_view = server_view
        self._lock = threading.Lock()
        self._movements = Movements()
        self._process = Process(server_view.began_at, server_view.clock.now())
        self._last: SharedLook | None = None

    def state(self, visitor: Visitor, may_kill: bool) -> State:
        """
        Return everything that the page shows.

        Args:
            visitor: who asks. The visitor's own request is marked, and its worker is never offered for a kill.
            may_kill: whether this page may kill requests.
        """
        self._server_view.sampler.watched()
        common = self._look(visitor).common
        return {**common, "workers": [personal(row, visitor, may_kill) for row in common["workers"]]}

    def forget_look(self) -> None:
        """Forget the last look. Called after an action, so that the next visitor sees its result."""
        with self._lock:
            self._last = None

    def _look(self, visitor: Visitor) -> SharedLook:
        now = self._server_view.clock.now
        with self._lock:
            last = self._last
            if last is None or now() >= last.good_until:
                began = now()
                common = self._gather(visitor)
                last = self._last = SharedLook(began + max(FRESH_FOR, COST_LIMIT * (now() - began)), common)
            return last

    def _gather(self, visitor: Visitor) -> State:
        server_view = self._server_view
        wall = Wall(server_view.clock)
        seen = see(server_view, visitor)
        unmoved = self._movements.follow(seen, server_view, wall.now)
        stacks = Stacks(app_root_of(server_view))
        for one in seen:
            stacks.add(one.worker.worker_id, one.diagnosis.frames)
        shown, stack_of, note = stacks.shown()
        totals = server_view.totals()
        process = self._process.facts(wall)
        rows = Look(server_view, wall.now, stack_of, unmoved).rows(seen)
        fill_in_waits(rows)
        return {
            "format": FORMAT,
            "version": VERSION,
            "kind": "pastepool",
            "host": server_view.host,
            "note": "",
            "taken_at": wall.text(wall.now),
            "pool": self._pool(seen, wall.now),
            "workers": rows,
            "groups": groups_of(rows),
            "stacks": shown,
            "stacks_note": note or ("" if process["gil"] else f"This Python runs without the GIL. {NO_STACKS}"),
            "backlog": self._backlog(wall.now),
            "connections": server_view.connections()._asdict(),
            "latency": latency_of(server_view, totals),
            "series": series_of(server_view.sampler.samples()),
            "events": events_of(server_view, wall, app_root_of(server_view)),
            "slowest": slowest_of(server_view, wall),
            "totals": totals_of(server_view, totals, wall),
            "process": process,
            "settings": [list(pair) for pair in server_view.shown],
        }

    def _pool(self, everything: Sequence[Seen], now: Seconds) -> dict[str, Any]:
        policy = self._server_view.policy
        counts = Counter(status_of(seen, self._server_view, now) for seen in everything)
        counts.pop(Status.GONE, None)
        return {
            "size": counts.total(),
            "workers": policy.workers,
            "max_workers": policy.max_workers,
            "spawn_if_under": policy.spawn_if_under,
            "hung_after": policy.hung_after,
            "kill_after": policy.kill_after,
            "dying_for": policy.dying_for,
            "max_zombies": policy.max_zombies,
            "counts": {status.value: counts[status] for status in Status if status is not Status.GONE},
            "summary": counts_line(counts, len(self._server_view.baton.backlog)),
            "draining": self._server_view.draining(),
            "condemned": self._server_view.supervisor.condemned,
        }

    def _backlog(self, now: Seconds) -> dict[str, Any]:
        overload = self._server_view.overload
        waiting = self._server_view.baton.waiting()
        return {
            "length": len(waiting),
            "limit": None if overload.queue_limit >= UNLIMITED else overload.queue_limit,
            "timeout": overload.queue_timeout,
            "oldest_for": rounded(max(0.0, now - waiting[0].arrived_at)) if waiting else None,
            "waiting": [_waiting(task, now) for task in itertools.islice(waiting, WAITING_SHOWN)],
        }


def _waiting(task: Task, now: Seconds) -> dict[str, Any]:
    facts = task.described()
    return {
        "title": shown_title(task, facts),
        "method": facts.get("method", ""),
        "path": facts.get("path", ""),
        "client": facts.get("client", ""),
        "waited_for": rounded(max(0.0, now - task.arrived_at)),
    }
