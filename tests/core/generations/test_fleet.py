"""What the fleet knows beside its children: why a start failed, whether a client may hurry, which molds are needed."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pastepool.core.generations.back_off import waits_for_client
from pastepool.core.generations.child import Child, ChildPhase
from pastepool.core.generations.fleet import Fleet
from pastepool.core.generations.forking import oldest_mold
from pastepool.core.policy import ProcessPolicy
from tests.core.generations.simulated_fleet import SimulatedFleet

BOOTS = Fleet().forked(1, 1, 100.0)
SERVES = BOOTS.became_ready(1, 101.0)


@pytest.mark.parametrize(
    ("start_failure", "on_terminal", "status"),
    [("", True, 3), ("", False, None), ("retry", True, None), ("exit", False, 3)],
)
def test_failed_start_ends_the_parent_on_a_terminal_unless_the_file_says_otherwise(
    start_failure: str, on_terminal: bool, status: int | None
) -> None:
    """Somebody sees it there. Elsewhere the parent tries again."""
    world = SimulatedFleet(ProcessPolicy(1, start_failure=start_failure), fleet=Fleet(on_terminal=on_terminal))
    world.look()
    world.end(1)
    assert world.status == status


def test_client_may_hurry_while_nothing_serves_and_the_next_attempt_waits() -> None:
    """Once for each attempt."""
    assert not waits_for_client(Fleet())
    assert not waits_for_client(BOOTS)
    failed = BOOTS.ended(1, 110.0, 0.0, "no module named shop")
    assert waits_for_client(failed)
    assert not waits_for_client(failed.hurried(110.5))
    assert not waits_for_client(failed.stopped(110.5))
    again = failed.hurried(110.5).forked(2, 1, 111.0).ended(2, 112.0, 0.0, "no module named shop")
    assert waits_for_client(again)
    assert not waits_for_client(SERVES.forked(2, 2, 102.0).ended(2, 110.0, 0.0, "no memory"))


def test_failure_of_a_child_is_kept_until_the_next_reload() -> None:
    """Its end, or the kill of one that was not ready in time; and what refuses the settings."""
    assert BOOTS.ended(1, 110.0, 0.0, "no module named shop").failure == "no module named shop"
    killed = BOOTS.killed(1, "it was not ready in time", 160.0, 0.0, counts=True)
    assert killed.failure == "a worker was killed: it was not ready in time"
    assert killed.ended(1, 161.0, 0.0).failure == killed.failure
    refused = SERVES.reload(150.0).refused("the port is taken")
    assert refused.failure == "the port is taken"
    assert refused.reload(150.0).failure == ""


def test_end_of_a_child_that_was_given_up_or_has_served_is_no_failure_of_a_start() -> None:
    """The newest generation may yet load."""
    assert BOOTS.reload(150.0).ended(1, 110.0, 0.0, "it was killed").failure == ""
    assert SERVES.ended(1, 110.0, 0.0, "it was killed").failure == ""


def test_molds_older_than_the_generation_that_serves_are_not_needed() -> None:
    """That of the one that serves is, until a newer one does. At the end none is."""
    asked = SERVES.reload(150.0)
    assert oldest_mold(asked) == 1
    assert oldest_mold(asked.forked(2, 1, 200.0).became_ready(2, 201.0)) == 2
    assert oldest_mold(asked.stopped(200.0)) == math.inf


def test_child_is_named_by_its_place_its_pid_and_its_generation() -> None:
    """The log and the operator call it so."""
    child = Child(7, 3, 2, 0.0, ChildPhase.READY)
    assert child.named(0) == "worker process 3 (generation 2)"
    assert replace(child, serial=8).named(4711) == child.named(4711) == "worker process 3 (pid 4711, generation 2)"
