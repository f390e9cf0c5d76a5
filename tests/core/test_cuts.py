"""Which clients are cut that do not read: only while requests wait that nobody else can serve, and in which order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pastepool.core.actions import Capped, CutReader, NoteHung, Spawn
from pastepool.core.cuts import FREE_WITHIN, STALLED_FOR
from pastepool.core.policy import PoolPolicy
from pastepool.core.states import Status, WorkerEvent
from tests.core.simulated_pool import SimulatedPool, pool_of

POLICY = PoolPolicy(workers=4, max_workers=4, spawn_if_under=2, hung_after=30.0, kill_after=100.0)


def full_of_readers(*stalled_for: float, backlog: int = 0, policy: PoolPolicy = POLICY) -> SimulatedPool:
    """A pool whose workers all wait for their clients, each of which has read nothing for so long."""
    pool = pool_of(policy, sending=len(stalled_for))
    pool.backlog = backlog
    for worker, seconds in enumerate(stalled_for, 1):
        pool.send(worker, pool.now - seconds)
    return pool


def cut(pool: SimulatedPool) -> list[int]:
    """The workers whose clients the next plan cuts, in its order."""
    return [action.worker for action in pool.look().actions if isinstance(action, CutReader)]


def test_readers_are_replaced_at_once_within_the_cap() -> None:
    """They cannot serve, so others are spawned, and the reason is told; nobody is cut while there is room."""
    pool = full_of_readers(9.0, 9.0, 9.0, backlog=5, policy=replace(POLICY, max_workers=8))
    pool.spawn()
    pool.ready()
    pool.take(4)
    assert pool.look().actions == (
        Spawn(3, "1 of 4 can serve without being hung or worn; 3 workers wait for slow clients"),
    )


def test_one_reader_is_told_in_the_singular() -> None:
    """So that the sentence is one."""
    pool = full_of_readers(9.0, policy=replace(POLICY, max_workers=8))
    (spawn,) = pool.look().actions
    assert isinstance(spawn, Spawn)
    assert spawn.why.endswith("; 1 worker waits for slow clients")


def test_nobody_is_cut_while_nobody_waits() -> None:
    """However long they have stalled: their own timeout ends them."""
    pool = full_of_readers(500.0, 500.0, 500.0, 500.0)
    assert pool.look().actions == ()
    pool.now += 1000.0
    assert pool.look().actions == ()


def test_reader_that_has_stalled_longest_is_cut_first() -> None:
    """As many as requests wait, and no more."""
    pool = full_of_readers(3.0, 9.0, 1.0, 5.0, backlog=2)
    assert cut(pool) == [2, 4]
    assert cut(pool) == [], "two workers are on their way"
    pool.backlog = 3
    assert cut(pool) == [1]


def test_no_more_are_cut_than_workers_are_wanted() -> None:
    """A long backlog is served by as many workers as there should be."""
    pool = full_of_readers(*[9.0] * 6, backlog=100, policy=replace(POLICY, workers=2, max_workers=6))
    assert cut(pool) == [1, 2]


def test_reader_that_reads_is_never_cut() -> None:
    """The next look is when the first of them has stalled for long enough."""
    pool = full_of_readers(0.0, 0.1, 0.2, STALLED_FOR - 0.125, backlog=4)
    made = pool.look()
    assert (made.actions, made.look_again_at) == ((), pool.now + 0.125)
    pool.now += 0.125
    assert cut(pool) == [4]
    pool.send(3, pool.now)
    assert pool.look().look_again_at == pool.now - 0.225 + STALLED_FOR


def test_worker_that_is_free_is_enough() -> None:
    """It takes the request that waits."""
    pool = full_of_readers(9.0, 9.0, 9.0, backlog=1)
    pool.spawn()
    assert cut(pool) == []
    pool.ready()
    assert cut(pool) == []
    pool.take(4)
    assert cut(pool) == [1]


def test_cut_that_came_too_late_may_be_repeated() -> None:
    """The client read on just then; when it stalls again, it is another wait."""
    pool = full_of_readers(9.0, 9.0, 9.0, 9.0, backlog=1)
    assert cut(pool) == [1]
    pool.go_on(1)
    assert cut(pool) == [], "it is expected to end soon"
    pool.now += 0.25
    pool.send(1, pool.now - 20.0)
    assert cut(pool) == [1]


def test_application_that_does_not_end_is_not_waited_for() -> None:
    """A second after the cut of its client another one is cut in its place, whether it waits or cleans up."""
    for goes_on in (False, True):
        pool = full_of_readers(9.0, 8.0, 7.0, 6.0, backlog=1)
        assert cut(pool) == [1]
        if goes_on:
            pool.go_on(1)
        made = pool.look()
        assert (made.actions, made.look_again_at) == ((), pool.now + FREE_WITHIN)
        pool.now += FREE_WITHIN
        assert cut(pool) == [2]


def test_next_look_waits_for_a_worker_on_its_way_and_for_a_reader_to_stall() -> None:
    """Whichever comes last."""
    pool = full_of_readers(9.0, 0.0, 0.0, 0.0, backlog=2)
    assert cut(pool) == [1]
    assert pool.plan().look_again_at == pool.now + STALLED_FOR
    pool.backlog = 1
    assert pool.plan().look_again_at == pool.now + FREE_WITHIN
    for worker in (2, 3, 4):
        pool.send(worker, pool.now + FREE_WITHIN)
    assert pool.plan().look_again_at == pool.now + FREE_WITHIN + STALLED_FOR


def test_threads_that_cannot_be_started_are_no_room() -> None:
    """The machine has no thread left, so a reader has to go."""
    pool = full_of_readers(9.0, 9.0, backlog=1, policy=replace(POLICY, max_workers=8))
    pool.threads_left = 2
    assert cut(pool) == []
    assert cut(pool) == [1]


def test_readers_are_no_shortage_that_is_told_as_one() -> None:
    """They will serve again, or are cut: the error about the cap is for workers that hang."""
    pool = full_of_readers(0.0, 0.0, 0.0, 0.0, backlog=1)
    assert not [action for action in pool.look().actions if isinstance(action, Capped)]


def test_reader_is_not_hung_or_killed_and_its_time_does_not_count() -> None:
    """Only the call's own time counts, before and after the wait."""
    pool = pool_of(POLICY, busy=1, idle=3)
    pool.now += 20.0
    pool.send(1)
    pool.look()
    pool.now += 5000.0
    assert pool.look().actions == ()
    assert pool.statuses()[1] is Status.SENDING
    pool.go_on(1)
    assert pool.look().look_again_at == pool.now + 10.0
    pool.now += 10.0
    assert NoteHung(1, 1, "GET /x", 30.0, 30.0) in pool.look().actions
    pool.send(1)
    assert pool.look().actions == ()
    pool.happen(1, WorkerEvent.FINISHED)
    assert pool.statuses()[1] is Status.IDLE


@pytest.mark.parametrize(("waiting", "words"), [(1, "1 request waits"), (3, "3 requests wait")])
def test_cut_is_told_in_words(waiting: int, words: str) -> None:
    """Who, for how long, why, and what an operator can do."""
    action = CutReader(3, 17, "GET /export", 1.5, waiting, 40, 900.0)
    assert action.describe() == (
        f"cut the client of worker 3: GET /export is sent to it, and it has read nothing for 1.5 s, while {words} and"
        " max_workers = 40. Raise output_spool or spool_total if this was an honest client"
    )
