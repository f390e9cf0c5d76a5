"""
Tell systemd and the commands that wait what becomes of the workers.

A reload has come to its end when all workers are of the new generation, or when it has failed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from pastepool.core.generations.fleet import Fleet
from pastepool.core.generations.status import Told, as_rows, in_one_line
from pastepool.core.policy import ProcessPolicy
from pastepool.process.kinship import Kinship
from pastepool.runtime.family.board import FRESH
from pastepool.runtime.family.control import Control
from pastepool.runtime.system.service_manager import ServiceManager
from pastepool.types import Seconds

RELOAD, STATUS, STOP = "reload", "status", "stop"
"""What the commands ask for."""


class Reports:
    """Runs on: the only thread of the parent."""

    def __init__(self, service: ServiceManager, control: Control) -> None:
        self._service = service
        self._control = control
        self._told = Told()

    def within(self, patience: Seconds) -> Seconds:
        """Return how long the parent may wait, if it would wait for ``patience``: systemd wants signs of life."""
        return min(patience, self._service.every) if self._service.listens else patience

    def begin_reload(self) -> None:
        """A reload begins."""
        self._told = replace(self._told, settled=False)
        self._service.reloading()

    def tell(self, fleet: Fleet, policy: ProcessPolicy, silent_for: Seconds) -> None:
        """
        Tell what has changed.

        ``silent_for``: how long ago the last sign of life of any worker that serves was. If all stand still, systemd gets
        none either.
        """
        before, self._told = self._told, self._told.after(fleet, policy.processes)
        if self._told.stopping and not before.stopping:
            self._service.stopping(policy.shutdown)
        if self._told.served and not before.served:
            self._service.ready()
        if self._told.settled and not before.settled:
            self._service.ready()
            text = fleet.failure or f"generation {fleet.goal} serves"
            self._control.answer(RELOAD, {"ok": not fleet.failure, "generation": fleet.goal, "text": text})
        if self._service.listens:
            alive = silent_for < max(FRESH, self._service.period / 2)
            self._service.tell(in_one_line(fleet, policy.processes), alive)

    def answer_status(self, fleet: Fleet, kinship: Kinship, now: Seconds, ends: Mapping[str, int], lost: int) -> None:
        """
        Answer all that have asked for the status.

        ``ends``: how many workers have ended unasked, by the reason. ``lost``: lines that nobody took.
        """
        if self._control.waits_for(STATUS):
            answer = {
                "ok": True,
                "pid": os.getpid(),
                "desk": kinship.pid_of(kinship.desk),
                "generation": fleet.goal,
                "failure": fleet.failure,
                "requests": kinship.board.total,
                "ends": dict(ends),
                "lost": lost,
                "workers": as_rows(fleet, now, kinship.figures()),
                "molds": [{**vars(mold), "for": round(now - mold.since, 1)} for mold in kinship.board.molds()],
            }
            self._control.answer(STATUS, answer)

    def end(self) -> None:
        """All workers have ended, and so does the parent."""
        self._control.answer(STOP, {"ok": True, "text": "stopped"})
        self._control.answer(RELOAD, {"ok": False, "text": "the server stops"})
        self._control.close()
