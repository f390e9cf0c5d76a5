"""The table of phases, every cell; and what a person is told."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from pastepool.core.policy import PoolPolicy
from pastepool.core.states import (
    TRANSITIONS,
    Phase,
    Record,
    Status,
    TaskSummary,
    WorkerEvent,
    advance,
    classify,
    count_by_status,
)
from pastepool.errors import InternalError

TABLE = """
            READY  TOOK  FINISHED  RETIRE    KILL   EXITED
  STARTING  IDLE   -     -         -         -      GONE
  IDLE      -      BUSY  -         RETIRING  -      GONE
  BUSY      -      -     IDLE      -         DYING  GONE
  RETIRING  -      -     -         -         -      GONE
  DYING     -      -     DYING     -         -      GONE
  GONE      -      -     -         -         -      -
"""
"""The design's table, typed out a second time on purpose."""

TASK = TaskSummary("GET /x", serial=7, began_at=100.0)


def cells() -> list[tuple[Phase, WorkerEvent, Phase | None]]:
    """Read the table above."""
    head, *rows = [line.split() for line in TABLE.strip().splitlines()]
    return [
        (Phase[name], WorkerEvent[event], None if to == "-" else Phase[to])
        for name, *goals in rows
        for event, to in zip(head, goals, strict=True)
    ]


def record_in(phase: Phase) -> Record:
    """A worker in a phase, with a task where there is one."""
    return Record(3, phase, 100.0, TASK if phase in (Phase.BUSY, Phase.DYING) else None)


@pytest.mark.parametrize(("phase", "event", "goal"), cells())
def test_every_cell_of_the_table(phase: Phase, event: WorkerEvent, goal: Phase | None) -> None:
    """A cell leads where the design says; an empty one is an InternalError that names worker, phase and event."""
    task = TASK if event is WorkerEvent.TOOK else None
    assert TRANSITIONS[phase].get(event) is goal
    if goal is None:
        with pytest.raises(InternalError, match=rf"worker 3 is {phase.value}: '{event.value}'"):
            advance(record_in(phase), event, 200.0, task)
    else:
        assert advance(record_in(phase), event, 200.0, task).phase is goal


def test_the_table_has_a_row_for_every_phase_and_leads_only_to_phases() -> None:
    """No phase is without a row, and every phase but STARTING is reached from somewhere."""
    assert set(TRANSITIONS) == set(Phase)
    reached = {goal for row in TRANSITIONS.values() for goal in row.values()}
    assert reached == set(Phase) - {Phase.STARTING}


def test_since_moves_with_the_phase_and_only_then() -> None:
    """A worker that swallowed its kill has been dying since the kill, not since its call returned."""
    killed = advance(record_in(Phase.BUSY), WorkerEvent.KILL, 150.0)
    assert killed.since == 150.0
    finished = advance(killed, WorkerEvent.FINISHED, 170.0)
    assert (finished.phase, finished.since) == (Phase.DYING, 150.0)


def test_a_task_comes_with_took_survives_the_kill_and_goes_with_the_call() -> None:
    """While a task is known its worker is inside the application's call."""
    busy = advance(record_in(Phase.IDLE), WorkerEvent.TOOK, 110.0, TASK)
    assert (busy.task, busy.serial, busy.title) == (TASK, 7, "GET /x")
    dying = advance(busy, WorkerEvent.KILL, 120.0)
    assert dying.task is TASK
    for after in (advance(busy, WorkerEvent.FINISHED, 120.0), advance(dying, WorkerEvent.FINISHED, 130.0)):
        assert (after.task, after.serial, after.title) == (None, 0, "")


def test_took_needs_a_task_and_nothing_else_has_one() -> None:
    """A record never says busy without saying with what."""
    with pytest.raises(InternalError, match="'took' came without a task"):
        advance(record_in(Phase.IDLE), WorkerEvent.TOOK, 110.0)
    with pytest.raises(InternalError, match="'finished' came with a task"):
        advance(record_in(Phase.BUSY), WorkerEvent.FINISHED, 110.0, TASK)


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase not in (Phase.BUSY, Phase.DYING)])
def test_time_alone_renames_nobody_who_is_neither_busy_nor_dying(phase: Phase) -> None:
    """A phase without a limit keeps its own name for ever."""
    assert classify(record_in(phase), 1e9, PoolPolicy()) is Status(phase.value)


@pytest.mark.parametrize(
    ("phase", "limit", "before", "after"),
    [(Phase.BUSY, 30.0, Status.BUSY, Status.HUNG), (Phase.DYING, 300.0, Status.DYING, Status.ZOMBIE)],
)
def test_at_exactly_the_limit_the_name_changes(phase: Phase, limit: float, before: Status, after: Status) -> None:
    """Busy is hung and dying is zombie from the limit on, not from just behind it."""
    at = 100.0 + limit
    assert classify(record_in(phase), math.nextafter(at, 0), PoolPolicy()) is before
    assert classify(record_in(phase), at, PoolPolicy()) is after


def test_a_sleeper_that_wakes_at_its_deadline_finds_it_passed() -> None:
    """The limit is compared as since + limit: its age form misses the deadline now and then, by rounding."""
    dice = random.Random(20)
    policy = PoolPolicy(hung_after=0.1)
    missed_by_age = 0
    for _ in range(2000):
        record = Record(1, Phase.BUSY, dice.uniform(0, 1e6), TASK)
        wakes_at = record.since + policy.hung_after
        assert classify(record, wakes_at, policy) is Status.HUNG
        missed_by_age += not wakes_at - record.since >= policy.hung_after
    assert missed_by_age > 0


def test_counting_counts_statuses_and_knows_zero() -> None:
    """Counts are by what a person is told; a status without workers counts 0."""
    records = [record_in(Phase.IDLE), record_in(Phase.BUSY), record_in(Phase.BUSY)]
    counts = count_by_status(records, 110.0, PoolPolicy())
    assert (counts[Status.IDLE], counts[Status.BUSY], counts[Status.HUNG]) == (1, 2, 0)
    assert count_by_status(records, 130.0, PoolPolicy())[Status.HUNG] == 2


def test_worker_that_waits_for_its_client_is_sending_and_that_time_does_not_count() -> None:
    """However long the client does not read, its worker is not hung; afterwards only the call's own time counts."""
    policy = PoolPolicy(hung_after=30.0)
    waits = replace(TASK, sending_since=110.0, stalled_since=105.0)
    record = Record(3, Phase.BUSY, 100.0, waits)
    assert (record.sending, record.sending_since, record.stalled_since) == (True, 110.0, 105.0)
    assert classify(record, 1e6, policy) is Status.SENDING
    goes_on = Record(3, Phase.BUSY, 100.0, replace(TASK, sent_for=500.0))
    assert (goes_on.sending, goes_on.sending_since, goes_on.stalled_since) == (False, math.inf, math.inf)
    assert classify(goes_on, 629.9, policy) is Status.BUSY
    assert classify(goes_on, 630.0, policy) is Status.HUNG


def test_worker_without_a_task_or_with_a_killed_one_does_not_send() -> None:
    """Nothing of a client counts there: a kill counts from its own instant."""
    idle = Record(3, Phase.IDLE, 100.0)
    assert (idle.sending, idle.sending_since, idle.stalled_since, idle.counts_from) == (
        False,
        math.inf,
        math.inf,
        100.0,
    )
    dying = Record(3, Phase.DYING, 200.0, replace(TASK, sending_since=110.0, sent_for=50.0))
    assert (dying.sending, dying.counts_from) == (False, 200.0)
