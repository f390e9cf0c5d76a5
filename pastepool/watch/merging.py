"""
Make one state out of those of several processes. Pure.

The numbers of threads begin at 1 in each process. In the state of all of them a thread is numbered
``WORKERS_OF_ONE * process + thread``, so that each number still means one thread; its ``label`` is for people.
"""

from __future__ import annotations

import bisect
import heapq
import itertools
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from pastepool.core.states import Status
from pastepool.core.telling.histogram import BOUNDS, empty_counts, summarize
from pastepool.core.telling.report import counts_line
from pastepool.watch.figures import EVENT_FRAMES, summary_of
from pastepool.watch.frames import SHOWN_STACKS
from pastepool.watch.groups import groups_of
from pastepool.watch.watched import State

WORKERS_OF_ONE = 1_000_000
"""More threads than one process ever starts."""

_WAITING_SHOWN = 20
_SLOWEST_SHOWN = 20
_EVENTS_SHOWN = 200
"""The same as in the state of one process."""


class Part(NamedTuple):
    """What one process has answered. ``slot``, ``pid``, ``serial``: as on the board."""

    slot: int
    pid: int
    serial: int
    state: State

    def numbered(self, worker: int | None) -> int | None:
        """Return the number of a thread among those of all processes."""
        return worker and WORKERS_OF_ONE * self.serial + worker

    def marked(self, row: Mapping[str, Any], **changed: Any) -> dict[str, Any]:
        """Return an object of the state with the process that it belongs to."""
        return {**row, "worker": self.numbered(row["worker"]), "slot": self.slot, "pid": self.pid, **changed}


def merged(parts: Sequence[Part], processes: Sequence[Mapping[str, Any]], like: State) -> State:
    """
    Merge the states of processes.

    Args:
        parts: of those that have answered.
        processes: one object for each process, for people: see ``docs/reference/watch-api.md``.
        like: what to take where nothing is to be merged: a state with all fields.
    """
    stacks, stack_of = _stacks(parts)
    rows = [_row(part, row, stack_of) for part in parts for row in part.state["workers"]]
    rows.sort(key=lambda row: (row["ran_for"] is None, -(row["ran_for"] or 0.0), row["worker"]))
    states = [part.state for part in parts]
    backlog = _backlog(states, like)
    return {
        **like,
        "processes": [dict(process) for process in processes],
        "pool": _pool(parts, backlog["length"], like),
        "workers": rows,
        "groups": groups_of(rows),
        "stacks": stacks,
        "stacks_note": next((state["stacks_note"] for state in states if state["stacks_note"]), ""),
        "backlog": backlog,
        "connections": _connections(states, like),
        "latency": {name: _latency([state["latency"][name] for state in states]) for name in like["latency"]},
        "series": _series(states, like),
        "events": _events(parts, like),
        "slowest": _slowest(parts),
        "totals": _totals(states, like),
        "process": _process(states, like),
    }


def _row(part: Part, row: Mapping[str, Any], stack_of: Mapping[tuple[int, int], int]) -> dict[str, Any]:
    stack = None if row["stack"] is None else stack_of.get((part.serial, row["stack"]))
    return part.marked(row, stack=stack, label=f"{part.slot}.{row['worker']}")


def _stacks(parts: Sequence[Part]) -> tuple[list[dict[str, Any]], dict[tuple[int, int], int]]:
    """Return each different stack once, and its new id by process and old id."""
    found: dict[str, tuple[dict[str, Any], list[int], list[tuple[int, int]]]] = {}
    for part in parts:
        for stack in part.state["stacks"]:
            _, workers, olds = found.setdefault(json.dumps(stack["frames"]), (stack, [], []))
            workers += [WORKERS_OF_ONE * part.serial + worker for worker in stack["workers"]]
            olds.append((part.serial, stack["id"]))
    ordered = sorted(found.values(), key=lambda each: -len(each[1]))[:SHOWN_STACKS]
    shown = [{**stack, "id": number, "workers": workers} for number, (stack, workers, _) in enumerate(ordered)]
    return shown, {old: number for number, (_, _, olds) in enumerate(ordered) for old in olds}


def _pool(parts: Sequence[Part], waiting: int, like: State) -> dict[str, Any]:
    pools = [part.state["pool"] for part in parts]
    counts = {word: sum(pool["counts"][word] for pool in pools) for word in like["pool"]["counts"]}
    condemned = [f"Process {part.slot} (pid {part.pid}): {pool['condemned']}" for part, pool in _condemned(parts)]
    return {
        **like["pool"],
        **{word: pools[0][word] for word in ("hung_after", "kill_after", "dying_for", "max_zombies") if pools},
        **{word: sum(pool[word] for pool in pools) for word in ("size", "workers", "max_workers", "spawn_if_under")},
        "counts": counts,
        "summary": counts_line({Status(word): count for word, count in counts.items()}, waiting),
        "condemned": " ".join(condemned),
    }


def _condemned(parts: Sequence[Part]) -> list[tuple[Part, Mapping[str, Any]]]:
    return [(part, part.state["pool"]) for part in parts if part.state["pool"]["condemned"]]


def _backlog(states: Sequence[State], like: State) -> dict[str, Any]:
    several = [state["backlog"] for state in states]
    waiting = sorted(itertools.chain(*(each["waiting"] for each in several)), key=lambda one: -one["waited_for"])
    return {
        **like["backlog"],
        **{word: max(each[word] for each in several) for word in ("timeout",) if several},
        **{word: sum(each[word] for each in several) for word in ("length", "limit")},
        "oldest_for": _extreme(max, [each["oldest_for"] for each in several]),
        "waiting": waiting[:_WAITING_SHOWN],
    }


def _connections(states: Sequence[State], like: State) -> dict[str, Any]:
    several = [state["connections"] for state in states]
    names = dict.fromkeys(itertools.chain(like["connections"], *several))
    apart = ("certificate_ends_at", "proxy_refused")
    summed = {word: _sum([each.get(word) for each in several]) for word in names if word not in apart}
    refused: Counter[str] = Counter()
    for each in several:
        refused.update(dict(each.get("proxy_refused", ())))
    summed["proxy_refused"] = [list(pair) for pair in refused.items()]
    return {**summed, "certificate_ends_at": _extreme(min, [each.get("certificate_ends_at") for each in several])}


def _latency(several: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    counts, none_at_all = empty_counts(), 0
    for upper, count in itertools.chain(*(each["buckets"] for each in several)):
        if upper == 0:
            none_at_all += count
        else:
            counts[len(BOUNDS) if upper is None else min(bisect.bisect_left(BOUNDS, upper - 1e-6), len(BOUNDS))] += (
                count
            )
    longest = _extreme(max, [each["max"] for each in several])
    return summary_of(summarize(counts, longest or 0.0, none_at_all))


def _series(states: Sequence[State], like: State) -> dict[str, Any]:
    """Add the curves up from their newest points backwards: all take a sample once a second."""
    several = [state["series"] for state in states]
    summed = dict(several[0] if several else like["series"])
    for name in ("requests", "busy", "hung", "backlog"):
        columns = itertools.zip_longest(*(reversed(each[name]) for each in several))
        points = [_sum(column) for column in columns]
        summed[name] = [None if point is None else round(point, 1) for point in reversed(points)]
    return summed


def _events(parts: Sequence[Part], like: State) -> list[dict[str, Any]]:
    """Return the newest events of all. The ids of two processes could be the same, so they are numbered like threads."""
    own = [[{**event, "slot": None, "pid": None} for event in like["events"]]]
    each = [
        [
            part.marked(event, id=part.numbered(event["id"]), text=f"process {part.slot}: {event['text']}")
            for event in part.state["events"]
        ]
        for part in parts
    ]
    newest = heapq.merge(*own, *each, key=lambda event: event["at"], reverse=True)
    shown, room = [], EVENT_FRAMES
    for event in itertools.islice(newest, _EVENTS_SHOWN):
        room -= len(event["stack"])
        shown.append(event if room >= 0 else {**event, "stack": []})
    return shown


def _slowest(parts: Sequence[Part]) -> list[dict[str, Any]]:
    several = [part.marked(one) for part in parts for one in part.state["slowest"]]
    return sorted(several, key=lambda one: -one["duration"])[:_SLOWEST_SHOWN]


def _totals(states: Sequence[State], like: State) -> dict[str, Any]:
    several = [state["totals"] for state in states]
    names = dict.fromkeys(itertools.chain(like["totals"], *several))
    summed = {name: _sum([each.get(name) for each in several]) or 0 for name in names if not name.startswith("counted")}
    since = [each["counted_since"] for each in several] or [like["totals"].get("counted_since")]
    lasted = [each["counted_for"] for each in several]
    return {**summed, "counted_since": _extreme(min, since), "counted_for": _extreme(max, lasted) or 0.0}


_SUMMED = ("memory", "descriptors", "threads", "cpu_seconds", "cpu_share")


def _process(states: Sequence[State], like: State) -> dict[str, Any]:
    """Add up what all processes take. The version, the host and the start are those of ``like``."""
    several = [state["process"] for state in states]
    summed = {word: _sum([each[word] for each in several]) for word in _SUMMED}
    summed.update({word: summed[word] or 0 for word in ("threads", "cpu_seconds")})
    peak = _extreme(max, [each["memory_peak"] for each in several])
    gil = all(each["gil"] for each in several)
    return {**like["process"], **summed, "memory_peak": peak, "gil": gil, "gc": []}


def _sum(values: Sequence[Any]) -> Any:
    """Add what is known; None if nothing is."""
    known = [value for value in values if value is not None]
    return round(sum(known), 6) if known else None


def _extreme(choose: Callable[[list[Any]], Any], values: Sequence[Any]) -> Any:
    known = [value for value in values if value is not None]
    return choose(known) if known else None
