"""
Which finished requests took longest lately, kept so that a request that is not among them pays one comparison.

Knows durations and instants, nothing of a request but what it is handed for people. Two generations: the present one
and the one before, so that what is shown is always between one and two spans old.
"""

from __future__ import annotations

from dataclasses import dataclass

from pastepool.types import Seconds, WorkerId

KEPT = 20
SPAN: Seconds = 600.0
"""Ten minutes: what was slow an hour ago has been looked into or forgotten. Nothing derives it."""

SLOW_FROM: Seconds = 0.001
"""Below it nobody calls a request slow, and the first ones after a start need not be noted."""


@dataclass(frozen=True)
class Finished:
    """One request that is over, for people. ``status``: 0 when none was sent. ``fate``: as in the access log."""

    title: str
    method: str
    path: str
    client: str
    duration: Seconds
    queued: Seconds
    status: int
    fate: str
    worker: WorkerId
    serial: int
    at: Seconds


class Slowest:
    """
    The slowest requests of the last one to two spans.

    ``above``: a request is worth noting only if it took longer. Several threads may read; to write takes a lock of the
    caller's.
    """

    def __init__(self, now: Seconds) -> None:
        self.above = SLOW_FROM
        self._present: list[Finished] = []
        self._before: list[Finished] = []
        self._span_ends_at = now + SPAN

    def note(self, finished: Finished) -> None:
        """Keep one, at the cost of the least slow one if there are enough."""
        kept = sorted([*self._present, finished], key=lambda one: -one.duration)[:KEPT]
        self._present = kept
        if len(kept) == KEPT:
            self.above = kept[-1].duration

    def turn(self, now: Seconds) -> None:
        """Begin a new generation if it is time."""
        if now >= self._span_ends_at:
            self._before = self._present if now < self._span_ends_at + SPAN else []
            self._present = []
            self.above = SLOW_FROM
            self._span_ends_at = now + SPAN

    def clear(self, now: Seconds) -> None:
        """Forget all."""
        self._span_ends_at = now
        self.turn(now)
        self._before = []

    def slowest_first(self) -> list[Finished]:
        """Give those of both generations, as many as are kept of one."""
        return sorted([*self._present, *self._before], key=lambda one: -one.duration)[:KEPT]
