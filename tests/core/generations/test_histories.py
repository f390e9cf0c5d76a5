"""The promises of ``plan`` for worker processes, each checked in every state of thousands of random histories."""

from __future__ import annotations

import itertools
import math

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pastepool.core.generations.actions import EndParent, ForkChild, RetireChild
from pastepool.core.generations.child import ChildPhase
from pastepool.core.generations.fleet import STORM_WITHIN, Fleet
from pastepool.core.generations.planning import plan
from pastepool.core.policy import ProcessPolicy
from tests.core.generations.simulated_fleet import SimulatedFleet

SERVES = (ChildPhase.READY,)
policies = st.builds(
    ProcessPolicy,
    processes=st.integers(1, 4),
    startup=st.sampled_from([0.0, 2.0, 60.0]),
    drain=st.sampled_from([0.0, 5.0, 30.0]),
    shutdown=st.sampled_from([0.0, 10.0]),
    start_failure=st.sampled_from(["exit", "retry"]),
)
picks = st.integers(0, 10**6)


class Watched(SimulatedFleet):
    """Judges each single action as it is applied."""

    def apply(self, action: object) -> None:  # type: ignore[override]
        before = len(self.of(*SERVES))
        super().apply(action)  # type: ignore[arg-type]
        if isinstance(action, ForkChild):
            assert len(self.fleet.children) <= 2 * self.policy.processes + 2
            assert not self.fleet.stopping
        if isinstance(action, RetireChild) and not self.fleet.stopping:
            assert before > self.policy.processes, "a plan took one of the last that serve"


class Histories(RuleBasedStateMachine):
    """Random histories of a fleet; the invariants are the promises."""

    world: SimulatedFleet

    @initialize(policy=policies, origin=st.floats(0, 1e6))
    def begin(self, policy: ProcessPolicy, origin: float) -> None:
        """A parent before its first look."""
        self.world = Watched(policy, now=origin)
        self.reloads: list[float] = []
        self.world.look()

    def pick(self, number: int, *phases: ChildPhase) -> int | None:
        there = self.world.of(*phases)
        return there[number % len(there)] if there else None

    @rule(seconds=st.floats(0, 40) | st.sampled_from([0.5, 1.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        """The parent sleeps to its instant, looks, and sleeps again."""
        self.world.wait(seconds)

    @rule()
    def time_jumps_to_the_next_look(self) -> None:
        """However far it is."""
        if self.world.last.look_again_at < math.inf and self.world.status is None:
            self.world.wait(self.world.last.look_again_at - self.world.now)

    @rule(number=picks)
    def a_child_is_ready(self, number: int) -> None:
        """It has loaded the application."""
        serial = self.pick(number, ChildPhase.BOOTING)
        if serial is not None:
            self.world.ready(serial)

    @rule(number=picks, luck=st.floats(-1, 1))
    def a_child_ends(self, number: int, luck: float) -> None:
        """Whatever it did."""
        self.world.luck = luck
        serial = self.pick(number, *ChildPhase)
        if serial is not None:
            self.world.end(serial)

    @rule()
    def all_children_end(self) -> None:
        """The machine has no memory left, say."""
        for serial in self.world.of(*ChildPhase):
            self.world.end(serial)

    @rule(number=picks)
    def a_child_is_condemned(self, number: int) -> None:
        """It is to be replaced."""
        serial = self.pick(number, ChildPhase.READY)
        if serial is not None:
            self.world.condemn(serial)

    @rule()
    def all_are_condemned(self) -> None:
        """All reach their limit at once."""
        for serial in self.world.of(ChildPhase.READY):
            self.world.condemn(serial)

    @rule(number=picks)
    def a_child_stands_still(self, number: int) -> None:
        """C code keeps the lock of its interpreter."""
        serial = self.pick(number, ChildPhase.READY)
        if serial is not None:
            self.world.fleet = self.world.fleet.stood_still(serial, self.world.now)
            self.world.look()

    @rule(number=picks)
    def a_child_goes_on(self, number: int) -> None:
        """Its C code has returned."""
        serial = self.pick(number, ChildPhase.STUCK)
        if serial is not None:
            self.world.fleet = self.world.fleet.went_on(serial, self.world.now)
            self.world.look()

    @rule()
    def a_client_waits(self) -> None:
        """And nothing serves."""
        self.world.fleet = self.world.fleet.hurried(self.world.now)
        self.world.look()

    @rule()
    def operator_reloads(self) -> None:
        """New code is on the disk."""
        if not self.world.fleet.stopping:
            self.reloads.append(self.world.now)
            self.world.reload()

    @rule(processes=st.integers(1, 4))
    def reload_changes_the_number(self, processes: int) -> None:
        """The settings of the newest generation say how many serve from now on."""
        self.world.policy = ProcessPolicy(processes, 2.0, 5.0, 10.0)
        self.world.look()

    @rule()
    def machine_refuses_the_settings(self) -> None:
        """The new port is taken."""
        if self.world.fleet.reloading:
            self.world.fleet = self.world.fleet.refused("the port is taken")
            self.world.look()

    @rule(at_once=st.booleans(), often=st.integers(0, 9))
    def operator_stops(self, at_once: bool, often: int) -> None:
        """Seldom, because nothing happens after it."""
        if often == 0:
            self.world.stop(at_once)

    # -- the promises

    @invariant()
    def same_facts_same_plan(self) -> None:
        """Nothing but the arguments decides."""
        world = self.world
        assert plan(world.fleet, world.now, world.policy) == plan(world.fleet, world.now, world.policy)

    @invariant()
    def nothing_changes_before_the_look(self) -> None:
        """Half way to the next look, and just before it, there is nothing to do."""
        world, look = self.world, self.world.last.look_again_at
        if world.status is not None:
            return
        assert look > world.now
        ahead = look if look < math.inf else world.now + 1e6
        for at in (world.now, (world.now + ahead) / 2, math.nextafter(ahead, 0.0)):
            if at >= world.now:
                assert plan(world.fleet, at, world.policy).actions == ()

    @invariant()
    def something_changes_at_the_look(self) -> None:
        """No look is for nothing, unless one of the pauses between forks ends."""
        world, look = self.world, self.world.last.look_again_at
        if look < math.inf and world.status is None and not world.last.held_back:
            planned = plan(world.fleet, look, world.policy)
            assert planned.actions or planned.held_back

    @invariant()
    def vacant_slots_are_looked_after(self) -> None:
        """While fewer serve than are wanted, a child boots, or there is an instant at which one will, or all are there."""
        world = self.world
        missing = len(world.of(ChildPhase.READY)) < world.policy.processes
        if missing and world.status is None and not world.fleet.stopping:
            full = len(world.fleet.children) >= 2 * world.policy.processes + 2
            ended = any(isinstance(action, EndParent) for _, action in world.done)
            gave_up = world.policy.start_failure == "exit" and not world.fleet.loaded and world.fleet.misses.count
            assert world.of(ChildPhase.BOOTING) or world.last.look_again_at < math.inf or full or ended or gave_up

    @invariant()
    def a_stopping_fleet_ends(self) -> None:
        """Each child has an order to end and an instant at which it is killed."""
        world = self.world
        if world.fleet.stopping:
            assert not world.of(ChildPhase.BOOTING, ChildPhase.READY, ChildPhase.STUCK)
            assert world.fleet.children or world.status is not None
            assert world.last.look_again_at < math.inf or not world.of(ChildPhase.RETIRING)

    @invariant()
    def few_forks(self) -> None:
        """
        In any ten seconds there are at most two forks for each process, and then one a second; a reload needs more, which
        does not follow another one within a second.
        """
        forks = self.world.forks()[-40:]
        most = 2 * 4 + 10
        calm = [at for before, at in itertools.pairwise([-math.inf, *self.reloads]) if at >= before + STORM_WITHIN]
        for at in forks:
            reloads = sum(at <= other < at + 10.0 for other in calm)
            assert sum(at <= other < at + 10.0 for other in forks) <= most + reloads


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=150, stateful_step_count=40)


def test_a_fleet_that_is_left_alone_serves() -> None:
    """The state machine above reaches what it is about: a whole fleet of ready children."""
    world = SimulatedFleet(ProcessPolicy(3)).serving()
    assert len(world.of(ChildPhase.READY)) == 3
    assert world.last.look_again_at == math.inf
    assert world.fleet.loads
    assert Fleet() != world.fleet
