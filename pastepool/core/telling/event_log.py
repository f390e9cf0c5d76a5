"""
What has happened to the pool, the last few hundred times: for whoever comes to look after it happened.

Knows events and their order; does not know who notes them nor who reads. Bounded: the oldest go.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from pastepool.core.telling.report import CodePlace
from pastepool.types import Seconds, WorkerId

EVENT_LIMIT = 200
"""Events kept. One may hold a stack of 200 calls, so that this is some megabytes at the worst; nothing derives it."""

MERGED_FOR: Seconds = 10.0
"""What happens in masses (a refused request) is one event for so long."""


@dataclass
class PoolEvent:
    """
    One thing that happened.

    ``number``: rises by one an event. ``at``: monotonic. ``text``: as the log has it. ``detail``: what the worker did.
    ``worker``/``serial``/``title``: about whom; 0 and empty for nobody. ``stack``: of that moment, innermost call
    first. ``count``: how often, where several are one event; written by whoever notes the next.
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
    A ring of events.

    Every step on it is one of a deque, so several threads may note and read at once; at worst two events get one
    number.
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
        """Keep one event, and let the oldest go if there are too many."""
        self._last += 1
        event = PoolEvent(self._last, kind, at, text, detail, worker, serial, title, tuple(stack))
        self._events.append(event)
        return event

    def note_more(self, kind: str, at: Seconds, text: str) -> None:
        """Count one more of what happens in masses; the same text within ten seconds is one event."""
        open_event = self._merging.get(text)
        if open_event is not None and at < open_event.at + MERGED_FOR:
            open_event.count += 1
        else:
            self._merging[text] = self.note(kind, at, text)

    def newest_first(self) -> list[PoolEvent]:
        """Give what is kept."""
        return list(self._events)[::-1]
