"""
Keep the finished requests that took longest recently. A request that is not among them costs one comparison.

Knows durations and instants; the texts about a request are for people and are not read. There are two generations, the
present one and the one before it, so the requests shown are those of the last one to two spans.
"""

from __future__ import annotations

from dataclasses import dataclass

from pastepool.types import Seconds, WorkerId

KEPT = 20
SPAN: Seconds = 600.0
"""The length of a generation: ten minutes. What was slow an hour ago has been looked into or forgotten."""

SLOW_FROM: Seconds = 0.001
"""A request that took no longer than this is not slow. It is not noted, not even as one of the first after a start."""


@dataclass(frozen=True)
class Finished:
    """One finished request, for people. ``status``: 0 when none was sent. ``fate``: as in the access log."""

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
    Keep the slowest requests of the last one to two spans.

    ``above``: a request is worth noting only if it took longer than this. Several threads may read at once. A thread
    that writes must hold a lock, which is the caller's.
    """

    def __init__(self, now: Seconds) -> None:
        self.above = SLOW_FROM
        self._present: list[Finished] = []
        self._before: list[Finished] = []
        self._span_ends_at = now + SPAN

    def note(self, finished: Finished) -> None:
        """Keep one request. If there are more than ``KEPT`` then, drop the least slow one."""
        kept = sorted([*self._present, finished], key=lambda one: -one.duration)[:KEPT]
        self._present = kept
        if len(kept) == KEPT:
            self.above = kept[-1].duration

    def turn(self, now: Seconds) -> None:
        """Begin a new generation if the span of the present one is over."""
        if now >= self._span_ends_at:
            self._before = self._present if now < self._span_ends_at + SPAN else []
            self._present = []
            self.above = SLOW_FROM
            self._span_ends_at = now + SPAN

    def clear(self, now: Seconds) -> None:
        """Forget all requests and begin a new generation."""
        self._span_ends_at = now
        self.turn(now)
        self._before = []

    def slowest_first(self) -> list[Finished]:
        """Return the slowest requests of both generations, the slowest first, at most ``KEPT`` of them."""
        return sorted([*self._present, *self._before], key=lambda one: -one.duration)[:KEPT]
