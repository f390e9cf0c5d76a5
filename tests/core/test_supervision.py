"""What a plan says, case by case. The promises for every case are in test_histories."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest

from pastepool.core.actions import (
    Capped,
    ExitProcess,
    Forget,
    Kill,
    KillAsked,
    NoteHung,
    NoteOverdue,
    NoteZombie,
    Retire,
    Spawn,
)
from pastepool.core.history import Injection, Shortage
from pastepool.core.looks import REQUEST_LOOK_PAUSE, look_is_due, patience
from pastepool.core.policy import PoolPolicy
from pastepool.core.sizing import wears_out_after
from pastepool.core.states import Phase, Record, Status, WorkerEvent
from pastepool.core.supervision import plan
from tests.core.simulated_pool import Kills, SimulatedPool, pool_of

POLICY = PoolPolicy(
    workers=4,
    max_workers=8,
    spawn_if_under=2,
    hung_after=30.0,
    kill_after=100.0,
    dying_for=50.0,
    idle_for=20.0,
)


def test_an_empty_pool_is_filled_to_its_workers() -> None:
    """The first plan spawns what the policy asks for."""
    made = plan([], 0, 5.0, POLICY)
    assert made.actions == (Spawn(4, "0 of 4 can serve without being hung or worn"),)
    assert made.look_again_at == 35.0


def test_a_full_idle_pool_needs_nothing_but_a_look_now_and_then() -> None:
    """A worker takes a request without telling the supervisor: a look comes before that request can be hung."""
    pool = pool_of(POLICY, idle=4)
    made = pool.look()
    assert (made.actions, made.look_again_at) == ((), 1030.0)
    pool.now = 1007.0
    pool.take(1)
    pool.now = 1030.0
    assert pool.look().look_again_at == 1037.0
    pool.now = 1037.0
    assert NoteHung(1, 1, "GET /x", 30.0, 30.0) in pool.look().actions


@pytest.mark.parametrize(
    ("hung_after", "kill_after", "expected"),
    [(30.0, 1800.0, 30.0), (30.0, 5.0, 5.0), (30.0, 0.0, 30.0), (0.0, 0.0, 0.01)],
)
def test_patience_is_the_first_limit_a_task_can_pass(hung_after: float, kill_after: float, expected: float) -> None:
    """Whichever limit comes first; a limit of 0 is off for kills, and no loop for hung."""
    assert patience(PoolPolicy(hung_after=hung_after, kill_after=kill_after)) == expected


def test_with_nobody_to_serve_there_is_nothing_to_look_for() -> None:
    """Every thread is a zombie that may not be killed again: only a thread's end changes anything, and that nudges."""
    pool = pool_of(replace(POLICY, max_workers=4), dying=4)
    for worker in (1, 2, 3, 4):
        pool.happen(worker, WorkerEvent.FINISHED)
    pool.now += 50.0
    assert pool.look().look_again_at == math.inf


def test_the_gone_are_forgotten_and_replaced_at_once() -> None:
    """A worker that ended for whatever reason does not shrink the pool."""
    pool = pool_of(POLICY, idle=4)
    pool.happen(2, WorkerEvent.EXITED)
    assert pool.look().actions == (Forget(2), Spawn(1, "3 of 4 can serve without being hung or worn"))
    assert pool.plan().actions == ()


def test_the_order_of_the_records_changes_nothing() -> None:
    """A snapshot is a set: the plan does not depend on how it was listed."""
    pool = pool_of(POLICY, hung=3, busy=1)
    forwards = pool.plan()
    assert forwards == pool.plan(records=reversed(list(pool.records.values())))
    assert [type(action) for action in forwards.actions] == [NoteHung, NoteHung, NoteHung, Spawn]


# -- hung, killed


def test_a_hung_task_is_noted_once() -> None:
    """The log gets one stack a task, at the limit; another hung task of the same worker is another note."""
    pool = pool_of(POLICY, busy=1, idle=3)
    assert pool.look().look_again_at == 1030.0
    pool.now = 1030.0
    assert NoteHung(1, 1, "GET /x", 30.0, 30.0) in pool.look().actions
    pool.now = 1040.0
    assert pool.look().actions == ()
    pool.happen(1, WorkerEvent.FINISHED)
    pool.take(1)
    pool.now = 1070.0
    assert NoteHung(1, 2, "GET /x", 30.0, 30.0) in pool.look().actions


def test_a_killed_worker_is_not_also_noted_as_hung() -> None:
    """Where the kill limit lies below the hung limit, the kill is all that is said."""
    pool = pool_of(replace(POLICY, kill_after=30.0), hung=1, idle=3)
    assert [type(action) for action in pool.plan().actions] == [Kill, Spawn]


def test_at_the_kill_limit_every_worker_past_it_is_killed() -> None:
    """Not every second one, which is what Paste does; the kill names the task and the limit."""
    pool = pool_of(POLICY, busy=4)
    pool.look()
    pool.now = math.nextafter(1100.0, 0)
    assert not [action for action in pool.look().actions if isinstance(action, Kill)]
    pool.now = 1100.0
    made = pool.plan()
    assert [action for action in made.actions if isinstance(action, Kill)] == [
        Kill(worker, worker, "GET /x", 100.0, 100.0) for worker in (1, 2, 3, 4)
    ]


@pytest.mark.parametrize(("own", "at"), [(5.0, 1005.0), (500.0, 1500.0), (None, 1100.0)])
def test_a_request_can_have_a_kill_limit_of_its_own(own: float | None, at: float) -> None:
    """Shorter or longer than the policy's, it is the one that counts."""
    pool = pool_of(POLICY, idle=4)
    pool.take(1, kill_after=own)
    pool.now = math.nextafter(at, 0)
    assert not [action for action in pool.look().actions if isinstance(action, Kill)]
    pool.now = at
    assert [action.worker for action in pool.look().actions if isinstance(action, Kill)] == [1]


def test_a_kill_limit_of_zero_means_never() -> None:
    """For the pool, or for one request of a pool that kills."""
    for policy, own in ((replace(POLICY, kill_after=0), None), (POLICY, 0.0)):
        pool = pool_of(policy, idle=4)
        pool.take(1, kill_after=own)
        pool.now = 1e7
        pool.look()
        assert not pool.acted(Kill)
        assert pool.plan().look_again_at == 1e7 + 30.0


def test_where_nothing_can_be_raised_in_a_thread_no_kill_is_planned() -> None:
    """Neither at the limit nor for an operator, and nobody wakes up for it."""
    pool = pool_of(POLICY, hung=1, idle=3)
    pool.can_kill = False
    pool.asked = {KillAsked(1, 1)}
    pool.now = 5000.0
    made = pool.look()
    assert not pool.acted(Kill)
    assert made.look_again_at == 5030.0


def test_where_nothing_can_be_raised_in_a_thread_the_kill_limit_is_noted_once() -> None:
    """The supervisor looks at the limit, and a later limit of the same request is no second news."""
    pool = pool_of(POLICY, hung=1, idle=3)
    pool.can_kill = False
    assert pool.look().look_again_at < 1000.0 - POLICY.hung_after + POLICY.kill_after
    pool.now = 1000.0 - POLICY.hung_after + POLICY.kill_after
    note = NoteOverdue(1, 1, "GET /x", POLICY.kill_after, POLICY.kill_after)
    assert pool.look().actions == (note,)
    assert "past its kill limit and is not killed: GET /x has run for" in note.describe()
    assert pool.plan().actions == ()
    pool.records[1] = replace(pool.records[1], task=replace(pool.records[1].task, kill_after=1e4))
    assert pool.plan(at=1e6).actions == ()


def test_an_operators_kill_needs_no_limit() -> None:
    """Asked for the task it runs, a worker is killed at once, even where the request may run for ever."""
    pool = pool_of(replace(POLICY, kill_after=0), idle=4)
    serial = pool.take(1)
    pool.asked = {KillAsked(1, serial)}
    made = pool.look()
    assert made.actions == (
        Kill(1, serial, "GET /x", 0.0, None),
        Spawn(1, "3 of 4 can serve without being hung or worn"),
    )


@pytest.mark.parametrize("ask", [KillAsked(1, 99), KillAsked(2, 1), KillAsked(77, 1), KillAsked(3, 0)])
def test_an_operators_kill_hits_nobody_but_the_task_he_saw(ask: KillAsked) -> None:
    """Another task, another worker, a worker unknown or idle: the request to kill is dropped."""
    pool = pool_of(POLICY, idle=4)
    pool.take(1)
    pool.take(2)
    pool.asked = {ask}
    assert pool.look().actions == ()


def test_an_operators_second_click_does_not_inject_out_of_turn() -> None:
    """A dying worker is injected again on its schedule, not because somebody is impatient."""
    pool = pool_of(POLICY, idle=3, dying=1)
    pool.look()
    pool.asked = {KillAsked(1, 1)}
    assert pool.look().actions == ()


def test_a_kill_that_does_not_take_effect_is_repeated_with_growing_pauses() -> None:
    """Clean-up gets a tenth of dying_for; then twice as long each time, up to dying_for, through the zombie's life."""
    pool = pool_of(POLICY, idle=4)
    pool.take(1, kill_after=10.0)
    instants = []
    while len(instants) < 10:
        made = pool.look()
        instants += [pool.now for action in made.actions if isinstance(action, Kill)]
        pool.now = made.look_again_at
    gaps = [after - before for before, after in pairwise(instants)]
    assert gaps == [5.0, 10.0, 20.0, 40.0, 50.0, 50.0, 50.0, 50.0, 50.0]
    assert [kill.attempt for kill in pool.acted(Kill) if isinstance(kill, Kill)] == list(range(1, 11))
    assert [kill.again for kill in pool.acted(Kill) if isinstance(kill, Kill)] == [False] + [True] * 9
    assert pool.statuses()[1] is Status.ZOMBIE


@pytest.mark.parametrize(
    ("dying_for", "expected"),
    [
        (300.0, [30.0, 60.0, 120.0, 240.0, 300.0, 300.0]),
        (10.0, [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]),
        (0.0, [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]),
    ],
)
def test_what_clean_up_gets(dying_for: float, expected: list[float]) -> None:
    """The first pause is a tenth of dying_for and a second at least; the longest dying_for and 30 seconds at least."""
    attempts = [Injection(1, attempt, 0.0).due_at(dying_for) for attempt in range(1, len(expected) + 1)]
    assert attempts == expected
    assert Injection(1, 10**6, 0.0).due_at(dying_for) == expected[-1]


@pytest.mark.parametrize("kills", [Kills.ARE_HELD_BACK, Kills.FIND_IT_SHUT])
def test_a_kill_that_raised_nothing_is_tried_again_in_a_second(kills: Kills) -> None:
    """Eight times; then the pauses double, for then the thread is blocked where nothing may be raised."""
    pool = pool_of(POLICY, idle=4)
    pool.kills = kills
    pool.take(1, kill_after=10.0)
    instants = []
    while len(instants) < 16:
        made = pool.look()
        if pool.missed:
            instants.append(pool.now)
            made = pool.look()
        pool.now = made.look_again_at
    gaps = [after - before for before, after in pairwise(instants)]
    assert gaps == [1.0] * 8 + [2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_a_kill_that_lands_at_last_gives_clean_up_its_time() -> None:
    """Three attempts come to nothing; from the one that lands on the pauses are those after a first kill."""
    pool = pool_of(POLICY, idle=4)
    pool.kills = Kills.ARE_HELD_BACK
    pool.take(1, kill_after=10.0)
    instants = []
    while len(instants) < 6:
        made = pool.look()
        if [action for action in made.actions if isinstance(action, Kill)]:
            instants.append(pool.now)
            pool.kills = Kills.LAND if len(instants) == 3 else pool.kills
        if pool.missed:
            made = pool.look()
        pool.now = made.look_again_at
    assert [after - before for before, after in pairwise(instants)] == [1.0, 1.0, 1.0, 5.0, 10.0]


def test_news_of_a_kill_of_another_task_changes_nothing() -> None:
    """What raised nothing in a task that is over says nothing about the one that runs now."""
    pool = pool_of(POLICY, idle=3, dying=1)
    pool.look()
    pool.now += 5.0
    pool.look()
    pool.missed = {(1, 99), (77, 1)}
    assert pool.look().look_again_at == pool.now + 10.0


def test_a_worker_that_swallowed_its_kill_and_returned_is_left_alone() -> None:
    """Outside of the application's call nothing is injected; the worker leaves by itself."""
    pool = pool_of(POLICY, idle=3, dying=1)
    pool.look()
    pool.happen(1, WorkerEvent.FINISHED)
    pool.now += 40.0
    assert pool.look().actions == ()


def test_a_dying_worker_nobody_remembers_is_injected_again_all_the_same() -> None:
    """The schedule starts at the death the record tells of, when no plan of ours began it."""
    pool = pool_of(POLICY, idle=4, dying=1)
    assert pool.look().look_again_at == 1005.0
    pool.now = 1005.0
    assert pool.plan().actions == (Kill(1, 1, "GET /x", 5.0, None, attempt=2),)


def test_a_refused_kill_is_not_forgotten_and_never_moves_to_another_task() -> None:
    """While the same task runs it is tried again after the pause; the worker's next task has a limit of its own."""
    pool = pool_of(POLICY, idle=4)
    pool.take(1, kill_after=10.0)
    pool.now = 1010.0
    pool.history = pool.plan().history
    assert not [action for action in pool.plan().actions if isinstance(action, Kill)]
    pool.missed = {(1, 1)}
    pool.now = 1011.0
    assert pool.plan().actions[0] == Kill(1, 1, "GET /x", 11.0, None, attempt=2)
    pool.happen(1, WorkerEvent.FINISHED)
    pool.take(1)
    assert not [action for action in pool.plan(at=1110.9).actions if isinstance(action, Kill)]
    assert pool.plan(at=1111.0).actions[0] == Kill(1, 2, "GET /x", 100.0, 100.0)


# -- spawning


def test_a_hung_worker_is_replaced_at_the_hung_limit_without_any_request() -> None:
    """Four busy workers hang together: at the limit four more are spawned, and nothing had to arrive for it."""
    pool = pool_of(POLICY, busy=4)
    assert pool.look().look_again_at == 1030.0
    pool.now = 1030.0
    assert pool.look().actions[-1] == Spawn(4, "0 of 4 can serve without being hung or worn")


def test_requests_that_wait_spawn_nothing_while_somebody_is_about_to_be_free() -> None:
    """An idle or a starting worker will take the backlog; Paste, which forgets the starting, spawns again and again."""
    policy = replace(POLICY, workers=1, spawn_if_under=3)
    pool = pool_of(policy, busy=1)
    pool.backlog = 9
    assert pool.look().actions == (Spawn(2, "9 requests waiting, 1 busy, spawn_if_under = 3"),)
    assert pool.look().actions == ()
    pool.ready()
    assert pool.number(Status.IDLE) == 2
    for _ in range(2):
        pool.spawn()
    assert pool.look().actions == ()


def test_of_two_reasons_to_spawn_the_larger_counts() -> None:
    """Nobody serves, one is asked for and five under load: five are spawned while requests wait, one otherwise."""
    for backlog, count in ((1, 5), (0, 1)):
        pool = pool_of(replace(POLICY, workers=1, spawn_if_under=5), hung=3)
        pool.backlog = backlog
        assert [action.count for action in pool.look().actions if isinstance(action, Spawn)] == [count]
    pool = pool_of(replace(POLICY, workers=4, spawn_if_under=4), hung=3)
    pool.backlog = 1
    assert pool.plan().actions[-1] == Spawn(4, "0 of 4 can serve without being hung or worn")


def test_no_more_than_spawn_if_under_are_made_busy_however_many_wait() -> None:
    """The pool does not grow for load, only for hung workers: enough busy ones are enough."""
    pool = pool_of(replace(POLICY, workers=1, spawn_if_under=3), busy=3)
    pool.backlog = 1000
    assert pool.look().actions == ()


def test_the_cap_counts_every_thread_alive() -> None:
    """Two dying, two hung, four who can serve make eight: the cap is reached."""
    pool = pool_of(replace(POLICY, workers=6), hung=2, dying=2, idle=4)
    made = pool.look()
    assert not [action for action in made.actions if isinstance(action, Spawn)]
    assert [action for action in made.actions if isinstance(action, Capped)]
    assert pool.live() == 8


def test_as_many_are_spawned_as_the_cap_leaves_room_for() -> None:
    """Half a replacement is better than none, and the rest is said to be missing."""
    pool = pool_of(replace(POLICY, max_workers=6), hung=4)
    actions = pool.look().actions
    assert Spawn(2, "0 of 4 can serve without being hung or worn") in actions
    capped = next(action for action in actions if isinstance(action, Capped))
    assert capped.missing == 2


def test_the_shortage_is_said_once_and_again_when_it_grows() -> None:
    """Once when hung workers are not replaced, once when nobody serves any more, and again after it was over."""
    pool = pool_of(replace(POLICY, max_workers=4), hung=2, busy=2)
    pool.look()
    assert pool.history.shortage is Shortage.SOME
    pool.now += 1.0
    pool.look()
    assert len(pool.acted(Capped)) == 1
    pool.now += 29.0
    pool.look()
    assert pool.history.shortage is Shortage.NOBODY_SERVES
    assert len(pool.acted(Capped)) == 2
    for worker in (1, 2, 3, 4):
        pool.happen(worker, WorkerEvent.FINISHED)
    pool.look()
    assert pool.history.shortage is Shortage.NONE
    for worker in (1, 2):
        pool.take(worker)
    pool.now += 30.0
    pool.look()
    assert len(pool.acted(Capped)) == 3


@pytest.mark.parametrize("workers", [0, -5, 1, 99])
def test_contradictions_are_clamped(workers: int) -> None:
    """At least one worker and no more than the cap, whatever the policy asks for."""
    made = plan([], 0, 0.0, PoolPolicy(workers=workers, max_workers=3))
    assert [action.count for action in made.actions if isinstance(action, Spawn)] == [min(max(1, workers), 3)]
    assert plan([], 0, 0.0, PoolPolicy(workers=workers, max_workers=0)).actions[0] == Spawn(
        1, "0 of 1 can serve without being hung or worn"
    )


def test_a_thread_that_would_not_start_is_not_asked_for_in_a_loop() -> None:
    """After a failed start a second passes before the next, and the plan says when that is."""
    made = plan([], 0, 1000.0, POLICY, start_failed_at=1000.0)
    assert (made.actions, made.look_again_at) == ((), 1001.0)
    assert plan([], 0, 1000.5, POLICY, start_failed_at=1000.0).look_again_at == 1001.0
    assert plan([], 0, math.nextafter(1001.0, 0), POLICY, start_failed_at=1000.0).actions == ()
    assert [type(action) for action in plan([], 0, 1001.0, POLICY, start_failed_at=1000.0).actions] == [Spawn]


def test_after_a_failed_start_nobody_looks_unless_somebody_is_missing() -> None:
    """With enough to serve, or no room for more, the end of the pause changes nothing."""
    pool = pool_of(POLICY, idle=4)
    pool.start_failed_at = pool.now
    assert pool.look().look_again_at == 1030.0
    pool = pool_of(replace(POLICY, max_workers=4), dying=4)
    for worker in (1, 2, 3, 4):
        pool.happen(worker, WorkerEvent.FINISHED)
    pool.start_failed_at = pool.now
    assert pool.look().look_again_at == 1050.0


# -- retiring


def test_surplus_is_retired_when_it_has_not_been_needed_for_a_while() -> None:
    """Idle for idle_for, and surplus for as long: the longest idle leave, down to the workers asked for."""
    pool = pool_of(POLICY, idle=6)
    assert pool.look().look_again_at == 1020.0
    pool.now = math.nextafter(1020.0, 0)
    assert pool.look().actions == ()
    pool.now = 1020.0
    text = "idle for 50 s, and more than 4 can serve"
    assert pool.look().actions == (Retire(1, text), Retire(2, text))
    assert pool.look().actions == ()


def test_surplus_begins_with_the_end_of_the_need_and_not_with_idleness() -> None:
    """A spare idle for an hour is kept for idle_for after the hung worker it stood in for has come back."""
    pool = pool_of(POLICY, hung=1, idle=4)
    pool.look()
    pool.now += 60.0
    pool.happen(1, WorkerEvent.FINISHED)
    assert pool.look().look_again_at == 1080.0
    pool.now = 1080.0
    assert [type(action) for action in pool.look().actions] == [Retire]


def test_a_worker_that_has_just_worked_is_not_the_one_to_retire() -> None:
    """With surplus for long, a worker idle for a moment stays and the look is put off."""
    pool = pool_of(replace(POLICY, workers=1), idle=2)
    pool.look()
    for worker in (1, 2):
        pool.take(worker)
    pool.now = 1010.0
    for worker in (1, 2):
        pool.happen(worker, WorkerEvent.FINISHED)
    made = pool.look()
    assert (made.actions, made.look_again_at) == ((), 1030.0)


def test_while_requests_wait_nobody_is_surplus() -> None:
    """A backlog is need, and the time without need starts again after it."""
    pool = pool_of(POLICY, idle=6)
    pool.look()
    pool.now = 1015.0
    pool.backlog = 1
    pool.look()
    pool.backlog = 0
    pool.now = 1020.0
    assert pool.look().actions == ()
    pool.now = 1040.0
    assert [type(action) for action in pool.look().actions] == [Retire, Retire]


def test_a_burst_after_recovery_never_retires_below_the_workers() -> None:
    """Ten looks in the same second retire the surplus once; Paste retires it ten times over."""
    pool = pool_of(POLICY, idle=8)
    pool.look()
    pool.now = 1020.0
    for _ in range(10):
        pool.look()
    assert len(pool.acted(Retire)) == 4
    assert pool.serving() == 4


def test_a_worker_that_refuses_to_retire_is_not_asked_in_a_loop_and_blocks_nobody() -> None:
    """The leader refuses; whenever the next look comes it asks somebody else, and it comes after a pause by itself."""
    pool = pool_of(POLICY, idle=6)
    pool.leader = 1
    pool.look()
    pool.now = 1020.0
    made = pool.look()
    assert [action.worker for action in made.actions if isinstance(action, Retire)] == [1, 2]
    assert made.look_again_at == 1040.0
    pool.now = 1040.0
    made = pool.look()
    assert [action.worker for action in made.actions if isinstance(action, Retire)] == [3]
    assert pool.serving() == 4
    assert pool.look().actions == ()


def test_a_refusal_is_remembered_from_look_to_look() -> None:
    """However often somebody nudges: the one surplus worker leads, and is asked once in idle_for."""
    pool = pool_of(replace(POLICY, workers=1), idle=2)
    pool.leader = 1
    pool.look()
    pool.now = 1019.0
    pool.take(2)
    pool.happen(2, WorkerEvent.FINISHED)
    for second in range(19):
        pool.now = 1020.0 + second
        pool.look()
    assert [action.worker for action in pool.acted(Retire) if isinstance(action, Retire)] == [1]


def test_a_refusal_is_forgotten_when_the_worker_has_worked_since() -> None:
    """It was needed then; the next time it is asked like any other."""
    pool = pool_of(POLICY, idle=5)
    pool.leader = 1
    pool.look()
    pool.now = 1020.0
    pool.look()
    assert pool.history.asked_to_retire == {1: 1020.0}
    pool.now = 1025.0
    pool.take(1)
    pool.happen(1, WorkerEvent.FINISHED)
    pool.look()
    assert 1 not in pool.history.asked_to_retire


def test_without_idle_time_a_refused_retirement_still_pauses() -> None:
    """With idle_for = 0 surplus goes at once, and a worker that refused is asked again a second later."""
    pool = pool_of(replace(POLICY, workers=1, idle_for=0), idle=2)
    pool.leader = 1
    made = pool.look()
    assert [action.worker for action in made.actions if isinstance(action, Retire)] == [1]
    assert made.look_again_at == 1001.0
    pool.happen(2, WorkerEvent.EXITED)
    pool.spawn()
    assert pool.look().actions == (Forget(2),)
    pool.now = 1001.0
    assert [action.worker for action in pool.look().actions if isinstance(action, Retire)] == [1]
    pool.take(1)
    pool.happen(1, WorkerEvent.FINISHED)
    assert pool.history.asked_to_retire == {1: 1001.0}
    for _ in range(3):
        assert pool.look().actions == ()


# -- max_requests


def test_a_worn_worker_is_replaced_first_and_then_leaves() -> None:
    """At no moment can fewer than the workers asked for serve."""
    pool = pool_of(POLICY, idle=4)
    pool.worn = {2, 3}
    actions = pool.look().actions
    assert actions[0] == Spawn(2, "2 of 4 can serve without being hung or worn")
    assert {action.worker for action in actions if isinstance(action, Retire)} == {2, 3}
    assert pool.serving() == 4
    assert pool.look().actions == ()


def test_no_worn_worker_leaves_while_requests_wait() -> None:
    """It would have to be replaced for the backlog at the same instant; it leaves in the next lull."""
    pool = pool_of(POLICY, idle=5)
    pool.worn = {1}
    pool.backlog = 1
    assert pool.look().actions == ()
    pool.backlog = 0
    assert [type(action) for action in pool.look().actions] == [Retire]


def test_a_busy_worn_worker_finishes_first() -> None:
    """It is told to leave once its replacement is on its way, while it runs a request, and once for each: then it goes."""
    pool = pool_of(POLICY, busy=1, idle=3)
    pool.worn = {1}
    retire = Retire(1, "it has run as many requests as it may", even_busy=True)
    assert pool.look().actions == (Spawn(1, "3 of 4 can serve without being hung or worn"), retire)
    assert pool.in_phase(Phase.BUSY) == [1]
    assert pool.look().actions == ()
    pool.now += 1
    pool.happen(1, WorkerEvent.FINISHED)
    assert pool.look().actions == (retire,)


def test_a_busy_worn_worker_stays_while_it_cannot_be_replaced() -> None:
    """Without room, or with requests waiting, it serves on."""
    pool = pool_of(replace(POLICY, max_workers=4), busy=1, idle=3)
    pool.worn = {1}
    assert pool.look().actions == ()
    pool = pool_of(POLICY, busy=1, idle=4)
    pool.worn = {1}
    pool.backlog = 1
    assert pool.look().actions == ()


def test_with_little_room_the_worn_leave_a_few_at_a_time() -> None:
    """The whole pool is worn and the cap leaves room for two: two and two, never fewer than four to serve."""
    pool = pool_of(replace(POLICY, max_workers=6), idle=4)
    pool.worn = {1, 2, 3, 4}
    pool.look()
    assert (pool.in_phase(Phase.RETIRING), pool.serving()) == ([1, 2], 4)
    for worker in (1, 2):
        pool.happen(worker, WorkerEvent.EXITED)
    pool.look()
    assert (pool.in_phase(Phase.RETIRING), pool.serving()) == ([3, 4], 4)


def test_without_room_the_worn_serve_on() -> None:
    """With max_workers = workers nobody can be replaced first: nobody leaves, and nobody complains about the cap."""
    pool = pool_of(replace(POLICY, max_workers=4), idle=4)
    pool.worn = {1, 2, 3, 4}
    assert (pool.look().actions, pool.plan().look_again_at) == ((), 1030.0)


def test_a_worn_worker_that_refuses_is_asked_again_after_the_pause() -> None:
    """The leader cannot leave at once; it is asked again, and not in a loop."""
    pool = pool_of(POLICY, idle=4)
    pool.worn = {1}
    pool.leader = 1
    assert pool.look().look_again_at == 1020.0
    assert pool.look().actions == ()
    pool.now = 1020.0
    assert [type(action) for action in pool.look().actions] == [Retire]


def test_workers_wear_out_at_different_times() -> None:
    """Up to a tenth more than max_requests, the same for the same worker, spread over the pool; 0 means never."""
    policy = PoolPolicy(max_requests=1000)
    limits = [wears_out_after(worker, policy) for worker in range(1, 41)]
    assert limits == [wears_out_after(worker, policy) for worker in range(1, 41)]
    assert min(limits) >= 1000
    assert max(limits) <= 1100
    assert len(set(limits)) > 30
    assert {wears_out_after(worker, policy) for worker in range(1, 200)} == set(range(1000, 1101))
    assert wears_out_after(1, PoolPolicy(max_requests=1)) == 1
    assert wears_out_after(1, PoolPolicy(max_requests=0)) == 0


# -- zombies, the end


def test_a_zombie_is_noted_once_when_it_becomes_one() -> None:
    """At dying_for after the kill, with what it ran, since when, and how many there are of how many allowed."""
    pool = pool_of(replace(POLICY, max_zombies=3), idle=4, dying=2)
    pool.look()
    pool.happen(2, WorkerEvent.FINISHED)
    pool.now = math.nextafter(1050.0, 0)
    pool.look()
    assert not pool.acted(NoteZombie)
    pool.now = 1050.0
    notes = (NoteZombie(1, 1, "GET /x", 50.0, 50.0, 2, 3), NoteZombie(2, 0, "", 0.0, 50.0, 2, 3))
    assert pool.look().actions == notes
    for _ in range(3):
        pool.look()
        pool.now += 50.0
    assert tuple(pool.acted(NoteZombie)) == notes


def test_more_zombies_than_allowed_end_the_process_once() -> None:
    """At the limit nothing, one above it the end, and no second end at the next look."""
    pool = pool_of(replace(POLICY, max_zombies=2), idle=4, dying=3)
    pool.happen(3, WorkerEvent.EXITED)
    pool.look()
    pool.now += 50.0
    pool.look()
    assert pool.number(Status.ZOMBIE) == 2
    assert not pool.ended()
    pool = pool_of(replace(POLICY, max_zombies=2), idle=4, dying=3)
    pool.happen(2, WorkerEvent.FINISHED)
    pool.look()
    pool.now += 50.0
    for _ in range(3):
        pool.look()
    assert pool.acted(ExitProcess) == [
        ExitProcess("3 zombies, more than max_zombies_before_die = 2: GET /x, a call that has ended, GET /x")
    ]


def test_the_end_waits_until_the_process_has_served_for_a_second() -> None:
    """One zombie too many after 0.3 s: nothing then, a look at 1 s, and the end there and not before."""
    pool = pool_of(replace(POLICY, max_zombies=2, dying_for=0.1), idle=4, dying=3)
    pool.serving_since = pool.now - 0.2
    pool.look()
    pool.now += 0.1
    assert pool.number(Status.ZOMBIE) == 3
    assert pool.look().look_again_at == pool.serving_since + 1.0
    assert not pool.ended()
    pool.now = pool.serving_since + 1.0
    pool.look()
    assert pool.ended()


def test_zombies_that_end_within_the_first_second_are_forgiven() -> None:
    """Too many at 0.3 s, few enough at 1 s: the process serves on."""
    pool = pool_of(replace(POLICY, max_zombies=2, dying_for=0.1), idle=4, dying=3)
    pool.serving_since = pool.now - 0.2
    pool.look()
    pool.now += 0.1
    pool.look()
    pool.happen(1, WorkerEvent.EXITED)
    pool.look()
    pool.now = pool.serving_since + 1.0
    pool.look()
    assert pool.number(Status.ZOMBIE) == 2
    assert not pool.ended()


def test_the_reason_of_the_end_names_a_few_zombies_and_counts_the_rest() -> None:
    """A hundred zombies make a line, not a page."""
    for dying, end in ((8, " and 3 more"), (5, "GET /x")):
        pool = pool_of(replace(POLICY, max_zombies=1, max_workers=20), idle=4, dying=dying)
        pool.now += 50.0
        made = pool.look()
        reason = next(action.reason for action in made.actions if isinstance(action, ExitProcess))
        assert reason.count("GET /x") == 5
        assert reason.endswith(end)


def test_zombies_are_left_alone_unless_a_limit_is_set() -> None:
    """max_zombies = 0 switches the end of the process off."""
    pool = pool_of(POLICY, idle=2, dying=6)
    pool.now = 1e6
    pool.look()
    assert pool.number(Status.ZOMBIE) == 6
    assert not pool.ended()


@pytest.mark.parametrize(
    ("requests", "every", "due"), [(99, 100, False), (100, 100, True), (101, 100, True), (5, 0, False), (0, 1, False)]
)
def test_a_look_is_due_after_so_many_requests(requests: int, every: int, due: bool) -> None:
    """check_every requests nudge the supervisor; 0 leaves it to time."""
    assert look_is_due(requests, 60.0, PoolPolicy(check_every=every)) is due


def test_requests_alone_bring_four_looks_a_second_at_most() -> None:
    """However fast they come: a look costs more than many a request."""
    policy = PoolPolicy(check_every=100)
    assert not look_is_due(10_000, REQUEST_LOOK_PAUSE - 0.001, policy)
    assert look_is_due(10_000, REQUEST_LOOK_PAUSE, policy)
    assert REQUEST_LOOK_PAUSE == 0.25


# -- words

ADVICE = "Find out where requests hang, lower kill_thread_limit or raise max_workers"


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (Forget(3), "forget worker 3: its thread has ended"),
        (
            Kill(3, 7, "GET /x", 1800.2, 1800.0),
            "kill worker 3: GET /x has run for 1800 s (limit 1800 s)",
        ),
        (Kill(3, 7, "GET /x", 4.0, None), "kill worker 3: GET /x has run for 4.0 s (an operator asked for it)"),
        (Kill(3, 7, "GET /x", 4.0, None, 2), "kill worker 3 again (attempt 2): GET /x has not ended"),
        (NoteHung(3, 7, "GET /\n", 30.0, 30.0), "worker 3 is hung: GET /\\n has run for 30 s (limit 30 s)"),
        (
            NoteZombie(3, 7, "GET /\n", 2100.0, 300.0, 1, 0),
            (
                "worker 3 is a zombie: GET /\\n has run for 2100 s and not ended 300 s after its kill; its thread cannot "
                "be ended; 1 zombie, any number allowed"
            ),
        ),
        (
            NoteZombie(3, 0, "", 0.0, 5.0, 2, 4),
            (
                "worker 3 is a zombie: its call has ended, and its thread has not 5.0 s after its kill; its thread cannot "
                "be ended; 2 zombies, 4 allowed"
            ),
        ),
        (Spawn(1, "0 of 1 can serve"), "spawn 1 worker: 0 of 1 can serve"),
        (Retire(3, "idle for 30 s"), "retire worker 3: idle for 30 s"),
        (ExitProcess("3 zombies"), "end the process: 3 zombies"),
        (
            Capped(8, 2, {Status.HUNG: 4, Status.DYING: 1, Status.ZOMBIE: 1, Status.IDLE: 2, Status.GONE: 9}, 0),
            (
                "cannot spawn 2 workers: 8 threads live and max_workers = 8 (4 hung, 1 dying, 1 zombie); "
                f"2 workers can still serve, 0 requests waiting. {ADVICE}"
            ),
        ),
        (
            Capped(1, 1, {Status.HUNG: 1}, 12),
            (
                "cannot spawn 1 worker: 1 thread live and max_workers = 1 (1 hung); "
                f"nobody is served until one of them ends, 12 requests waiting. {ADVICE}"
            ),
        ),
    ],
)
def test_each_action_says_itself_in_one_sentence(action: Forget, said: str) -> None:
    """Log, mail and page use these words."""
    assert action.describe() == said


def test_a_busy_record_without_a_task_is_survived() -> None:
    """Nobody can be killed for a task that is not there; the plan replaces the hung worker and goes on."""
    made = plan([Record(1, Phase.BUSY, 0.0)], 0, 5000.0, replace(POLICY, workers=1))
    assert [type(action) for action in made.actions] == [NoteHung, Spawn]


def test_the_simulated_pool_refuses_what_the_runtime_refuses() -> None:
    """The model these tests stand on: a leader does not retire, a full machine starts nothing."""
    pool = SimulatedPool(POLICY, threads_left=2)
    pool.look()
    assert (pool.live(), pool.start_failed_at) == (2, pool.now)
    assert pool.plan().look_again_at == pool.now + 1.0
