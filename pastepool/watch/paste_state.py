"""
Make the state that the page shows if the server is not ours: the facts that Paste's pool keeps, or a note that there is
no pool.

This module checks the attributes it reads, because an object under Paste's key may be of any kind.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from pastepool.core.policy import PoolPolicy
from pastepool.core.states import Phase, Record, Status, classify
from pastepool.core.telling.masking import request_facts
from pastepool.core.telling.report import Diagnosis, place_text, telling_place
from pastepool.core.wording import counted
from pastepool.runtime.inspection.stacks import current_frames, stack_of
from pastepool.runtime.system.clock import MonotonicClock
from pastepool.types import Seconds
from pastepool.watch.frames import Stacks
from pastepool.watch.groups import groups_of
from pastepool.watch.process import Process
from pastepool.watch.rows import NOTHING
from pastepool.watch.wall import Wall, rounded
from pastepool.watch.watched import FORMAT, VERSION, State

NO_POOL = (
    "The server that answers this has no thread pool to watch: the environ has no 'paste.httpserver.thread_pool'."
    " watch_threads shows the pool of egg:pastepool#http, and what there is to see of egg:Paste#http."
)
PASTES_POOL = (
    "The server is not pastepool but Paste's own, so only what Paste keeps about its pool is shown, and nothing can be"
    " killed: use = egg:pastepool#http shows all of it."
)

_PARTS = ("queue", "application", "write")
_HUNG_AFTER: Seconds = 30.0


def has_pastes_shape(pool: Any) -> bool:
    """Say whether an object can be read as Paste's pool."""
    names = ("nworkers", "workers", "worker_tracker", "idle_workers", "dying_threads")
    return all(hasattr(pool, name) for name in names)


def no_pool_state() -> State:
    """Return the state to show where there is no pool."""
    return _empty("none", NO_POOL)


def unknown_state() -> State:
    """Return a state of our own server in which nothing is known yet."""
    return {**_empty("pastepool", ""), "host": "pastepool"}


def paste_state(pool: Any) -> State:
    """Return the state of a pool in Paste's shape."""
    state = _empty("paste", PASTES_POOL)
    now = time.time()  # Paste keeps times of day
    frames = current_frames()
    stacks = Stacks("")
    rows = []
    busy = {ident: list(entry) for ident, entry in dict(pool.worker_tracker).items()}
    dying = dict(pool.dying_threads)
    policy = PoolPolicy(
        hung_after=float(getattr(pool, "hung_thread_limit", _HUNG_AFTER)),
        dying_for=float(getattr(pool, "dying_limit", math.inf)),
    )
    for number, thread in enumerate([*pool.workers, *(entry[1] for entry in dying.values())], 1):
        ident = getattr(thread, "thread_id", None) or thread.ident
        places = stack_of(frames.get(ident)) if ident in busy or ident in dying else ()
        stacks.add(number, places)
        rows.append(_row(number, thread, busy.get(ident), dying.get(ident), now, policy, places))
    state["stacks"], stack_of_worker, state["stacks_note"] = stacks.shown()
    for row in rows:
        row["stack"] = stack_of_worker.get(row["worker"])
    state["workers"] = sorted(rows, key=lambda row: -(row["ran_for"] or 0.0))
    state["groups"] = groups_of(state["workers"])
    counts = {status.value: 0 for status in Status if status is not Status.GONE}
    for row in rows:
        counts[row["status"]] += 1
    queue = getattr(pool, "queue", None)
    waiting = queue.qsize() if queue is not None else 0
    state["backlog"]["length"] = waiting
    said = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    state["pool"].update(
        size=len(rows),
        workers=int(pool.nworkers),
        hung_after=policy.hung_after,
        kill_after=float(getattr(pool, "kill_thread_limit", 0.0)),
        dying_for=float(getattr(pool, "dying_limit", 0.0)),
        counts=counts,
        summary=f"{counted(len(rows), 'worker')}: {said}; {waiting} waiting",
    )
    return state


def _row(
    number: int,
    thread: Any,
    work: list[Any] | None,
    death: tuple[float, Any] | None,
    now: float,
    policy: PoolPolicy,
    places: Any,
) -> dict[str, Any]:
    ran_for = max(0.0, now - float(work[0])) if work else None
    if death is not None:
        phase, since = Phase.DYING, float(death[0])
    elif work:
        phase, since = Phase.BUSY, float(work[0])
    else:
        phase, since = Phase.IDLE, now
    status = classify(Record(number, phase, since), now, policy)
    environ = work[1] if work and isinstance(work[1], Mapping) else {}
    facts = dict(request_facts(environ))
    place = telling_place(Diagnosis(places).frames)
    return {
        **NOTHING,
        "worker": number,
        "name": thread.name,
        "native_id": getattr(thread, "native_id", None) or 0,
        "status": status.value,
        "for": rounded(max(0.0, now - since)),
        "ran_for": None if ran_for is None else rounded(ran_for),
        "title": f"{facts.get('method', '')} {facts.get('path', '')}".strip(),
        "method": facts.get("method", ""),
        "path": facts.get("path", ""),
        "query": facts.get("query", ""),
        "client": facts.get("client", ""),
        "request": [list(pair) for pair in facts.items()],
        "phase": "running" if work else "",
        "place": place_text(place) if place else "",
        "served": 0,
        "own": False,
        "can_kill": False,
        "kill_note": "",
    }


def _empty(kind: str, note: str) -> State:
    """Return a state in which every fact about the pool is missing."""
    clock = MonotonicClock()
    wall = Wall(clock)
    duration: dict[str, Any] = {
        "count": 0,
        "mean": None,
        "p50": None,
        "p95": None,
        "p99": None,
        "max": None,
        "buckets": [],
    }
    process = Process(wall.now, wall.now).facts(wall)
    process.update(started_at=None, uptime=None)
    return {
        "format": FORMAT,
        "version": VERSION,
        "kind": kind,
        "host": "",
        "note": note,
        "taken_at": wall.text(wall.now),
        "pool": {
            "size": 0,
            "workers": 0,
            "max_workers": 0,
            "spawn_if_under": 0,
            "hung_after": 0.0,
            "kill_after": 0.0,
            "dying_for": 0.0,
            "max_zombies": 0,
            "counts": {status.value: 0 for status in Status if status is not Status.GONE},
            "summary": "no pool",
            "draining": False,
            "condemned": "",
        },
        "workers": [],
        "groups": [],
        "stacks": [],
        "stacks_note": "",
        "backlog": {"length": 0, "limit": 0, "timeout": 0.0, "oldest_for": None, "waiting": []},
        "connections": {"open": 0, "limit": 0, "spooled": 0},
        "latency": {part: dict(duration) for part in _PARTS},
        "series": {"interval": 1.0, "limit": 0, "requests": [], "busy": [], "hung": [], "backlog": []},
        "events": [],
        "slowest": [],
        "totals": {},
        "process": process,
        "settings": [],
    }
