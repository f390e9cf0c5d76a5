"""
Keep the last events of the pool, so that a person can see later what has happened.

Knows events and their order. Does not know who notes them or who reads them. Their number is bounded: the oldest are
dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from pastepool.core.telling.report import CodePlace
from pastepool.types import Seconds, WorkerId

EVENT_LIMIT = 200
"""How many events are kept. One event may hold a stack of 200 calls, so all of them take some megabytes at worst."""

MERGED_FOR: Seconds = 10.0
"""Occurrences of the same frequent event (a refused request) within this many seconds count as one event."""


@dataclass
class PoolEvent:
    """
    One thing that happened.

    ``number``: rises by one with each event. ``at``: monotonic seconds. ``text``: the same as in the log. ``detail``:
    what the worker did. ``worker``/``serial``/``title``: which worker and task the event is about; 0 and empty if it is
    about none. ``stack``: of the worker at that moment, innermost call first. ``count``: how many occurrences this
    event stands for; the thread that notes the next occurrence writes it.
    """

    number: int
    kind: str
    at: Seconds
    text: str
    detail: str = ""
    worker: WorkerId = 0
    serial: int = 0
    title: str = ""
    stack: Sequence[CodePlace] = ()
    count: int = 1


class EventLog:
    """
    Keep a bounded number of events. Not for several threads at once: the caller has a lock.
    """

    def __init__(self, limit: int = EVENT_LIMIT) -> None:
        self._events: deque[PoolEvent] = deque(maxlen=limit)
        self._merging: dict[str, PoolEvent] = {}
        self._last = 0

    def note(
        self,
        kind: str,
        at: Seconds,
        text: str,
        *,
        detail: str = "",
        worker: WorkerId = 0,
        serial: int = 0,
        title: str = "",
        stack: Sequence[CodePlace] = (),
    ) -> PoolEvent:
        """Keep one event, and drop the oldest one if there are too many."""
        self._last += 1
        event = PoolEvent(self._last, kind, at, text, detail, worker, serial, title, tuple(stack))
        self._events.append(event)
        return event

    def note_more(self, kind: str, at: Seconds, text: str) -> None:
        """Note one occurrence of a frequent event. Occurrences with the same text within ten seconds are one event."""
        open_event = self._merging.get(text)
        if open_event is not None and at < open_event.at + MERGED_FOR:
            open_event.count += 1
        else:
            self._merging[text] = self.note(kind, at, text)

    def newest_first(self) -> list[PoolEvent]:
        """Return the kept events, the newest first."""
        return list(self._events)[::-1]
