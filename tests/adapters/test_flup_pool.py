"""Contract F1: flup's pool, on ours. Exact refusal, bounds of spare workers, and an end that is bounded and loses nothing."""

from __future__ import annotations

import threading
from typing import Any

import pytest

pytest.importorskip("flup", reason="flup is not installed")

from pastepool.adapters.flup import ThreadPool
from tests.waiting import WATCHDOG, Stopwatch, until


class Job:
    """A job of flup. It lasts until ``gate`` is set."""

    def __init__(self, *, opened: bool = False) -> None:
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.ended = threading.Event()
        self.closed = threading.Event()
        self._sock = self
        if opened:
            self.gate.set()

    def run(self) -> None:
        self.entered.set()
        assert self.gate.wait(WATCHDOG)
        self.ended.set()

    def close(self) -> None:
        self.closed.set()


def end(pool: ThreadPool, *jobs: Job) -> None:
    """Let jobs end, and the pool after them."""
    for job in jobs:
        job.gate.set()
    pool.shutdown()
    assert all(job.ended.is_set() for job in jobs)


def test_constructor_starts_no_thread() -> None:
    """flup's own starts five (contract F2)."""
    before = threading.active_count()
    pool = ThreadPool(maxSpare=5)
    assert threading.active_count() == before
    pool.shutdown()


def test_burst_that_may_not_wait_gets_as_many_as_there_are_threads() -> None:
    """Twelve at once with three threads: three are taken. flup's own takes all twelve."""
    pool = ThreadPool(minSpare=1, maxSpare=3, maxThreads=3)
    jobs = [Job() for _ in range(12)]
    assert [pool.addJob(job, allowQueuing=False) for job in jobs] == [True] * 3 + [False] * 9
    end(pool, *jobs[:3])
    assert not any(job.entered.is_set() for job in jobs[3:])


def test_burst_that_may_wait_is_taken_whole() -> None:
    """All are run, also those that wait when the pool shuts down. flup's own drops these."""
    pool = ThreadPool(minSpare=1, maxSpare=3, maxThreads=3)
    jobs = [Job() for _ in range(12)]
    assert all(pool.addJob(job) for job in jobs)
    end(pool, *jobs)


def test_bounds_hold_at_every_sample() -> None:
    """Spare workers between the two bounds, threads never above the third."""
    pool = ThreadPool(minSpare=2, maxSpare=3, maxThreads=6)
    jobs = [Job() for _ in range(6)]
    for number, job in enumerate(jobs, 1):
        assert pool.addJob(job, allowQueuing=False)
        assert job.entered.wait(WATCHDOG)
        assert len(pool.pool.workers) <= 6
        wanted = min(2, 6 - number)
        until(lambda: pool.pool.idle >= wanted, "there are spare workers")  # noqa: B023
    for job in jobs:
        job.gate.set()
        assert job.ended.wait(WATCHDOG)
    until(lambda: pool.pool.idle == len(pool.pool.workers) <= 3, "those that are not spare have left")
    end(pool)


def test_shutdown_is_bounded() -> None:
    """What hangs is left alone, and the socket of what waited is closed. flup's own waits for ever."""
    pool = ThreadPool(maxThreads=1, shutdown_timeout=0.2)
    hung, waiting = Job(), Job()
    assert pool.addJob(hung) and pool.addJob(waiting)
    assert hung.entered.wait(WATCHDOG)
    watch = Stopwatch()
    pool.shutdown()
    assert watch.net() < 5 and waiting.closed.is_set()
    hung.gate.set()
    assert hung.ended.wait(WATCHDOG)


def test_job_that_raises_costs_no_worker(caplog: pytest.LogCaptureFixture) -> None:
    """flup's own pool swallows every error without a word."""

    class Failing(Job):
        def run(self) -> None:
            super().run()
            raise ValueError("no")

    pool = ThreadPool(maxThreads=1)
    for _ in range(3):
        job = Failing(opened=True)
        assert pool.addJob(job)
        assert job.ended.wait(WATCHDOG)
    end(pool)
    assert caplog.text.count("ValueError: no") == 3


@pytest.mark.parametrize(("threads", "most", "cap"), [(3, 3, 12), (10**9, 2500, 10000), (0, 1, 4)])
def test_limits_of_flup_are_ours(threads: int, most: int, cap: int) -> None:
    """``maxThreads`` is for those that do not hang; four times as many may live."""
    pool: Any = ThreadPool(maxThreads=threads)
    assert (pool.pool.most, pool.pool.settings.pool.max_workers) == (most, cap)
    pool.shutdown()
