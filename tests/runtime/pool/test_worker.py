"""One thread of the pool: which turns it takes, and that nothing a task does gets out of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pastepool.core.dispatch import LONG, NEGLIGIBLE, PASS_ABOVE
from pastepool.core.states import Phase
from pastepool.errors import WorkerKilled
from pastepool.runtime.pool.worker import Worker
from pastepool.runtime.window.window import Window
from pastepool.types import CallWindow
from tests.runtime.pools import Job, LivePool
from tests.waiting import WATCHDOG, until


@pytest.fixture
def live() -> Iterator[LivePool]:
    """Three workers and their caretaker."""
    with LivePool(3) as pool:
        yield pool


@pytest.fixture
def alone() -> Iterator[LivePool]:
    """One worker and its caretaker."""
    with LivePool(1) as pool:
        yield pool


class Gate:
    """A call that lasts until it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()
        self.thread = ""

    def __call__(self) -> None:
        self.thread = threading.current_thread().name
        self.entered.set()
        assert self.opened.wait(2 * WATCHDOG)

    def await_entered(self) -> None:
        """Wait until the call has begun."""
        assert self.entered.wait(WATCHDOG)


def await_leader(live: LivePool) -> str:
    """Wait until a worker polls; answers its name."""
    until(lambda: live.feed.polled_by.startswith("pastepool worker"), "a worker polls")
    return live.feed.polled_by


def past(instant: float) -> Callable[[], bool]:
    """Ask whether it has come."""
    return lambda: time.monotonic() > instant


def phases(live: LivePool) -> list[str]:
    """What the workers are, sorted."""
    return sorted(worker.phase.value for worker in live.pool.workers.values())


# Leading.


def test_leader_runs_short_calls_itself(live: LivePool) -> None:
    """Short calls, one after the other, all run on the one thread that polls: nobody else is woken."""
    leader = await_leader(live)
    names = []
    for _ in range(50):
        [job] = live.run(lambda: names.append(threading.current_thread().name))
        assert job.done.wait(WATCHDOG)
        until(lambda: live.feed.polled_by, "somebody polls again")
    assert set(names) == {leader}


def test_leader_passes_the_baton_before_a_call_that_is_expected_to_be_long(live: LivePool) -> None:
    """Above the threshold another worker polls while the leader runs the call."""
    leader = await_leader(live)
    live.pool.expected_wait = PASS_ABOVE * 2
    gate = Gate()
    live.run(gate)
    gate.await_entered()
    assert gate.thread == leader
    assert await_leader(live) != leader
    gate.opened.set()


def test_leader_passes_the_baton_before_a_call_of_a_kind_that_was_long(live: LivePool) -> None:
    """Where calls are short on the whole, one whose like was long keeps nobody from polling; what is short does."""
    leader = await_leader(live)
    live.pool.long_kinds.note("report", 1.0)
    gate = Gate()
    job = Job(gate)
    job.kind = "report"
    live.feed.add(job)
    gate.await_entered()
    assert gate.thread == leader
    assert await_leader(live) != leader
    gate.opened.set()


def test_worker_learns_which_kinds_are_long(live: LivePool) -> None:
    """From calls as they end: long once, long until shown otherwise."""
    await_leader(live)
    kinds, gate = live.pool.long_kinds.names, Gate()
    [long] = live.run(gate)
    gate.await_entered()
    began = time.monotonic()
    until(lambda: time.monotonic() > began + LONG, "the call is long")
    gate.opened.set()
    until(lambda: set(kinds) == {long.kind}, "that it is long is learnt")
    live.run(lambda: None)
    until(lambda: not kinds, "that it is short is learnt")


def test_kind_that_was_long_is_short_from_its_first_call_that_takes_no_time(live: LivePool) -> None:
    """Also where all calls are so short that they are not worth an expectation."""
    await_leader(live)
    live.pool.long_kinds.note("hello", LONG)
    assert live.pool.expected_wait == 0.0
    job = Job()
    job.kind = "hello"
    live.feed.add(job)
    assert job.done.wait(WATCHDOG)
    until(lambda: not live.pool.long_kinds.names, "it is known as short")


def test_calls_known_as_long_make_no_other_call_look_long(live: LivePool) -> None:
    """
    While some clients ask for what is slow, the leader keeps the baton during what is fast: it knows which is which.

    Before, each end of a slow call had the baton change hands before dozens of fast ones.
    """
    await_leader(live)
    for _ in range(20):
        job = Job(lambda: until(past(time.monotonic() + LONG), "the call is long"))
        job.kind = "report"
        live.feed.add(job)
        assert job.done.wait(WATCHDOG)
        await_leader(live)
    assert set(live.pool.long_kinds.names) == {"report"}
    assert live.pool.expected_wait < PASS_ABOVE


def test_time_after_the_work_itself_makes_no_call_long(alone: LivePool) -> None:
    """A task that says when its work was done is counted until then: what followed has waited for the GIL, at most."""

    class Handing(Job):
        def run(self, window: CallWindow) -> float:
            super().run(window)
            done_at = time.monotonic()
            until(past(done_at + LONG), "the response is handed over")
            return done_at

    await_leader(alone)
    job = Handing()
    alone.feed.add(job)
    assert job.done.wait(WATCHDOG)
    await_leader(alone)
    assert alone.pool.expected_wait <= NEGLIGIBLE
    assert not alone.pool.long_kinds.names


def test_leader_stuck_in_a_call_is_relieved(live: LivePool) -> None:
    """A call that turns out to be long keeps nobody waiting: the next request is served by another worker."""
    await_leader(live)
    gate = Gate()
    live.run(gate)
    gate.await_entered()
    [next_one] = live.run(lambda: None)
    assert next_one.done.wait(WATCHDOG)
    gate.opened.set()


def test_nobody_free_then_one(live: LivePool) -> None:
    """With all workers in calls requests wait with the caretaker; the first worker that is free runs them, in order."""
    gates = [Gate() for _ in range(3)]
    for gate in gates:
        live.run(gate)
        gate.await_entered()
    until(lambda: live.feed.polled_by == "caretaker", "the caretaker polls")
    order: list[int] = []
    waiting = live.run(*[lambda number=number: order.append(number) for number in range(5)])  # type: ignore[misc]
    until(lambda: len(live.baton.backlog) == 5, "five wait")
    assert live.first_waiting.is_set()
    gates[1].opened.set()
    for job in waiting:
        assert job.done.wait(WATCHDOG)
    assert order == [0, 1, 2, 3, 4]
    assert all(job.arrived_at for job in waiting)
    for gate in gates:
        gate.opened.set()


def test_what_a_leader_left_in_the_backlog_is_run_by_it_if_nobody_else_comes() -> None:
    """
    It shares what has come, runs a call of its own, and keeps the baton: what it left waits for no further event.

    The other worker hangs, so nobody else would ever take it.
    """
    with LivePool(2) as live:
        gate = Gate()
        live.run(gate)
        gate.await_entered()
        await_leader(live)
        live.pool.expected_wait = 1.0
        jobs = live.run(*[lambda: None] * 4)
        for job in jobs:
            assert job.done.wait(WATCHDOG), [one.events for one in jobs]
        gate.opened.set()


def test_submitted_tasks_do_not_wait_for_the_next_request(alone: LivePool) -> None:
    """Two tasks from elsewhere, one wake-up of the leader: both are run."""
    await_leader(alone)
    first, second = Job(), Job()
    alone.feed.add(held := Job(gate := Gate()))
    gate.await_entered()
    for job in (first, second):
        job.arrived_at = alone.clock.now()
        assert alone.baton.submit(job)
    gate.opened.set()
    assert held.done.wait(WATCHDOG)
    assert first.done.wait(WATCHDOG)
    assert second.done.wait(WATCHDOG)


# What is known of a worker.


def test_fact_says_what_a_worker_does_and_since_when(alone: LivePool) -> None:
    """Idle while it polls, busy with its task from the moment the call begins, idle again from its end."""
    await_leader(alone)
    [worker] = alone.pool.workers.values()
    assert worker.phase is Phase.IDLE
    assert worker.polling
    gate = Gate()
    [job] = alone.run(gate)
    gate.await_entered()
    assert worker.fact == (Phase.BUSY, job.started_at, job)
    assert not worker.polling
    assert job.worker_name == worker.name == gate.thread
    assert worker.thread.thread_id == worker.ident  # type: ignore[attr-defined]
    gate.opened.set()
    assert job.done.wait(WATCHDOG)
    until(lambda: worker.phase is Phase.IDLE, "idle again")
    assert worker.task is None
    assert worker.served == 1


def test_end_of_a_long_call_is_told() -> None:
    """A call of the hung limit or more, once over, is told at once: its replacement may be surplus now."""
    told = threading.Semaphore(0)
    with LivePool(1) as live:
        live.pool.long_call = 0.05
        live.pool.changed = told.release  # type: ignore[assignment]
        [short] = live.run(lambda: None)
        assert short.done.wait(WATCHDOG)
        assert not told.acquire(timeout=0.02)
        [long] = live.run(lambda: threading.Event().wait(0.05))
        assert long.done.wait(WATCHDOG)
        assert told.acquire(timeout=WATCHDOG)


# Nothing gets out.


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit, BaseException])
def test_whatever_a_task_raises_the_worker_lives(error: type[BaseException], alone: LivePool) -> None:
    """The task is told of its failure and concluded, and the same worker runs the next one."""

    def fail() -> None:
        raise error("out of the application")

    failed, following = alone.run(fail, lambda: None)
    assert following.done.wait(WATCHDOG)
    assert failed.events == ["run", "failed", "conclude"]
    assert type(failed.error) is error
    assert failed.worker_name == following.worker_name


def test_task_that_cannot_even_fail_is_logged(alone: LivePool, caplog: pytest.LogCaptureFixture) -> None:
    """An error while clearing away is ours: it is logged, and costs neither worker nor baton."""

    class Broken(Job):
        def failed(self, error: BaseException) -> None:
            raise ZeroDivisionError

    def fail() -> None:
        raise ValueError

    job = Broken(fail)
    alone.feed.add(job)
    assert job.done.wait(WATCHDOG)
    [following] = alone.run(lambda: None)
    assert following.done.wait(WATCHDOG)
    assert "could not be cleared away; please report this" in caplog.text


@pytest.mark.parametrize("where", ["in a call", "while polling"])
def test_internal_error_costs_one_worker_and_no_baton(
    where: str, live: LivePool, caplog: pytest.LogCaptureFixture
) -> None:
    """
    An error of ours ends its worker, which is logged; exactly one baton is left, and the others serve on.

    In a call the baton lies on the table, and must not be put down a second time; while polling it must.
    """
    await_leader(live)

    class Broken(Job):
        def conclude(self, now: float) -> None:
            raise ZeroDivisionError

    def once_broken() -> None:
        live.feed.on_poll = lambda: None
        raise ZeroDivisionError

    if where == "in a call":
        live.feed.add(Broken())
    else:
        live.feed.on_poll = once_broken
        live.feed.wake()
    assert live.exits.acquire(timeout=WATCHDOG), "its exit is known"
    jobs = live.run(*[lambda: None] * 20)
    for job in jobs:
        assert job.done.wait(WATCHDOG)
    until(lambda: live.feed.polled_by, "somebody polls")
    assert len(live.baton._table) == 0
    assert live.feed.intruders == []
    assert "ends because of an internal error; please report this" in caplog.text
    assert len(live.pool.workers) == 2


# Killed.


class Meddled:
    """A window that raises WorkerKilled so many times out of ``shut``, as when one more kill lands there each time."""

    def __init__(self, window: Window, times: int) -> None:
        self._window = window
        self.times = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._window, name)

    def shut(self) -> None:
        if self.times:
            self.times -= 1
            raise WorkerKilled(3)
        self._window.shut()


@pytest.mark.parametrize("times", [0, 1, 2, 5])
def test_kills_that_land_while_the_worker_recovers(times: int, alone: LivePool) -> None:
    """
    However many kills land on the way out of a task: it fails and ends once, and the worker leaves and is known to.
    """
    await_leader(alone)
    [worker] = alone.pool.workers.values()
    worker.window = Meddled(worker.window, times)  # type: ignore[assignment]

    def killed() -> None:
        worker.window.killed = True
        raise WorkerKilled(3)

    [job] = alone.run(killed)
    assert alone.exits.acquire(timeout=WATCHDOG)
    assert job.events == ["run", "failed", "conclude"]
    assert worker.phase is Phase.GONE
    until(lambda: alone.feed.polled_by == "caretaker", "the caretaker has the baton")


def test_kill_that_lands_in_front_of_recovery(
    alone: LivePool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Between the catching of one kill and the shutting of the window another carries the worker out of its loop.

    The task is ended all the same, once, the worker goes, and the baton, which lies on the table, is put down once.
    """
    await_leader(alone)
    [worker] = alone.pool.workers.values()
    recover = Worker._recover
    calls: list[int] = []

    def carried_away(self: Worker, task: Any, error: BaseException) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise WorkerKilled(3)
        recover(self, task, error)

    monkeypatch.setattr(Worker, "_recover", carried_away)

    def killed() -> None:
        worker.window.killed = True
        raise WorkerKilled(3)

    [job] = alone.run(killed)
    assert alone.exits.acquire(timeout=WATCHDOG)
    assert job.events == ["run", "failed", "conclude"]
    assert worker.phase is Phase.GONE
    until(lambda: alone.feed.polled_by == "caretaker", "the caretaker has the baton")
    assert len(alone.baton._table) == 0
    assert "internal error" not in caplog.text


def test_killed_leader_leaves_the_baton_to_a_follower(live: LivePool) -> None:
    """A leader that was killed in a short call still has the baton when it comes back: it passes it on and goes."""
    leader = await_leader(live)
    worker = next(one for one in live.pool.workers.values() if one.name == leader)

    def killed() -> None:
        worker.window.killed = True

    live.run(killed)
    assert live.exits.acquire(timeout=WATCHDOG)
    assert await_leader(live) != leader
    assert live.feed.intruders == []


# Leaving.


def test_dismissed_leader_leaves_although_it_always_leads(alone: LivePool) -> None:
    """A leader that polls and has to leave does so, and the baton goes to the caretaker."""
    await_leader(alone)
    [worker] = alone.pool.workers.values()
    worker.leaving = True
    assert not alone.baton.dismiss(worker)
    assert alone.exits.acquire(timeout=WATCHDOG)
    until(lambda: alone.feed.polled_by == "caretaker", "the caretaker has the baton")


def test_task_that_comes_while_the_leader_is_dismissed_is_run(alone: LivePool) -> None:
    """It has a task by the time it hears of it: it runs that first."""
    await_leader(alone)
    [worker] = alone.pool.workers.values()
    worker.leaving = True
    [job] = alone.run(lambda: None)
    assert job.done.wait(WATCHDOG)
    assert job.events == ["run", "conclude"]
    assert alone.exits.acquire(timeout=WATCHDOG)


def test_starting_and_leaving_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """DEBUG when a worker is ready, INFO when it has gone, with how much it did."""
    caplog.set_level(logging.DEBUG, "pastepool.pool")
    with LivePool(1) as live:
        await_leader(live)
        [job] = live.run(lambda: None)
        assert job.done.wait(WATCHDOG)
        [worker] = live.pool.workers.values()
        worker.leaving = True
        live.baton.dismiss(worker)
        assert live.exits.acquire(timeout=WATCHDOG)
    assert "pastepool worker 1 is ready (native id " in caplog.text
    assert "pastepool worker 1 is gone after 1 requests" in caplog.text
