"""
Hold what a plan has to know of the plans before it, as one value that each plan hands to the next.

Knows no rule: ``supervision`` reads the value and makes the next one. The supervisor keeps it and does not look inside.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from pastepool.types import Seconds, WorkerId

CLEANUP_FLOOR: Seconds = 1.0
CLEANUP_SHARE = 10
"""
How long a killed application may clean up before the kill is repeated: a tenth of ``dying_for``, and at least one
second. A repeated kill may interrupt a ``finally`` that is cleaning up. It helps only where the application swallowed
the kill before: in a blocked thread the first exception still waits to be raised.
"""

PAUSE_LIMIT: Seconds = 30.0
"""
The longest pause between two attempts. After an attempt that raised something, the longest pause is ``dying_for`` if
that is longer.
"""

MISSED_PAUSE: Seconds = 1.0
MISSED_OFTEN = 8
"""
``MISSED_PAUSE``: how long after an attempt that raised nothing the next one is made. ``MISSED_OFTEN``: after how many
such attempts in a row the pause begins to double. By then the thread is blocked where nothing may be raised, and every
attempt writes a line to the log.
"""


class Shortage(enum.IntEnum):
    """
    Say how far the cap keeps the pool from replacing its hung and dying workers.

    ``SOME``: fewer workers can serve than should. ``NOBODY_SERVES``: no worker can serve, and none may be spawned.
    """

    NONE = 0
    SOME = 1
    NOBODY_SERVES = 2


@dataclass(frozen=True)
class Injection:
    """
    Record the attempts to kill one task.

    ``attempts``: how many were planned. ``last_at``: when the last one was planned. ``missed``: how many raised
    nothing, because the window was shut, or because the thread stood where an exception would hurt others.
    ``in_a_row``: how many attempts missed one after the other. ``last_missed``: whether the last attempt missed.
    """

    serial: int
    attempts: int
    last_at: Seconds
    missed: int = 0
    in_a_row: int = 0
    last_missed: bool = False

    def again(self, now: Seconds) -> Injection:
        """Return this value with one more attempt, made ``now``. Whether it raises anything is not known yet."""
        in_a_row = self.in_a_row if self.last_missed else 0
        return replace(self, attempts=self.attempts + 1, last_at=now, in_a_row=in_a_row, last_missed=False)

    def missing(self) -> Injection:
        """Return this value after the news that the last attempt raised nothing."""
        return replace(self, missed=self.missed + 1, in_a_row=self.in_a_row + 1, last_missed=True)

    def due_at(self, dying_for: Seconds) -> Seconds:
        """
        Return when the next attempt is due.

        After an attempt that raised nothing, the pause is short (``MISSED_PAUSE``). After the first attempt that raised
        something, the pause is the time for clean-up. After each further one the pause is twice as long, up to
        ``dying_for``.
        """
        if self.last_missed:
            return self.last_at + min(MISSED_PAUSE * 2.0 ** _few(self.in_a_row - MISSED_OFTEN), PAUSE_LIMIT)
        first = max(CLEANUP_FLOOR, dying_for / CLEANUP_SHARE)
        pause = first * 2.0 ** _few(self.attempts - self.missed - 1)
        return self.last_at + min(pause, max(PAUSE_LIMIT, dying_for))


def _few(times: int) -> int:
    """Limit a number of doublings to 0..20. After 20 a pause is above every limit; a larger power could overflow."""
    return min(max(times, 0), 20)


class Cut(NamedTuple):
    """A client that was cut because it does not read: when, and since when its worker had waited for it."""

    worker: WorkerId
    serial: int
    sending_since: Seconds
    at: Seconds


@dataclass(frozen=True)
class History:
    """
    Hold what the next plan has to know of this plan and the ones before it.

    ``hung``: worker and serial of each task that was noted as hung. ``overdue``: the same of each task that was noted
    because it is past its kill limit and is not killed. ``zombies``: workers that were noted as zombies.
    ``injections``: the attempts to kill each task that still runs, by worker.
    ``surplus_since``: since when more workers can serve than should; ``None`` while there is no surplus.
    ``asked_to_retire``: workers that were asked to retire, and when. Only those whose phase is still the same.
    ``cuts``: clients that were cut and whose workers still run the same task. ``shortage``: as this plan found it.
    ``ending``: whether the end of the process has been planned.
    """

    hung: frozenset[tuple[WorkerId, int]] = frozenset()
    overdue: frozenset[tuple[WorkerId, int]] = frozenset()
    zombies: frozenset[WorkerId] = frozenset()
    injections: Mapping[WorkerId, Injection] = field(default_factory=dict)
    surplus_since: Seconds | None = None
    asked_to_retire: Mapping[WorkerId, Seconds] = field(default_factory=dict)
    cuts: frozenset[Cut] = frozenset()
    shortage: Shortage = Shortage.NONE
    ending: bool = False
