"""
What a plan has to know of the plans before it, as one value that is handed from look to look.

Knows no rule: ``supervision`` reads and renews it. The supervisor keeps it and does not look inside.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from pastepool.types import Seconds, WorkerId

INJECTION_PAUSE_LIMIT = 30.0
"""Seconds between two injections at most. They begin at one second and double; nothing derives either number."""


class Shortage(enum.IntEnum):
    """How far the cap keeps the pool from replacing its hung and dying workers."""

    NONE = 0
    SOME = 1
    NOBODY_SERVES = 2


@dataclass(frozen=True)
class Injection:
    """That a kill was planned for a task. ``attempts``: how often. ``last_at``: when, the last time."""

    serial: int
    attempts: int
    last_at: Seconds

    @property
    def due_at(self) -> Seconds:
        """When the next attempt is due: after 1, 2, 4, 8, 16 seconds, then every 30."""
        return self.last_at + min(2.0 ** min(self.attempts - 1, 10), INJECTION_PAUSE_LIMIT)


@dataclass(frozen=True)
class History:
    """
    What the next plan has to know of this one and those before.

    ``hung``: worker and serial of each task noted as hung. ``injections``: kills planned for running tasks, by worker.
    ``surplus_since``: since when more workers can serve than should; ``None`` while no more can.
    ``asked_to_retire``: workers asked to retire that are idle still, and when they were asked.
    ``shortage``: the last one said. ``ending``: the end of the process has been planned.
    """

    hung: frozenset[tuple[WorkerId, int]] = frozenset()
    injections: Mapping[WorkerId, Injection] = field(default_factory=dict)
    surplus_since: Seconds | None = None
    asked_to_retire: Mapping[WorkerId, Seconds] = field(default_factory=dict)
    shortage: Shortage = Shortage.NONE
    ending: bool = False
