"""Which child stands still, and which has served long enough."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pastepool.core.generations.child import ChildPhase
from pastepool.core.generations.fleet import Fleet
from pastepool.core.generations.health import LOOK_EVERY, YOUNGEST, Signs, StacksStage, judged, look_after
from pastepool.core.policy import ProcessPolicy

MIB = 1024 * 1024
POLICY = ProcessPolicy(1, deadlock=60.0)


def fleet_of(*phases: ChildPhase) -> Fleet:
    """Children that have been ready since 0."""
    fleet = Fleet()
    for serial, phase in enumerate(phases, 1):
        fleet = fleet.forked(serial, serial, 0.0).became_ready(serial, 0.0)
        fleet = fleet.stood_still(serial, 0.0) if phase is ChildPhase.STUCK else fleet
    return fleet


def test_silence_is_counted_only_while_somebody_watches() -> None:
    """A parent that was stopped for an hour has seen nothing, and takes nobody for stuck."""
    signs = Signs().seen(1.0, 0, 0, 100.0, 0.5)
    assert signs.silent_for == 0.0
    signs = signs.seen(1.0, 0, 0, 3700.0, 3600.0)
    assert signs.silent_for == 2 * LOOK_EVERY
    assert signs.seen(2.0, 0, 0, 3700.5, 0.5).silent_for == 0.0


@given(st.floats(0, 1e8), st.floats(0, 1e8))
def test_all_is_looked_at_at_the_same_instants(one: float, other: float) -> None:
    """So the parent, which has nothing else to do, wakes up once for all. A look leaves time for what it has asked for."""
    for looked_at in (one, other):
        assert looked_at + LOOK_EVERY / 2 <= look_after(looked_at) <= looked_at + 1.5 * LOOK_EVERY
    first, second = sorted((look_after(one), look_after(other)))
    assert (second - first) % LOOK_EVERY == 0.0
    assert look_after(first) == first + LOOK_EVERY
    assert look_after(-math.inf) == -math.inf


def test_child_is_active_while_requests_run_or_come() -> None:
    """Or have come since the last look."""
    signs = Signs().seen(1.0, 5, 0, 10.0, 0.5)
    assert signs.active_at == 10.0
    assert signs.seen(2.0, 5, 0, 20.0, 0.5).active_at == 10.0
    assert signs.seen(2.0, 6, 0, 20.0, 0.5).active_at == 20.0
    assert signs.seen(2.0, 5, 1, 20.0, 0.5).active_at == 20.0


def test_late_child_is_told_before_it_counts_as_stuck() -> None:
    """After five seconds, or at the limit if that is earlier; never if nobody wants to know."""
    assert not Signs(silent_for=4.9).is_late(POLICY)
    assert Signs(silent_for=5.0).is_late(POLICY)
    assert Signs(silent_for=2.0).is_late(replace(POLICY, deadlock=2.0))
    assert not Signs(silent_for=99.0).is_late(replace(POLICY, deadlock=0.0))


def test_child_without_beats_stands_still_and_may_go_on() -> None:
    """From deadlock_timeout on."""
    fleet = fleet_of(ChildPhase.READY)
    assert judged(fleet, {1: Signs(silent_for=59.9)}, 100.0, POLICY) == fleet
    stuck = judged(fleet, {1: Signs(silent_for=60.0)}, 100.0, POLICY)
    assert stuck.children[0].phase is ChildPhase.STUCK
    assert judged(stuck, {1: Signs(silent_for=70.0)}, 110.0, POLICY) == stuck
    again = judged(stuck, {1: Signs(silent_for=0.0)}, 110.0, POLICY)
    assert (again.children[0].phase, bool(again.children[0].why)) == (ChildPhase.READY, True)
    assert judged(fleet, {1: Signs(silent_for=600.0)}, 700.0, replace(POLICY, deadlock=0.0)) == fleet
    assert judged(fleet, {}, 100.0, POLICY) == fleet


@pytest.mark.parametrize(
    ("policy", "signs", "why"),
    [
        (ProcessPolicy(1, max_requests=100), Signs(requests=110, active_at=99.0), "110 requests (maximum_requests)"),
        (ProcessPolicy(1, restart_every=100.0), Signs(active_at=99.0), "served for 100 s (restart_interval)"),
        (ProcessPolicy(1, inactive=50.0), Signs(active_at=50.0), "no request for 50 s (inactivity_timeout)"),
        (ProcessPolicy(1, max_memory=9 * MIB), Signs(active_at=99.0, memory=10 * MIB), "10 MiB of memory"),
    ],
    ids=["requests", "age", "inactivity", "memory"],
)
def test_limits_condemn_a_child(policy: ProcessPolicy, signs: Signs, why: str) -> None:
    """Each names itself. A child that is young, or stands below the limit, stays."""
    fleet = fleet_of(ChildPhase.READY)
    assert why in judged(fleet, {1: signs}, 100.0, policy).children[0].why
    below = replace(signs, requests=90, active_at=99.0, memory=8 * MIB)
    assert judged(fleet, {1: below}, 99.0, policy) == fleet
    young = fleet.retired(1, "", 0.0).forked(2, 1, 95.0).became_ready(2, 95.0)
    assert judged(young, {2: signs}, 95.0 + YOUNGEST - 0.1, replace(policy, inactive=0.0)) == young


def test_limit_on_requests_differs_from_child_to_child() -> None:
    """By at most a tenth, so that not all reach it at once."""
    policy = ProcessPolicy(9, max_requests=1000)
    reached = set()
    for serial in range(1, 10):
        fleet = replace(
            fleet_of(ChildPhase.READY), children=(replace(fleet_of(ChildPhase.READY).children[0], serial=serial),)
        )
        reached.add(
            next(n for n in range(1000, 1101) if judged(fleet, {serial: Signs(requests=n)}, 100.0, policy) != fleet)
        )
    assert len(reached) == 9


def test_two_sizes_of_memory_are_needed() -> None:
    """One large response is no leak."""
    first = Signs().measured(5, 10.0)
    assert first.memory == 0
    assert first.measured(7, 20.0).memory == 5
    assert first.measured(3, 20.0).memory == 3


def test_size_is_read_now_and_then_and_only_for_a_limit() -> None:
    """At once, and then every ten seconds."""
    limited = replace(POLICY, max_memory=1)
    assert Signs().is_to_measure(0.0, limited)
    assert not Signs().is_to_measure(0.0, POLICY)
    assert not Signs().measured(5, 100.0).is_to_measure(109.9, limited)
    assert Signs().measured(5, 100.0).is_to_measure(110.0, limited)


def test_stacks_of_a_late_child_are_asked_for_once() -> None:
    """At the next look they have been written. They are wanted again only after the child has gone on."""
    late = Signs(silent_for=5.0).with_stacks(POLICY)
    assert late.stacks is StacksStage.ASKED
    written = late.with_stacks(POLICY)
    assert written.stacks is StacksStage.WRITTEN
    assert written.with_stacks(POLICY) is written
    lively = replace(written, silent_for=0.0).with_stacks(POLICY)
    assert lively.stacks is StacksStage.NOT_ASKED
    assert replace(lively, silent_for=6.0).with_stacks(POLICY).stacks is StacksStage.ASKED


def test_stacks_that_were_asked_for_are_told_even_if_the_child_goes_on() -> None:
    """It may have stood still for seconds."""
    assert (
        replace(Signs(silent_for=5.0).with_stacks(POLICY), silent_for=0.0).with_stacks(POLICY).stacks
        is StacksStage.WRITTEN
    )
