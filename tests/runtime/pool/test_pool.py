"""The table of workers: who is in it, when they enter and when they leave it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pastepool.core.policy import OverloadPolicy, PoolPolicy
from pastepool.core.states import Phase, Record
from pastepool.runtime.pool.baton import Baton, Turn
from pastepool.runtime.pool.leading import Leading
from pastepool.runtime.pool.pool import Pool
from pastepool.runtime.pool.tally import Tally
from pastepool.runtime.pool.worker import Worker
from pastepool.testing import FakeClock, StepSpawner
from tests.runtime.pools import Job, LivePool
from tests.waiting import WATCHDOG

LOGGER = "pastepool.pool"


class Stepped:
    """A pool whose threads start when the test says so, and whose poller has what it is given."""

    def __init__(self, overload: OverloadPolicy | None = None) -> None:
        self.clock = FakeClock()
        self.spawner = StepSpawner()
        self.baton = Baton(overload or OverloadPolicy(), lambda: None)
        self.ready: list[Any] = []
        self.refused: list[Any] = []
        self.changes = 0
        leading = Leading(lambda: None, self._take_ready, self.refused.append, lambda: None)
        self.pool = Pool(
            self.baton, PoolPolicy(), self.clock, self.spawner, leading, Tally(self.clock), self._count, LOGGER
        )

    def _take_ready(self, most: int) -> list[Any]:
        taken, self.ready = self.ready[:most], self.ready[most:]
        return taken

    def _count(self) -> None:
        self.changes += 1

    def spawn(self) -> Worker:
        """One more worker, not yet started."""
        worker = self.pool.spawn()
        assert worker is not None
        return worker


@pytest.fixture
def stepped() -> Iterator[Stepped]:
    """A stepped pool; its workers leave with the test, also those that have not started yet."""
    pool = Stepped()
    yield pool
    pool.pool.close()
    while pool.spawner.pending:
        pool.spawner.step()
    assert pool.pool.join(WATCHDOG)


def test_worker_is_in_the_table_before_its_thread_runs(stepped: Stepped) -> None:
    """Its record exists, as starting, when ``spawn`` returns: the next plan must not spawn it again."""
    worker = stepped.spawn()
    assert stepped.pool.records() == [Record(worker.worker_id, Phase.STARTING, stepped.clock.now())]
    assert stepped.spawner.pending == [worker.name]


def test_workers_are_numbered_and_no_number_is_used_twice(stepped: Stepped) -> None:
    """A worker that has gone does not lend its number to the next."""
    first = stepped.spawn()
    first.leaving = True
    stepped.spawner.step()
    stepped.pool.forget(first.worker_id)
    second = stepped.spawn()
    assert (first.worker_id, second.worker_id) == (1, 2)
    assert stepped.pool.tally.totals(()).counters["spawned"] == 2


def test_thread_that_cannot_be_started(stepped: Stepped, caplog: pytest.LogCaptureFixture) -> None:
    """No record remains, the instant is known, the supervisor is told, and the log says what to do."""
    stepped.clock.advance(5.0)
    stepped.spawner.refuse()
    assert stepped.pool.spawn() is None
    assert stepped.pool.records() == []
    assert stepped.pool.start_failed_at == stepped.clock.now()
    assert stepped.changes == 1
    assert "cannot be started: can't start new thread. Lower threadpool_max_workers" in caplog.text
    assert stepped.spawn().worker_id == 2


def test_record_names_the_task_and_its_own_limit(stepped: Stepped) -> None:
    """What a worker runs, since when, and for how long it may: what the plan needs of it."""
    worker = stepped.spawn()
    job = Job()
    job.started_at, job.kill_after = 7.0, 2.5
    worker.fact = (Phase.BUSY, 7.0, job)
    [record] = stepped.pool.records()
    assert (record.phase, record.since, record.serial, record.title) == (Phase.BUSY, 7.0, job.serial, job.title())
    assert record.task is not None
    assert record.task.kill_after == 2.5


def test_worker_that_ends_is_gone_and_then_forgotten(stepped: Stepped) -> None:
    """It says itself that it has gone; the supervisor strikes it off."""
    worker = stepped.spawn()
    worker.leaving = True
    stepped.spawner.step()
    assert [record.phase for record in stepped.pool.records()] == [Phase.GONE]
    assert stepped.changes == 1
    stepped.pool.forget(worker.worker_id)
    stepped.pool.forget(worker.worker_id)
    assert stepped.pool.records() == []


def test_closing_tells_followers_at_once_and_others_at_their_next_turn(stepped: Stepped) -> None:
    """A worker that sleeps leaves now; one that has not started leaves when it has; ``join`` waits for both."""
    stepped.spawn()
    stepped.spawn()
    sleeper = stepped.spawner.release()
    while not stepped.baton.follower_count:
        pass
    stepped.pool.close()
    sleeper.join(WATCHDOG)
    assert not sleeper.is_alive()
    assert not stepped.pool.join(0.0)
    stepped.spawner.step()
    assert stepped.pool.join(0.0)


def test_closing_pool_spawns_nobody(stepped: Stepped) -> None:
    """A look that is under way while the pool closes must not add a worker that nobody tells to leave."""
    stepped.pool.close()
    assert stepped.pool.spawn() is None
    assert stepped.pool.join(0.0)


def test_share_ready_wakes_followers_first_and_queues_the_rest(stepped: Stepped) -> None:
    """Of what has come already each follower gets one, the backlog the rest, each with the instant it began to wait."""
    worker = stepped.spawn()
    thread = stepped.spawner.release()
    while not stepped.baton.follower_count:
        pass
    jobs = [Job(), Job()]
    stepped.ready = list(jobs)
    stepped.pool.share_ready()
    assert jobs[0].done.wait(WATCHDOG)
    assert jobs[0].worker_name == worker.name
    assert jobs[1].done.wait(WATCHDOG), "the same worker came back for it"
    assert {job.arrived_at for job in jobs} == {stepped.clock.now()}
    stepped.pool.close()
    thread.join(WATCHDOG)


def test_share_ready_takes_no_more_than_workers_could_want(stepped: Stepped) -> None:
    """What is left of a large batch stays with the poller: the backlog is for what has no worker."""
    for _ in range(3):
        stepped.spawn()
    stepped.ready = [Job() for _ in range(10)]
    stepped.pool.share_ready()
    assert len(stepped.baton.backlog) == 3
    assert len(stepped.ready) == 7


def test_share_ready_refuses_what_the_backlog_does_not_take() -> None:
    """Beyond ``queue_limit`` a request is refused at once, and not lost."""
    stepped = Stepped(OverloadPolicy(queue_limit=1))
    stepped.spawn()
    stepped.spawn()
    stepped.ready = [Job(), Job()]
    first, second = stepped.ready
    stepped.pool.share_ready()
    assert list(stepped.baton.backlog) == [first]
    assert stepped.refused == [second]


def test_every_worker_that_was_woken_to_leave_is_called_retiring_until_it_has_gone() -> None:
    """A dismissed follower is retiring, then gone; never the other way round, however fast it is."""
    for _ in range(20):
        with LivePool(1, caretaker=False) as live:
            [worker] = live.pool.workers.values()
            while not live.baton.follower_count:
                pass
            seen = []
            wake = worker.wake

            def noting(turn: Any, worker: Worker = worker, seen: list[Any] = seen, wake: Any = wake) -> None:
                seen.append((turn, worker.phase))
                wake(turn)

            worker.wake = noting  # type: ignore[method-assign]
            assert live.baton.dismiss(worker)
            assert seen == [(Turn.LEAVE, Phase.RETIRING)]
            assert live.exits.acquire(timeout=WATCHDOG)
            assert worker.phase is Phase.GONE


def test_pool_of_many_ends_as_a_whole() -> None:
    """Fifty workers, one leader, forty-nine followers: closing ends them all."""
    with LivePool(50) as live:
        jobs = live.run(*[lambda: None] * 200)
        for job in jobs:
            assert job.done.wait(WATCHDOG)
        threads = [thread for thread in threading.enumerate() if thread.name.startswith("pastepool worker")]
        assert len(threads) == 50
    for thread in threads:
        thread.join(WATCHDOG)
        assert not thread.is_alive()
