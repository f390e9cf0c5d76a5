"""
Define what is known of one worker process, and of those before it in its place.

A child is one worker process. Its slot is its place in the fleet, 1 to N; while a child is replaced, two have the same
slot. A generation is what one request for a reload has asked for, counted from 1: each child loads what is on disk when
it is forked, so it belongs to the newest generation at that time.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from pastepool.types import Seconds

LIVED_LONG: Seconds = 60.0
"""A child that was ready for so long and then dies is replaced at once. Earlier deaths of its slot do not count then."""


class ChildPhase(enum.Enum):
    """
    What is stored of a child. There is no phase for one that has ended: the fleet forgets it.

    ``BOOTING``: it loads the application. ``READY``: it serves. ``STUCK``: its interpreter stands still. ``RETIRING``: it
    was told to finish its requests and end. ``KILLED``: it was sent SIGKILL.
    """

    BOOTING = "booting"
    READY = "ready"
    STUCK = "stuck"
    RETIRING = "retiring"
    KILLED = "killed"


@dataclass(frozen=True)
class Child:
    """
    One worker process. ``serial``: its number; none is used twice. ``since``: when its phase began. ``why``: why it is
    to be replaced, in words; empty for a child that may stay.
    """

    serial: int
    slot: int
    generation: int
    since: Seconds
    phase: ChildPhase = ChildPhase.BOOTING
    why: str = ""

    def named(self, pid: int) -> str:
        """Name it in a line of the log. ``pid``: 0 if its mold has not forked it yet."""
        return f"worker process {self.slot} ({f'pid {pid}, ' if pid else ''}generation {self.generation})"


@dataclass(frozen=True)
class Deaths:
    """The children of one slot that died young, one after the other. ``luck``: as for ``Fleet.ended``."""

    count: int
    at: Seconds
    luck: float


NO_DEATHS = Deaths(0, -math.inf, 0.0)
