"""Answer other programs: whether the server can serve requests, and the counters as flat numbers."""

from __future__ import annotations

from typing import Any

from pastepool.core.facts import SERVING
from pastepool.core.states import Status, count_by_status
from pastepool.runtime.watching.server_view import ServerView
from pastepool.watch.watched import State


def health_of(server_view: ServerView) -> tuple[int, str]:
    """
    Say whether the pool can serve requests.

    Returns: an HTTP status and a word. 200 ``ok``; 503 ``hung`` if no worker can take a request any more, or ``sending``
    if some of them would if their clients read; 503 ``stopping`` during a drain.
    """
    if server_view.draining():
        return 503, "stopping"
    counts = count_by_status(server_view.pool.records(), server_view.clock.now(), server_view.policy)
    if any(counts[status] for status in SERVING):
        return 200, "ok"
    return 503, Status.SENDING.value if counts[Status.SENDING] else Status.HUNG.value


def counters_of(state: State) -> dict[str, Any]:
    """Return the countable part of a state as a flat dict of numbers. The names are stable and contain the unit."""
    pool, totals, process, backlog = state["pool"], state["totals"], state["process"], state["backlog"]
    flat: dict[str, Any] = {f"pastepool_workers_{word}": pool["counts"][word] for word in _words()}
    flat["pastepool_workers_wanted"] = pool["workers"]
    flat["pastepool_workers_limit"] = pool["max_workers"]
    flat["pastepool_backlog_requests"] = backlog["length"]
    flat["pastepool_backlog_oldest_seconds"] = backlog["oldest_for"] or 0.0
    flat["pastepool_connections_open"] = state["connections"]["open"] or 0
    flat["pastepool_spooled_bytes"] = state["connections"]["spooled"]
    flat.update({f"pastepool_{word}_total": number for word, number in totals.items() if isinstance(number, int)})
    for part, figures in state["latency"].items():
        for word in ("p50", "p95", "p99", "max"):
            flat[f"pastepool_{part}_seconds_{word}"] = figures[word]
    flat["process_resident_memory_bytes"] = process["memory"]
    flat["process_open_fds"] = process["descriptors"]
    flat["process_cpu_seconds_total"] = process["cpu_seconds"]
    flat["process_uptime_seconds"] = process["uptime"]
    return flat


def _words() -> list[str]:
    return [status.value for status in Status if status is not Status.GONE]
