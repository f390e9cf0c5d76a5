"""
``environ['paste.httpserver.thread_pool']``: the shapes of Paste's pool, as those who look into it expect them.

Source: reference of what third parties use: a monitor of long requests polls ``worker_tracker`` from a thread of its
own, applications submit work by ``add_task``, and both know threads by ``thread_id``.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pastepool.core.policy import OverloadPolicy
from pastepool.errors import PoolClosed, WorkerKilled
from pastepool.runtime.watching.paste_pool import PastePool
from tests.runtime.supervised import Call, Supervised
from tests.waiting import WATCHDOG, until


class Poolside:
    """A supervised pool seen through Paste's eyes."""

    def __init__(self, live: Supervised) -> None:
        self.live = live
        self.pool = PastePool(
            live.pool, live.baton, live.policy, live.clock, itertools.count(1000), live.supervisor.ask_kill
        )

    def request(self, **environ: Any) -> tuple[Call, int]:
        """One request that runs, with the id of its thread."""
        call = Call()
        call.environ = environ
        self.live.calls.append(call)
        assert self.live.baton.offer(call)
        assert call.entered.wait(WATCHDOG)
        worker = next(worker for worker in self.live.workers if worker.task is call)
        return call, worker.ident


@pytest.fixture
def side() -> Iterator[Poolside]:
    """Three workers, hung after 30 s, killed after 100 s, zombies after 50 s more."""
    with Supervised(workers=3, kill_after=100.0, dying_for=50.0, run=True) as live:
        yield Poolside(live)


def test_idle_pool(side: Poolside) -> None:
    """Nothing runs: every thread is in ``workers``, every id in ``idle_workers``, nobody is tracked or dying."""
    threads = side.pool.workers
    assert len(threads) == side.pool.nworkers == 3
    assert all(isinstance(thread, threading.Thread) for thread in threads)
    assert sorted(side.pool.idle_workers) == sorted(thread.ident or 0 for thread in threads)
    assert side.pool.worker_tracker == {}
    assert side.pool.dying_threads == {}


def test_threads_carry_their_id(side: Poolside) -> None:
    """``current_thread().thread_id`` is the id the tracker knows the thread by."""
    seen: list[tuple[int, int]] = []
    done = threading.Event()

    def look() -> None:
        thread: Any = threading.current_thread()
        seen.append((thread.thread_id, threading.get_ident()))
        done.set()

    side.pool.add_task(look)
    assert done.wait(WATCHDOG)
    assert seen[0][0] == seen[0][1]
    assert seen[0][0] in {thread.thread_id for thread in side.pool.workers}  # type: ignore[attr-defined]


def test_tracker_says_who_runs_what_since_when(side: Poolside) -> None:
    """Thread id to [wall-clock time started, environ], while the request runs."""
    side.live.advance(10.0)
    before = time.time()
    call, ident = side.request(PATH_INFO="/slow")
    side.live.advance(5.0)
    [(thread_id, (started, environ))] = side.pool.worker_tracker.items()
    assert thread_id == ident
    assert environ == {"PATH_INFO": "/slow"}
    assert before - 5.5 <= started <= time.time() - 5.0
    assert ident not in side.pool.idle_workers
    side.live.finish(call)
    until(lambda: side.pool.worker_tracker == {}, "nothing runs")


def test_tracker_can_be_polled_from_another_thread_all_the_time(side: Poolside) -> None:
    """As a monitor of long requests does: whatever begins and ends meanwhile, it iterates without an error."""
    stopped = threading.Event()
    seen: list[tuple[int, float, str]] = []
    failures: list[BaseException] = []

    def poll() -> None:
        try:
            while not stopped.is_set():
                for thread_id, (started, environ) in side.pool.worker_tracker.items():
                    if environ is not None:
                        kept = {key: value for key, value in environ.items() if not key.startswith("paste.")}
                        seen.append((thread_id, started, kept["PATH_INFO"]))
                side.pool.track_threads()
        except BaseException as error:
            failures.append(error)

    polling = threading.Thread(target=poll)
    polling.start()
    try:
        for number in range(60):
            call, ident = side.request(PATH_INFO=f"/{number}")
            until(lambda: any(path == f"/{number}" for _, _, path in seen), "the request was seen")  # noqa: B023
            assert seen[-1][0] == ident
            side.live.finish(call)
    finally:
        stopped.set()
        polling.join(WATCHDOG)
    assert failures == []


def test_track_threads_sorts_them_into_five_states(side: Poolside) -> None:
    """Idle, busy, hung, dying, zombie: lists of threads, each thread in one of them."""
    _, busy = side.request()
    assert counts(side) == {"idle": 2, "busy": 1, "hung": 0, "dying": 0, "zombie": 0}
    blocked = side.live.call(blocked=True)
    side.live.advance(30.0)
    side.live.await_idle(3)
    assert counts(side) == {"idle": 3, "busy": 0, "hung": 2, "dying": 0, "zombie": 0}
    assert busy in {thread.ident for thread in side.pool.track_threads()["hung"]}
    side.live.advance(70.0)
    until(lambda: (counts(side)["hung"], counts(side)["dying"]) == (0, 1), "the one that hears is gone")
    side.live.advance(50.0)
    assert counts(side)["zombie"] == 1
    side.live.finish(blocked)
    until(lambda: sum(counts(side).values()) == 3, "the zombie is gone")


def counts(side: Poolside) -> dict[str, int]:
    """How many threads are in each state."""
    return {state: len(threads) for state, threads in side.pool.track_threads().items()}


def test_dying_threads_are_no_workers_any_more(side: Poolside) -> None:
    """A killed thread is in ``dying_threads`` with the time of its kill, and not in ``workers`` or the tracker."""
    blocked = side.live.call(blocked=True)
    ident = next(worker.ident for worker in side.live.workers if worker.task is blocked)
    before = time.time()
    side.live.advance(100.0)
    [(thread_id, (killed_at, thread))] = side.pool.dying_threads.items()
    assert thread_id == thread.ident == ident
    assert before - 1.0 <= killed_at <= time.time()
    assert ident not in side.pool.worker_tracker
    assert thread not in side.pool.workers
    side.live.finish(blocked)


def test_threads_that_have_gone_are_no_workers(side: Poolside) -> None:
    """Between its end and its being forgotten a thread is in none of the lists."""
    side.live.supervisor.close()
    side.live._thread.join(WATCHDOG)
    worker = side.live.workers[0]
    side.live.baton.dismiss(worker)
    until(lambda: worker.phase.value == "gone", "the worker has gone")
    assert worker.thread not in side.pool.workers
    assert worker.ident not in side.pool.idle_workers


def test_kill_worker_kills_what_the_thread_runs(side: Poolside) -> None:
    """By thread id, like an operator on the page; the supervisor does it at once."""
    call, ident = side.request()
    side.pool.kill_worker(ident)
    assert call.done.wait(WATCHDOG)
    assert isinstance(call.error, WorkerKilled)


def test_kill_worker_of_an_idle_or_unknown_thread_is_an_error(side: Poolside) -> None:
    """Nothing runs there, so nothing is killed, no worker is added, and the one who asked is told."""
    for ident in (side.pool.idle_workers[0], 12345):
        with pytest.raises(KeyError, match="runs a request"):
            side.pool.kill_worker(ident)
    assert len(side.live.workers) == 3


def test_add_task_runs_a_callable_on_the_pool(side: Poolside) -> None:
    """On a worker, once, as the tracker shows with an environ of None."""
    release, begun = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        release.wait(WATCHDOG)

    side.pool.add_task(work)
    assert begun.wait(WATCHDOG)
    [(_, environ)] = side.pool.worker_tracker.values()
    assert environ is None
    release.set()
    until(lambda: side.pool.worker_tracker == {}, "the task is over")


def test_add_task_to_a_full_pool_is_an_error() -> None:
    """A backlog that is full takes nothing: the one who submits is told, and may run it himself."""
    with Supervised(workers=1, overload=OverloadPolicy(queue_limit=1), run=True) as live:
        side = Poolside(live)
        live.call()
        side.pool.add_task(lambda: None)
        with pytest.raises(PoolClosed, match="queue_limit"):
            side.pool.add_task(lambda: None)


def test_add_task_that_has_to_wait_is_told_to_the_supervisor() -> None:
    """Nobody is free and fewer are busy than ``spawn_if_under``: a worker is spawned for it, without any request."""
    done = threading.Event()
    with Supervised(workers=1, max_workers=5, spawn_if_under=2, run=True) as live:
        side = Poolside(live)
        live.call()
        side.pool.add_task(done.set)
        assert done.wait(WATCHDOG)
