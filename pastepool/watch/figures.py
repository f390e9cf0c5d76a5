"""
Describe the past of the server in the form of the JSON: durations, curves, events, the slowest requests, the counters.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from typing import Any, Protocol

from pastepool.core.telling.event_log import PoolEvent
from pastepool.core.telling.histogram import Summary
from pastepool.runtime.pool.tally import Totals
from pastepool.runtime.supervision.event_journal import EventJournal
from pastepool.runtime.watching.sampler import INTERVAL, KEPT, Sample
from pastepool.runtime.watching.server_view import ServerView
from pastepool.types import Seconds
from pastepool.watch.frames import frames_of
from pastepool.watch.wall import Wall, rounded

_GAP: Seconds = 2.5 * INTERVAL
"""If two samples are further apart than this, the sampler paused between them, and the curve gets a gap."""

EVENT_FRAMES = 300
"""
How many lines of stacks the events of one state may have: about 40 KiB. Events beyond that, the older ones, are shown
without a stack; their text still names the place.
"""


class Journaled(Protocol):
    """What has events: a server, or the desk of several processes."""

    @property
    def journal(self) -> EventJournal:
        """Return the journal that keeps them."""


def latency_of(server_view: ServerView, totals: Totals) -> dict[str, dict[str, Any]]:
    """Return how long each part of a request took: waiting, application, writing."""
    return {part: summary_of(summary) for part, summary in server_view.tally.summaries(totals).items()}


def summary_of(summary: Summary) -> dict[str, Any]:
    """Describe how long one part of the requests took."""
    figures = {
        "mean": summary.mean,
        "p50": summary.p50,
        "p95": summary.p95,
        "p99": summary.p99,
        "max": summary.maximum,
    }
    rounded_figures = {word: None if value is None else rounded(value) for word, value in figures.items()}
    buckets = [[None if upper is None else rounded(upper), count] for upper, count in summary.buckets]
    return {"count": summary.count, **rounded_figures, "buckets": buckets}


def series_of(samples: Sequence[Sample]) -> dict[str, Any]:
    """
    Turn samples into curves, the oldest point first.

    A point needs two samples: the first sample is only the start from which the second one counts requests.
    """
    curves: dict[str, list[float | None]] = {"requests": [], "busy": [], "hung": [], "backlog": []}
    for before, sample in itertools.pairwise(samples):
        lasted = sample.at - before.at
        if lasted > _GAP:
            for curve in curves.values():
                curve.append(None)
        curves["requests"].append(
            round(max(0, sample.served - before.served) / lasted, 1) if 0 < lasted <= _GAP else None
        )
        curves["busy"].append(sample.busy)
        curves["hung"].append(sample.hung)
        curves["backlog"].append(sample.backlog)
    return {"interval": INTERVAL, "limit": KEPT, **{name: curve[-KEPT:] for name, curve in curves.items()}}


def events_of(journaled: Journaled, wall: Wall, app_root: str) -> list[dict[str, Any]]:
    """Return the events, the newest first. They have stacks until ``EVENT_FRAMES`` lines are used up."""
    room = EVENT_FRAMES
    shown = []
    for event in journaled.journal.events():
        room -= len(event.stack)
        shown.append(_event(event, wall, app_root, with_stack=room >= 0))
    return shown


def _event(event: PoolEvent, wall: Wall, app_root: str, *, with_stack: bool) -> dict[str, Any]:
    many = f" ({event.count} times)" if event.count > 1 else ""
    return {
        "id": event.number,
        "kind": event.kind,
        "at": wall.text(event.at),
        "ago": wall.ago(event.at),
        "count": event.count,
        "text": event.text + many,
        "detail": _shortened(event.detail, app_root),
        "worker": event.worker or None,
        "serial": event.serial or None,
        "title": event.title,
        "stack": frames_of(event.stack, app_root) if with_stack else [],
    }


def _shortened(detail: str, app_root: str) -> str:
    """Shorten the paths in a text of the log: the application's paths become relative to its folder, as on the page."""
    return detail.replace(f"{app_root}{os.sep}", "") if app_root else detail


def slowest_of(server_view: ServerView, wall: Wall) -> list[dict[str, Any]]:
    """Return the slowest requests that finished recently."""
    return [
        {
            "title": one.title,
            "method": one.method,
            "path": one.path,
            "client": one.client,
            "duration": rounded(one.duration),
            "queued": rounded(one.queued),
            "status": one.status,
            "fate": one.fate,
            "worker": one.worker,
            "serial": one.serial,
            "ago": wall.ago(one.at),
        }
        for one in server_view.tally.slowest()
    ]


def totals_of(server_view: ServerView, totals: Totals, wall: Wall) -> dict[str, Any]:
    """Return the counters, and since when they count."""
    since = server_view.tally.counted_since
    return {**totals.counters, "counted_since": wall.text(since), "counted_for": wall.ago(since)}
