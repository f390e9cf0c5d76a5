"""Say how the worker processes are, for systemd and for the commands, and what of it is new."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pastepool.core.generations.child import ChildPhase
from pastepool.core.generations.fleet import Fleet
from pastepool.core.wording import counted
from pastepool.types import Seconds


@dataclass(frozen=True)
class Told:
    """
    What is known outside of the parent.

    ``served``: a child has served. ``settled``: what became of the last request for a reload. ``stopping``: all end.
    """

    served: bool = False
    settled: bool = True
    stopping: bool = False

    def after(self, fleet: Fleet, processes: int) -> Told:
        """Return what is to be known now: what differs from before is to be told."""
        settled = self.settled or (not fleet.stopping and fleet.is_settled(processes))
        return Told(self.served or _serving(fleet) > 0, settled, fleet.stopping)


def in_one_line(fleet: Fleet, processes: int) -> str:
    """Say how many children serve, and whether a reload has failed."""
    failed = f"; the reload to generation {fleet.failed} failed" if fleet.failed > fleet.goal else ""
    return f"generation {fleet.goal}, {_serving(fleet)} of {counted(processes, 'worker')} ready{failed}"


def as_rows(fleet: Fleet, now: Seconds, figures: Mapping[int, tuple[int, int]]) -> list[dict[str, object]]:
    """Describe each child, by slot. ``figures``: the pid of each, and how many requests it has had, by serial."""
    rows: list[dict[str, object]] = []
    for child in sorted(fleet.children, key=lambda child: (child.slot, child.serial)):
        pid, requests = figures.get(child.serial, (0, 0))
        row: dict[str, object] = {
            "slot": child.slot,
            "pid": pid,
            "generation": child.generation,
            "state": child.phase.value,
            "for": round(now - child.since, 1),
            "requests": requests,
            "why": child.why,
        }
        rows.append(row)
    return rows


def _serving(fleet: Fleet) -> int:
    return sum(child.phase is ChildPhase.READY for child in fleet.children)
