"""
Tell systemd and the commands that wait what becomes of the workers.

A reload has come to its end when all workers are of the new generation, or when it has failed.
"""

from __future__ import annotations

import os

from pastepool.core.generations.child import ChildPhase
from pastepool.core.generations.fleet import Fleet
from pastepool.core.wording import counted
from pastepool.process.burial import Burial
from pastepool.process.kin import Kinship
from pastepool.runtime.family.board import FRESH
from pastepool.runtime.family.control import Control
from pastepool.runtime.system.service_manager import ServiceManager
from pastepool.types import Seconds

RELOAD, STATUS, STOP = "reload", "status", "stop"
"""What the commands ask for."""


class Reports:
    """
    ``failure``: why the last reload failed, in words. ``burial``: tells and counts the ends of workers.

    Runs on: the only thread of the parent.
    """

    def __init__(self, service: ServiceManager, control: Control, burial: Burial) -> None:
        self.failure = ""
        self.control = control
        self.burial = burial
        self._service = service
        self._is_ready = False
        self._has_served = False
        self._stops = False

    def within(self, patience: Seconds) -> Seconds:
        """Return how long the parent may wait, if it would wait for ``patience``: systemd wants signs of life."""
        return min(patience, self._service.every) if self._service.listens else patience

    def begin_reload(self) -> None:
        """A reload begins."""
        self.failure = ""
        self._is_ready = False
        self._service.reloading()

    def tell(self, fleet: Fleet, processes: int, shutdown: Seconds, silent_for: Seconds) -> None:
        """
        Tell what has changed.

        ``silent_for``: how long ago the last sign of life of any worker that serves was. If all stand still, systemd gets
        none either.
        """
        serving = sum(child.phase is ChildPhase.READY for child in fleet.children)
        if fleet.stopping and not self._stops:
            self._stops = True
            self._service.stopping(shutdown)
        if serving and not self._has_served:
            self._has_served = self._is_ready = True
            self._service.ready()
        if not fleet.stopping and not self._is_ready and fleet.is_settled(processes):
            self._is_ready = True
            self._service.ready()
            done = {
                "ok": not self.failure,
                "generation": fleet.goal,
                "text": self.failure or f"generation {fleet.goal} serves",
            }
            self.control.answer(RELOAD, done)
        if self._service.listens:
            failed = f"; the reload to generation {fleet.failed} failed" if fleet.failed > fleet.goal else ""
            status = f"generation {fleet.goal}, {serving} of {counted(processes, 'worker')} ready{failed}"
            self._service.tell(status, alive=silent_for < max(FRESH, self._service.period / 2))

    def answer_status(self, fleet: Fleet, kinship: Kinship, now: Seconds, total: int) -> None:
        """Answer all that have asked for the status. ``total``: the requests of all workers since the start."""
        if self.control.waits_for(STATUS):
            rows = [
                {
                    "slot": child.slot,
                    "pid": kinship.pid_of(child.serial),
                    "generation": child.generation,
                    "state": child.phase.value,
                    "for": round(now - child.since, 1),
                    "requests": kinship.requests_of(child.serial),
                    "why": child.why,
                }
                for child in sorted(fleet.children, key=lambda child: (child.slot, child.serial))
            ]
            answer = {
                "ok": True,
                "pid": os.getpid(),
                "desk": kinship.pid_of(kinship.desk),
                "generation": fleet.goal,
                "failure": self.failure,
                "requests": total,
                "ends": dict(self.burial.counts),
                "workers": rows,
                "molds": [{**vars(mold), "for": round(now - mold.since, 1)} for mold in kinship.board.molds()],
            }
            self.control.answer(STATUS, answer)

    def end(self) -> None:
        """All workers have ended, and so does the parent."""
        self.control.answer(STOP, {"ok": True, "text": "stopped"})
        self.control.answer(RELOAD, {"ok": False, "text": "the server stops"})
        self.control.close()
