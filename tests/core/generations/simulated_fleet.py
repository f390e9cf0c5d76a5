"""A fleet without processes: children that boot, serve and end when a test says so, and the hand that applies plans."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from pastepool.core.generations.actions import EndParent, FleetPlan, ForkChild, KillChild, ParentAction, RetireChild
from pastepool.core.generations.child import Child, ChildPhase
from pastepool.core.generations.fleet import Fleet
from pastepool.core.generations.planning import plan
from pastepool.core.policy import ProcessPolicy


@dataclass
class SimulatedFleet:
    """``luck``: what the next pause is told. ``done``: actions applied, and when."""

    policy: ProcessPolicy
    now: float = 1000.0
    luck: float = 0.0
    fleet: Fleet = field(default_factory=Fleet)
    serials: int = 0
    done: list[tuple[float, ParentAction]] = field(default_factory=list)
    last: FleetPlan = field(default_factory=lambda: FleetPlan((), math.inf, False))
    status: int | None = None

    def look(self) -> FleetPlan:
        """Plan and apply until nothing is left to do at this instant, as the parent does."""
        while True:
            self.last = plan(self.fleet, self.now, self.policy)
            for action in self.last.actions:
                self.apply(action)
            if not self.last.actions or self.status is not None:
                return self.last

    def apply(self, action: ParentAction) -> None:
        """Do what one action says."""
        self.done.append((self.now, action))
        if isinstance(action, ForkChild):
            self.serials += 1
            self.fleet = self.fleet.forked(self.serials, action.slot, self.now)
        elif isinstance(action, RetireChild):
            self.fleet = self.fleet.retired(action.serial, action.why, self.now)
        elif isinstance(action, KillChild):
            self.fleet = self.fleet.killed(action.serial, action.why, self.now, self.luck, action.failed)
        elif isinstance(action, EndParent):
            self.status = action.status

    def wait(self, seconds: float) -> None:
        """Let time pass. The parent looks at the instants that its plans name, and at no other."""
        until = self.now + seconds
        while self.last.look_again_at <= until and self.status is None:
            self.now = self.last.look_again_at
            self.look()
        self.now = until

    def ready(self, serial: int) -> None:
        """A child says that it serves."""
        self.fleet = self.fleet.became_ready(serial, self.now)
        self.look()

    def end(self, serial: int) -> None:
        """The process of a child ends."""
        self.fleet = self.fleet.ended(serial, self.now, self.luck)
        self.look()

    def reload(self) -> None:
        """The operator asks for new code."""
        self.fleet = self.fleet.reload(self.now)
        self.look()

    def stop(self, at_once: bool = False) -> None:
        """The operator asks for the end."""
        self.fleet = self.fleet.stopped(self.now, at_once)
        self.look()

    def condemn(self, serial: int, why: str = "it has served 100 requests") -> None:
        """A child is to be replaced."""
        self.fleet = self.fleet.condemned(serial, why)
        self.look()

    def serving(self, processes: int | None = None) -> SimulatedFleet:
        """Start all, and let each child become ready."""
        self.look()
        while len(self.of(ChildPhase.READY)) < (processes or self.policy.processes):
            for serial in self.of(ChildPhase.BOOTING):
                self.ready(serial)
        return self

    def of(self, *phases: ChildPhase) -> list[int]:
        """The serials of the children in these phases."""
        return [child.serial for child in self.fleet.children if child.phase in phases]

    def child(self, serial: int) -> Child:
        """One child that has not ended."""
        found = self.fleet.find(serial)
        assert found is not None
        return found

    def forks(self) -> list[float]:
        """When children were forked."""
        return [at for at, action in self.done if isinstance(action, ForkChild)]
