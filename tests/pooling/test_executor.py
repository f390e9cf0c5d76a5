"""The pool as an executor of ``concurrent.futures``."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import time

import pytest

from pastepool import WorkerPool
from pastepool.errors import PoolClosed, WorkerKilled
from tests.pooling.pieces import Piece, end, enter, running
from tests.waiting import WATCHDOG


def fail() -> None:
    """Raise."""
    raise ValueError("no")


def test_result_and_error_come_in_the_future() -> None:
    """Arguments go in, a result or an exception comes out; ``map`` keeps the order."""
    with running(WorkerPool("shop", workers=2)) as pool, pool.executor() as executor:
        assert executor.submit(divmod, 7, 3).result(WATCHDOG) == (2, 1)
        assert isinstance(executor.submit(fail).exception(WATCHDOG), ValueError)
        assert list(executor.map(abs, range(-3, 3))) == [3, 2, 1, 0, 1, 2]
        assert executor.submit(dict, a=1).result(WATCHDOG) == {"a": 1}


def test_event_loop_uses_it() -> None:
    """``loop.run_in_executor`` runs on a worker of the pool."""

    async def ask() -> str:
        return await asyncio.get_running_loop().run_in_executor(executor, lambda: threading.current_thread().name)

    with running(WorkerPool("shop", workers=1)) as pool, pool.executor() as executor:
        assert asyncio.run(ask()) == "pastepool worker 1"


def test_killed_call_has_the_kill_as_its_exception() -> None:
    """Who waits for the future is not left waiting."""

    def hang() -> None:
        while True:
            time.sleep(0.001)

    with running(WorkerPool("shop", workers=1, hung_thread_limit=0.1, kill_thread_limit=0.2)) as pool:
        future = pool.executor().submit(hang)
        assert isinstance(future.exception(WATCHDOG), WorkerKilled)
        assert pool.executor().submit(abs, -1).result(WATCHDOG) == 1


def test_call_can_be_cancelled_until_it_begins() -> None:
    """A cancelled call is not done; ``shutdown(cancel_futures=True)`` cancels all that wait."""
    with running(WorkerPool("shop", workers=1)) as pool:
        first = Piece()
        pool.submit(first)
        enter(first)
        executor = pool.executor()
        done: list[int] = []
        futures = [executor.submit(done.append, number) for number in range(3)]
        assert futures[0].cancel()
        executor.shutdown(wait=False, cancel_futures=True)
        assert all(future.cancelled() for future in futures)
        with pytest.raises(PoolClosed):
            executor.submit(done.append, 9)
        end(first)
    assert done == []


def test_future_of_a_call_that_was_never_begun_is_cancelled() -> None:
    """A pool that stops leaves nobody waiting."""
    pool = WorkerPool("shop", workers=1)
    pool.start()
    first = Piece()
    pool.submit(first)
    enter(first)
    executor = pool.executor()
    future = executor.submit(abs, -1)
    pool.stop(0)
    with pytest.raises(concurrent.futures.CancelledError):
        future.result(WATCHDOG)
    with pytest.raises(PoolClosed):
        executor.submit(abs, -1)
    end(first)
    assert future.cancelled()


def test_page_names_the_function() -> None:
    """The title of a call is its function."""
    with running(WorkerPool("shop", workers=1)) as pool:
        entered, gate = threading.Event(), threading.Event()

        def wait_for_it() -> None:
            entered.set()
            assert gate.wait(WATCHDOG)

        future = pool.executor().submit(wait_for_it)
        assert entered.wait(WATCHDOG)
        (worker,) = pool.workers
        assert worker.task is not None and "wait_for_it" in worker.task.title()
        gate.set()
        future.result(WATCHDOG)
