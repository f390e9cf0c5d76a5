"""Twisted's pool on ours: its interface, without a reactor."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

pytest.importorskip("twisted", reason="Twisted is not installed")

from twisted.python import context, log
from twisted.python.failure import Failure

from pastepool.adapters.twisted import ThreadPool
from pastepool.errors import WorkerKilled
from tests.meta.repository import ROOT
from tests.waiting import PROGRAM_WATCHDOG, WATCHDOG, Stopwatch, until


class Told:
    """``onResult`` of a call. ``outcome``: what it was told."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.outcome: Any = None
        self.thread: Any = None

    def __call__(self, ok: bool, result: Any) -> None:
        self.outcome, self.thread = (ok, result), threading.current_thread()
        self.event.set()

    def wait(self) -> Any:
        assert self.event.wait(WATCHDOG)
        return self.outcome


def test_result_and_failure_are_told_in_the_thread() -> None:
    """``onResult`` gets the result or a Failure; keywords and positional arguments go in; the context is carried."""
    pool = ThreadPool(1, 2, "shop")
    pool.start()
    try:
        told = Told()
        pool.callInThreadWithCallback(told, lambda a, b: (a, b, threading.current_thread()), 1, b=2)
        ok, (a, b, thread) = told.wait()
        assert (ok, a, b) == (True, 1, 2) and thread is told.thread
        told = Told()
        pool.callInThreadWithCallback(told, divmod, 1, 0)
        ok, failure = told.wait()
        assert not ok and isinstance(failure, Failure) and failure.check(ZeroDivisionError)
        told = Told()
        context.call({"who": "me"}, pool.callInThreadWithCallback, told, context.get, "who")
        assert told.wait() == (True, "me")
    finally:
        pool.stop()


def test_errors_that_nobody_is_told_of_are_logged() -> None:
    """As in Twisted: of a call without a callback, and of a callback."""
    seen: list[Any] = []
    log.addObserver(seen.append)
    pool = ThreadPool(1, 1)
    pool.start()
    try:
        pool.callInThread(divmod, 1, 0)
        pool.callInThreadWithCallback(lambda ok, result: {"a": 1}[str(ok)], abs, 1)
        told = Told()
        pool.callInThreadWithCallback(told, abs, -1)
        assert told.wait() == (True, 1)
    finally:
        pool.stop()
        log.removeObserver(seen.append)
    assert [event["failure"].type for event in seen if event["isError"]] == [ZeroDivisionError, KeyError]


def test_hung_call_is_replaced_and_killed() -> None:
    """Its Deferred, or whatever is told, gets the Failure of the kill; another call runs meanwhile."""

    def hang() -> None:
        while True:
            time.sleep(0.001)

    pool = ThreadPool(1, 1, max_workers=4, hung_thread_limit=0.2, kill_thread_limit=1)
    pool.start()
    try:
        told, other = Told(), Told()
        pool.callInThreadWithCallback(told, hang)
        pool.callInThreadWithCallback(other, abs, -1)
        assert other.wait() == (True, 1)
        ok, failure = told.wait()
        assert not ok and failure.check(WorkerKilled)
    finally:
        pool.stop()


def test_calls_before_the_start_run_after_it_and_none_after_the_stop() -> None:
    """Also with no thread at first; after ``stop`` a call is ignored, as in Twisted."""
    pool = ThreadPool(0, 1)
    told, never = Told(), Told()
    pool.callInThreadWithCallback(told, abs, -1)
    assert (pool.workers, pool.q.qsize(), pool.threads) == (0, 1, [])
    pool.start()
    assert told.wait() == (True, 1)
    until(lambda: len(pool.waiters) == 1 and not pool.working, "it waits")
    pool.stop()
    assert pool.joined and not pool.started
    pool.callInThreadWithCallback(never, abs, -1)
    assert not never.event.is_set() and pool.q.qsize() == 0


def test_pool_that_never_started_stops() -> None:
    """What was given to it is dropped."""
    pool = ThreadPool()
    pool.callInThread(abs, -1)
    pool.stop()
    assert pool.q.qsize() == 0


def test_stop_is_bounded() -> None:
    """Twisted's own waits for ever."""
    lock = threading.Lock()
    lock.acquire()
    pool = ThreadPool(1, 1, shutdown_timeout=0.2)
    pool.start()
    entered, told = threading.Event(), Told()
    pool.callInThreadWithCallback(told, lambda: [entered.set(), lock.acquire()])  # type: ignore[func-returns-value]
    assert entered.wait(WATCHDOG)
    watch = Stopwatch()
    pool.stop()
    assert watch.net() < 5
    lock.release()
    assert told.wait()


def test_size_is_adjusted() -> None:
    """Bounds are checked as in Twisted; a pool that runs grows and shrinks."""
    pool = ThreadPool(1, 2)
    for arguments in ((-1, 3), (4, 3)):
        with pytest.raises(AssertionError):
            pool.adjustPoolsize(*arguments)
        with pytest.raises(AssertionError):
            ThreadPool(*arguments)
    pool.startAWorker()
    pool.stopAWorker()
    pool.adjustPoolsize(2, 3)
    assert (pool.min, pool.max, pool.workers) == (2, 3, 0)
    pool.start()
    assert len(pool.threads) == pool.workers == 2
    pool.adjustPoolsize(minthreads=4, maxthreads=5)
    until(lambda: len(pool.waiters) == 4, "four wait")
    pool.startAWorker()
    until(lambda: len(pool.waiters) == 5, "five wait")
    pool.startAWorker()
    pool.stopAWorker()
    until(lambda: pool.workers == 4, "one has left")
    pool.dumpStats()
    pool.stop()


def test_pool_is_pickled_with_its_numbers() -> None:
    """As in Twisted, for persistent applications."""
    copy = pickle.loads(pickle.dumps(ThreadPool(3, 7)))
    assert (copy.min, copy.max) == (3, 7)


TRIAL = """
import sys
sys.path.insert(0, {root!r})
from pastepool.adapters.twisted import ThreadPool
import twisted.python.threadpool as threadpool
own = threadpool.ThreadPool
import twisted.test.test_threadpool as tests
import twisted.web.test.test_wsgi as wsgi
if {which!r} == "wsgi":
    wsgi.ThreadPool = ThreadPool
    names = ["twisted.web.test.test_wsgi"]
else:
    threadpool.ThreadPool = ThreadPool
    names = ["twisted.test.test_threadpool." + name for name in ("ThreadPoolTests", "RaceConditionTests")]
sys.argv = ["trial", "--temp-directory", {temp!r}, *names]
from twisted.scripts.trial import run
run()
"""


@pytest.mark.parametrize(("which", "number"), [("threadpool", 17), ("wsgi", 103)])
def test_twisteds_own_tests_pass(which: str, number: int, tmp_path: Any) -> None:
    """
    Twisted's tests of its pool and of its WSGI server, with our class in the place of its own.

    Two tests of the pool are left out: they make their own pool of the parts of which Twisted's consists.
    """
    code = TRIAL.format(root=str(ROOT), which=which, temp=str(tmp_path / "trial"))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=PROGRAM_WATCHDOG
    )
    assert f"Ran {number} tests" in done.stdout and done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
