"""
What a plan has to know of the plans before it, as one value that is handed from look to look.

Knows no rule: ``supervision`` reads and renews it. The supervisor keeps it and does not look inside.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pastepool.types import Seconds, WorkerId

CLEANUP_FLOOR: Seconds = 1.0
CLEANUP_SHARE = 10
"""
What an application that was killed gets to clean up before the kill is repeated: the tenth part of ``dying_for``, and a
second at least. A repetition lands in a ``finally`` as well, and helps only where a kill was swallowed: a thread that
is blocked keeps what was raised in it. Nothing derives either number.
"""

PAUSE_LIMIT: Seconds = 30.0
"""Seconds between two attempts at most, or ``dying_for`` if that is longer; nothing derives it."""

MISSED_PAUSE: Seconds = 1.0
MISSED_OFTEN = 8
"""
Seconds until an attempt that raised nothing is made again, and after how many in a row the pause begins to double: by
then the thread is blocked where nothing may be raised, and every attempt is a line in the log.
"""


class Shortage(enum.IntEnum):
    """How far the cap keeps the pool from replacing its hung and dying workers."""

    NONE = 0
    SOME = 1
    NOBODY_SERVES = 2


@dataclass(frozen=True)
class Injection:
    """
    That a kill was planned for a task.

    ``attempts``: how often. ``last_at``: when, the last time. ``missed``: how many attempts raised nothing, because the
    thread stood where that hurts others or the window was shut. ``in_a_row``: how many of those came one after the
    other. ``last_missed``: whether the last one was such.
    """

    serial: int
    attempts: int
    last_at: Seconds
    missed: int = 0
    in_a_row: int = 0
    last_missed: bool = False

    def again(self, now: Seconds) -> Injection:
        """One more attempt, of which nobody knows yet whether it raised anything."""
        in_a_row = self.in_a_row if self.last_missed else 0
        return replace(self, attempts=self.attempts + 1, last_at=now, in_a_row=in_a_row, last_missed=False)

    def missing(self) -> Injection:
        """The same with the news that the last attempt raised nothing."""
        return replace(self, missed=self.missed + 1, in_a_row=self.in_a_row + 1, last_missed=True)

    def due_at(self, dying_for: Seconds) -> Seconds:
        """
        When the next attempt is due.

        After one that raised nothing, soon. After the first one that did, what clean-up gets; after each further one
        twice as long, up to ``dying_for``.
        """
        if self.last_missed:
            return self.last_at + min(MISSED_PAUSE * 2.0 ** _few(self.in_a_row - MISSED_OFTEN), PAUSE_LIMIT)
        first = max(CLEANUP_FLOOR, dying_for / CLEANUP_SHARE)
        pause = first * 2.0 ** _few(self.attempts - self.missed - 1)
        return self.last_at + min(pause, max(PAUSE_LIMIT, dying_for))


def _few(times: int) -> int:
    """Doublings that can be computed: far above any pause by then."""
    return min(max(times, 0), 20)


@dataclass(frozen=True)
class History:
    """
    What the next plan has to know of this one and those before.

    ``hung``: worker and serial of each task noted as hung. ``zombies``: workers noted as zombies.
    ``injections``: kills planned for running tasks, by worker.
    ``surplus_since``: since when more workers can serve than should; ``None`` while no more can.
    ``asked_to_retire``: workers asked to retire that are idle still, and when they were asked.
    ``shortage``: the last one said. ``ending``: the end of the process has been planned.
    """

    hung: frozenset[tuple[WorkerId, int]] = frozenset()
    zombies: frozenset[WorkerId] = frozenset()
    injections: Mapping[WorkerId, Injection] = field(default_factory=dict)
    surplus_since: Seconds | None = None
    asked_to_retire: Mapping[WorkerId, Seconds] = field(default_factory=dict)
    shortage: Shortage = Shortage.NONE
    ending: bool = False
