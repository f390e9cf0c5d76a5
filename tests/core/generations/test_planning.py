"""What the parent does about its worker processes, told as short stories: a start, a reload, a death, the end."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest

from pastepool.core.generations.actions import KillChild, RetireChild
from pastepool.core.generations.back_off import LONGEST_PAUSE, again_at, repeats
from pastepool.core.generations.child import LIVED_LONG, ChildPhase, Deaths
from pastepool.core.generations.fleet import Fleet
from pastepool.core.generations.planning import LATE_BY, STOPS
from pastepool.core.policy import ProcessPolicy
from tests.core.generations.simulated_fleet import SimulatedFleet

TWO = ProcessPolicy(processes=2)
ONE = ProcessPolicy(processes=1)
BOOTING, READY, STUCK, RETIRING, KILLED = ChildPhase


def world_of(processes: int) -> SimulatedFleet:
    """A fleet in which all serve."""
    return SimulatedFleet(ProcessPolicy(processes)).serving()


# ------------------------------------------------------------------------------------------------------------ the start


def after_failures(policy: ProcessPolicy) -> SimulatedFleet:
    """Return a fleet whose first four attempts have ended, each at the moment the next one was due."""
    world = SimulatedFleet(policy, now=0.0)
    world.look()
    for _ in range(4):
        world.end(world.serials)
        world.wait(world.last.look_again_at - world.now)
    return world


def test_first_start_tries_with_one_child() -> None:
    """Only when it is ready are the others forked, all at once: a factory that fails is run once, not N times."""
    world = SimulatedFleet(ProcessPolicy(3))
    world.look()
    assert world.of(BOOTING) == [1]
    world.ready(1)
    assert world.of(BOOTING) == [2, 3]
    assert [world.child(serial).slot for serial in (1, 2, 3)] == [1, 2, 3]


def test_failing_start_is_tried_again_after_growing_pauses() -> None:
    """Attempts at 0, 1, 3, 7 seconds and so on, one child at a time."""
    world = after_failures(TWO)
    assert world.forks() == [0.0, 1.0, 3.0, 7.0, 15.0]
    assert len(world.of(BOOTING)) == 1


def test_failing_start_ends_the_parent_where_nobody_wants_retries() -> None:
    """From a terminal one attempt is enough, with the status of a failed start."""
    world = SimulatedFleet(replace(TWO, start_failure="exit"))
    world.look()
    world.end(1)
    assert world.status == 3
    assert len(world.forks()) == 1


def test_start_that_succeeded_once_is_retried_even_where_a_failed_start_ends_the_parent() -> None:
    """A server that has served does not give up because of one bad moment."""
    world = SimulatedFleet(replace(ONE, start_failure="exit")).serving()
    world.wait(LIVED_LONG)
    world.end(1)
    world.end(2)
    world.wait(2.0)
    assert world.status is None
    assert world.of(BOOTING) == [3]


def test_waiting_client_fetches_the_next_attempt_forward() -> None:
    """To now, but not nearer than one second to the last failure."""
    world = after_failures(ONE)
    world.end(world.serials)
    failed_at = world.now
    world.fleet = world.fleet.hurried(world.now + 0.25)
    world.now += 0.25
    world.look()
    assert world.last.look_again_at == failed_at + 1.0
    world.wait(5.0)
    assert world.forks()[-1] == failed_at + 1.0


def test_client_that_waits_later_starts_it_at_once() -> None:
    """When the shortest pause is over."""
    world = after_failures(ONE)
    world.end(world.serials)
    world.wait(4.0)
    world.fleet = world.fleet.hurried(world.now)
    world.look()
    assert world.forks()[-1] == world.now


def test_child_that_is_not_ready_in_time_is_killed_and_counts_as_failed() -> None:
    """At startup_timeout; the next attempt follows after the pause, and its end counts for nothing more."""
    world = SimulatedFleet(ONE, now=0.0)
    world.look()
    world.wait(60.0)
    killed = world.done[-1][1]
    assert isinstance(killed, KillChild)
    assert killed.failed
    assert "startup_timeout = 60" in killed.why
    assert world.fleet.misses.count == 1
    world.end(1)
    assert world.fleet.misses.count == 1
    world.wait(1.0)
    assert world.of(BOOTING) == [2]


def test_no_limit_on_the_start() -> None:
    """With startup_timeout = 0 a child may take for ever."""
    world = SimulatedFleet(replace(ONE, startup=0.0))
    world.look()
    assert world.last.look_again_at == math.inf


def test_a_killed_child_is_never_ready() -> None:
    """It may have said so at the very moment."""
    world = SimulatedFleet(ONE)
    world.look()
    world.wait(60.0)
    world.ready(1)
    assert world.of(READY) == []
    assert world.fleet.became_ready(77, world.now) == world.fleet


# ----------------------------------------------------------------------------------------------------------- the reload


def test_reload_boots_one_candidate_and_then_one_after_the_other() -> None:
    """Each is ready before the one in its slot retires: there are never fewer than two that serve, nor more than three."""
    world = world_of(2)
    world.reload()
    assert (world.of(BOOTING), world.of(READY)) == ([3], [1, 2])
    assert world.fleet.reloading
    assert not world.fleet.is_settled(2)
    world.ready(3)
    assert not world.fleet.is_settled(2)
    assert (world.of(BOOTING), world.of(READY), world.of(RETIRING)) == ([4], [2, 3], [1])
    assert not world.fleet.reloading
    world.ready(4)
    assert (world.of(READY), world.of(RETIRING)) == ([3, 4], [1, 2])
    assert world.fleet.is_settled(2)
    world.end(1)
    world.end(2)
    assert world.last.look_again_at == math.inf


def test_candidate_that_fails_changes_nothing() -> None:
    """The old generation serves on. Nothing is tried again by itself."""
    world = world_of(2)
    world.reload()
    world.end(3)
    assert world.of(READY) == [1, 2]
    assert world.fleet.failed == 2
    assert world.fleet.is_settled(2)
    assert not world.fleet.reloading
    assert world.last.look_again_at == math.inf
    world.reload()
    world.ready(4)
    assert world.of(RETIRING) == [1]


def test_refused_settings_change_nothing() -> None:
    """No child is forked for them."""
    world = world_of(2)
    world.fleet = world.fleet.reload(world.now).refused("the port is taken")
    world.look()
    assert world.serials == 2
    assert not world.fleet.reloading


def test_recycling_rests_while_what_is_on_disk_does_not_load() -> None:
    """A child beyond its limit serves on. One that dies all the same is replaced with pauses, and then all goes on."""
    world = world_of(2)
    world.reload()
    world.end(3)
    world.condemn(1)
    assert world.serials == 3
    world.wait(LIVED_LONG)
    world.end(2)
    assert world.of(BOOTING) == [4]
    world.ready(4)
    assert world.of(BOOTING) == [5]  # for the one that is condemned
    world.ready(5)
    assert world.of(RETIRING) == [1]
    assert {world.child(serial).generation for serial in (4, 5)} == {2}


def test_failed_reload_is_not_finished_by_a_replacement() -> None:
    """What replaces a dead child after a failed reload may load: the others of the old generation stay nevertheless."""
    world = world_of(2)
    world.reload()
    world.end(3)
    world.wait(LIVED_LONG)
    world.end(2)
    world.ready(4)
    assert world.of(READY) == [1, 4]
    assert world.of(BOOTING, RETIRING) == []


def test_second_reload_gives_the_first_candidate_up() -> None:
    """It is killed, which is no failure, and the newest is tried."""
    world = world_of(2)
    world.reload()
    world.reload()
    assert (world.of(KILLED), world.of(BOOTING)) == ([3], [4])
    world.end(3)
    assert world.fleet.failed == 0
    world.ready(4)
    assert world.child(4).generation == 3
    assert world.of(RETIRING) == [1]


@pytest.mark.parametrize("boots_within", [math.inf, 0.05])
def test_storm_of_reloads_forks_no_more_than_one_a_second(boots_within: float) -> None:
    """After the first few, whether the candidates become ready in between or not. The last one of the storm is served."""
    world = world_of(2)
    for _ in range(150):
        world.reload()
        for serial in world.of(KILLED):
            world.end(serial)
        world.wait(0.1)
        for serial in world.of(BOOTING) if boots_within < 0.1 else ():
            world.ready(serial)
        for serial in world.of(RETIRING):
            world.end(serial)
    storm = world.forks()[2:]
    assert len(storm) <= 4 + 15
    assert min(after - before for before, after in itertools.pairwise(storm[4:])) > 0.99
    for _ in range(3):
        world.wait(1.0)
        for serial in world.of(BOOTING):
            world.ready(serial)
    assert {world.child(serial).generation for serial in world.of(READY)} == {151}


def test_candidate_that_is_ready_as_it_is_given_up_is_drained() -> None:
    """Not killed: it may have a request by now."""
    world = world_of(2)
    world.reload()
    world.fleet = world.fleet.reload(world.now).became_ready(3, world.now)
    world.look()
    assert world.of(RETIRING) == [3]
    assert world.of(BOOTING) == [4]


def test_candidate_that_ends_as_it_is_given_up_is_no_failure() -> None:
    """Of neither generation."""
    world = world_of(2)
    world.reload()
    world.fleet = world.fleet.reload(world.now).ended(3, world.now, 0.0)
    world.look()
    assert world.fleet.failed == 0
    assert world.fleet.misses.count == 0


def test_more_processes_after_a_reload() -> None:
    """The new slots are filled at once when the candidate has shown that the code loads."""
    world = world_of(2)
    world.reload()
    world.policy = ProcessPolicy(4)
    world.ready(3)
    assert [world.child(serial).slot for serial in world.of(BOOTING)] == [3, 4]


def test_fewer_processes_after_a_reload() -> None:
    """Those that have no slot any more retire; one that boots there is killed."""
    world = world_of(4)
    world.reload()
    world.policy = ProcessPolicy(1)
    world.ready(5)
    assert world.of(READY) == [5]
    assert world.of(RETIRING) == [1, 2, 3, 4]
    booting = SimulatedFleet(ProcessPolicy(2))
    booting.look()
    booting.ready(1)
    booting.policy = ONE
    booting.look()
    assert booting.of(KILLED) == [2]


# ----------------------------------------------------------------------------------------------------------- recycling


def test_condemned_child_is_replaced_first() -> None:
    """It retires when the other one is ready, and for the reason it was condemned for."""
    world = world_of(1)
    world.condemn(1)
    world.condemn(1, "another reason")
    assert (world.of(READY), world.of(BOOTING)) == ([1], [2])
    world.ready(2)
    assert world.of(RETIRING) == [1]
    assert world.child(1).why == "it has served 100 requests"


def test_never_two_retire_of_those_that_reach_a_limit_together() -> None:
    """The next one is replaced when the last one has ended."""
    world = world_of(3)
    for serial in (1, 2, 3):
        world.condemn(serial)
    assert len(world.of(BOOTING)) == 1
    for first in (1, 2, 3):
        world.ready(world.of(BOOTING)[0])
        assert world.of(RETIRING) == [first]
        assert world.of(BOOTING) == []
        world.end(first)
    assert world.of(BOOTING, RETIRING) == []


def test_replacement_that_does_not_load_leaves_the_old_child_in_its_place() -> None:
    """Nobody has asked for a reload, and the code on the disk is broken."""
    world = world_of(2)
    world.condemn(1)
    world.end(3)
    world.wait(3600.0)
    assert world.of(READY) == [1, 2]
    assert world.serials == 3
    assert world.fleet.failed == 0


def test_child_that_does_not_end_is_killed() -> None:
    """Some seconds after its own deadline, which never moves."""
    world = world_of(1)
    world.condemn(1)
    world.ready(2)
    world.wait(30.0 + LATE_BY - 0.01)
    assert world.of(RETIRING) == [1]
    world.wait(0.02)
    assert world.of(KILLED) == [1]


# -------------------------------------------------------------------------------------------------------------- deaths


def test_old_child_that_dies_is_replaced_at_once() -> None:
    """It had lived long."""
    world = world_of(2)
    world.wait(LIVED_LONG)
    world.end(1)
    assert world.of(BOOTING) == [3]


def test_young_child_that_dies_waits_for_its_pause() -> None:
    """Longer each time, for its slot alone; a long life makes up for it."""
    world = world_of(2)
    for pause in (1.0, 2.0, 4.0):
        young = next(serial for serial in world.of(READY) if world.child(serial).slot == 1)
        world.end(young)
        assert world.last.look_again_at == world.now + pause
        world.wait(pause)
        world.ready(world.serials)
    world.end(2)
    assert world.last.look_again_at == world.now + 1.0
    world.wait(1.0)
    world.ready(world.serials)
    world.wait(LIVED_LONG)
    world.end(next(serial for serial in world.of(READY) if world.child(serial).slot == 1))
    assert world.of(BOOTING)


def test_first_of_several_deaths_in_a_row_is_known() -> None:
    """Of each slot; one that had lived long begins again."""
    world = world_of(2)
    assert not repeats(world.fleet, world.child(1), world.now)
    world.end(1)
    world.wait(1.0)
    world.ready(3)
    assert repeats(world.fleet, world.child(3), world.now)
    assert not repeats(world.fleet, world.child(2), world.now)
    assert not repeats(world.fleet, world.child(3), world.now + LIVED_LONG)


def test_first_of_several_loads_that_fail_in_a_row_is_known() -> None:
    """A request for a reload begins again."""
    world = SimulatedFleet(ONE)
    world.look()
    assert not repeats(world.fleet, world.child(1), world.now)
    world.end(1)
    world.wait(1.0)
    assert repeats(world.fleet, world.child(2), world.now)
    world.reload()
    assert not repeats(world.fleet, world.child(2), world.now)


def test_pause_has_a_limit_and_some_luck() -> None:
    """At most thirty seconds, a fifth more or less."""
    assert again_at(Deaths(0, 5.0, 0.0)) == -math.inf
    assert again_at(Deaths(100, 0.0, 0.0)) == LONGEST_PAUSE
    assert again_at(Deaths(1, 0.0, 1.0)) == pytest.approx(1.2)
    assert again_at(Deaths(1, 0.0, -1.0)) == pytest.approx(0.8)


def test_nothing_happens_to_a_child_that_has_ended() -> None:
    """What was meant for it comes too late."""
    fleet = world_of(1).fleet
    assert fleet.killed(99, "", 0.0, 0.0, counts=True) == fleet.retired(99, "", 0.0) == fleet.condemned(99, "") == fleet


def test_end_of_a_child_that_was_told_to_end_is_no_death() -> None:
    """Nor is the end of one that nobody knows."""
    world = world_of(1)
    world.condemn(1)
    world.ready(2)
    world.end(1)
    world.end(99)
    assert world.fleet.deaths == ()


def test_too_many_forks_are_spaced() -> None:
    """More than two for each process within ten seconds: one a second, then."""
    world = world_of(2)
    deaths = 0
    for _ in range(200):
        for serial in world.of(READY):
            world.fleet = replace(
                world.fleet,
                children=tuple(
                    replace(child, since=child.since - LIVED_LONG) if child.serial == serial else child
                    for child in world.fleet.children
                ),
            )
            world.end(serial)
            deaths += 1
        for serial in world.of(BOOTING):
            world.ready(serial)
        world.wait(0.1)
    late = [at for at in world.forks() if at > world.now - 15.0]
    assert deaths > 10
    assert min(after - before for before, after in itertools.pairwise(late)) > 0.99
    assert len(world.fleet.children) <= 6


def test_fleet_is_never_larger_than_twice_and_two() -> None:
    """Children that do not end although they were killed leave no room for more."""
    world = SimulatedFleet(replace(ONE, startup=1.0))
    world.look()
    world.wait(600.0)
    assert len(world.fleet.children) == 4
    assert world.last.look_again_at == math.inf


# --------------------------------------------------------------------------------------------- an interpreter stands still


def test_child_that_stands_still_is_replaced_and_then_killed() -> None:
    """It gets a second for its stack; the replacement is there before it goes."""
    world = world_of(1)
    world.fleet = world.fleet.stood_still(1, world.now)
    world.look()
    assert (world.of(STUCK), world.of(BOOTING)) == ([1], [2])
    world.wait(3.0)
    assert world.of(STUCK) == [1]
    world.ready(2)
    assert world.of(KILLED) == [1]
    world.end(1)
    assert world.of(BOOTING) == []


def test_child_that_stands_still_is_killed_even_without_a_replacement() -> None:
    """When the replacement should have been there."""
    world = world_of(1)
    world.fleet = world.fleet.stood_still(1, world.now)
    world.look()
    world.wait(60.0)
    assert 1 in world.of(KILLED)


def test_child_that_goes_on_is_replaced_without_being_killed() -> None:
    """It finishes its requests."""
    world = world_of(1)
    world.fleet = world.fleet.stood_still(1, world.now)
    world.look()
    world.fleet = world.fleet.went_on(1, world.now)
    world.ready(2)
    assert world.of(RETIRING) == [1]


# -------------------------------------------------------------------------------------------------------------- the end


def test_end_retires_all_and_forks_nothing() -> None:
    """The parent goes when the last one has gone."""
    world = world_of(2)
    world.stop()
    assert world.of(RETIRING) == [1, 2]
    told = [action for _, action in world.done if isinstance(action, RetireChild)]
    assert {action.patience for action in told} == {10.0}
    assert {action.why for action in told} == {STOPS}
    world.end(1)
    assert world.status is None
    world.end(2)
    assert world.status == 0
    assert world.serials == 2


def test_end_kills_what_boots_and_shortens_what_retires() -> None:
    """A candidate is of no use any more; one that was retiring gets the shorter time."""
    world = world_of(1)
    world.condemn(1)
    world.ready(2)
    world.wait(1.0)
    world.reload()
    world.stop()
    assert (world.of(KILLED), world.of(RETIRING)) == ([3], [1, 2])
    assert world.child(1).why == STOPS
    world.wait(10.0 + LATE_BY)
    assert world.of(RETIRING) == []


def test_end_at_once_kills() -> None:
    """The operator has no patience."""
    world = world_of(2)
    world.stop()
    world.stop(at_once=True)
    assert world.of(KILLED) == [1, 2]


def test_end_of_a_parent_without_children() -> None:
    """It was waiting for its next attempt."""
    world = SimulatedFleet(ONE)
    world.look()
    world.end(1)
    world.stop()
    assert world.status == 0


def test_source_of_the_next_child_is_what_loads() -> None:
    """The newest generation; after a reload that failed, the one that serves. Its child belongs to that one."""
    fleet = Fleet().forked(1, 1, 0.0).became_ready(1, 1.0)
    assert fleet.source == 1
    assert fleet.reload(0.0).source == 2
    failed = fleet.reload(0.0).refused("the port is taken")
    assert failed.source == 1
    replaced = failed.ended(1, 100.0, 0.0).forked(2, 1, 100.0, failed.source).became_ready(2, 101.0)
    assert [(child.generation, replaced.is_fresh(child)) for child in replaced.children] == [(1, True)]
