"""The steps of the kill ladder that act on a worker, with real threads and real sockets."""

from __future__ import annotations

import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pastepool.core.states import Phase
from pastepool.errors import WorkerKilled
from pastepool.runtime.pool.worker import Worker
from pastepool.runtime.supervision import kill_ladder
from pastepool.runtime.supervision.kill_ladder import KillLadder
from pastepool.runtime.window.window import Window
from pastepool.types import CallWindow, Injected
from tests.runtime.pools import Job, LivePool
from tests.waiting import WATCHDOG, Stopwatch, until


@pytest.fixture
def live() -> Iterator[LivePool]:
    """A running pool of two workers."""
    with LivePool(2) as pool:
        yield pool


class Running:
    """A job that runs, the worker that runs it, and a way to end it that is not a kill."""

    def __init__(self, live: LivePool, body: Callable[[], Any] | None = None, job: type[Job] = Job) -> None:
        self._entered = threading.Event()
        self._body = body or self._compute
        self.released = threading.Event()
        self.job = job(self._work)
        live.feed.add(self.job)
        assert self._entered.wait(WATCHDOG)
        self.worker: Worker = next(w for w in live.pool.workers.values() if w.task is self.job)

    def _work(self) -> None:
        self._entered.set()
        self._body()

    def _compute(self) -> None:
        while not self.released.is_set():
            pass

    def kill(self, unblock: bool = False) -> bool:
        ladder = KillLadder(unblock)
        killed = ladder.kill(self.worker, self.job.serial, time.monotonic())
        ladder.finish()
        return killed


class Stubborn:
    """An application that swallows every kill and goes on computing."""

    def __init__(self) -> None:
        self.swallowed: list[WorkerKilled] = []
        self.released = False
        self._beats = 0

    def __call__(self) -> None:
        while True:
            try:
                self._compute()
                return
            except WorkerKilled as error:
                self.swallowed.append(error)

    def _compute(self) -> None:
        while not self.released:
            self._beats += 1

    def await_computing(self) -> None:
        """Wait until it is where it swallows."""
        before = self._beats
        until(lambda: self._beats > before, "it computes")


def await_exit(live: LivePool) -> None:
    """Wait until a worker has left."""
    assert live.exits.acquire(timeout=WATCHDOG), "no worker left"


def test_killed_task_ends_and_its_worker_leaves(live: LivePool) -> None:
    """The client is told before the task fails; the worker finishes the task, once, and leaves the pool."""
    running = Running(live)
    assert running.kill()
    await_exit(live)
    assert running.job.events == ["run", "killed", "failed", "conclude"]
    assert isinstance(running.job.error, WorkerKilled)
    assert running.worker.phase is Phase.GONE
    assert running.worker.worker_id not in live.pool.workers


def test_worker_is_dying_before_anything_else_happens(live: LivePool) -> None:
    """One who is told of the kill finds the worker dying since that instant, and its task still its own."""
    seen: list[Any] = []

    class Asking(Job):
        def killed(self, now: float) -> None:
            seen.append((running.worker.fact, now))

    running = Running(live, job=Asking)
    running.kill()
    [((phase, since, task), now)] = seen
    assert (phase, since, task) == (Phase.DYING, now, running.job)
    await_exit(live)


def test_worker_that_leaves_at_once_is_not_called_dying_afterwards(live: LivePool) -> None:
    """
    However fast the worker ends, the last that is written of it is that it has gone: no ghost remains in the pool.
    """

    class HeldUp:
        """The killer is held up just after the exception was sent: by the time it goes on the worker has gone."""

        def __init__(self, window: Window) -> None:
            self._window = window

        def __getattr__(self, name: str) -> Any:
            return getattr(self._window, name)

        def kill(self, serial: int, first: Callable[[], bool | None]) -> Injected:
            outcome = self._window.kill(serial, first)
            await_exit(live)
            return outcome

    running = Running(live)
    running.worker.window = HeldUp(running.worker.window)  # type: ignore[assignment]
    assert running.kill()
    assert running.worker.phase is Phase.GONE


def test_kill_of_a_task_that_has_gone_is_refused(live: LivePool) -> None:
    """Neither a task that has ended nor the next one on that worker is touched by a kill meant for the first."""
    first = Running(live)
    first.released.set()
    assert first.job.done.wait(WATCHDOG)
    assert not first.kill()
    second = Running(live)
    assert not KillLadder(False).kill(second.worker, first.job.serial, time.monotonic())
    second.released.set()
    assert second.job.done.wait(WATCHDOG)
    assert second.job.events == ["run", "conclude"]


def test_waiting_for_a_slow_client_is_ended_by_cutting(live: LivePool) -> None:
    """While the window is shut, only the connection can be cut; the worker lives on, and is not called dying."""

    class Writing(Job):
        def run(self, window: CallWindow) -> None:
            self.work()

        def cut_if_waiting(self) -> bool:
            self.events.append("cut")
            running.released.set()
            return True

    running = Running(live, job=Writing)
    assert running.kill()
    assert running.job.done.wait(WATCHDOG)
    assert running.job.events == ["cut", "conclude"]
    assert not running.worker.window.killed
    assert running.worker.phase is not Phase.DYING


def test_second_kill_tells_nobody_again(live: LivePool) -> None:
    """An application that swallows the kill is killed again; client and callbacks hear of it once."""
    stubborn = Stubborn()
    calls: list[int] = []
    running = Running(live, stubborn)
    running.job.cancellations = [lambda: calls.append(1)]
    for number in range(3):
        stubborn.await_computing()
        assert running.kill()
        until(lambda number=number: len(stubborn.swallowed) == number + 1, "it swallowed")  # type: ignore[misc]
    stubborn.released = True
    await_exit(live)
    assert running.job.events == ["run", "killed", "conclude"]
    assert calls == [1]
    assert running.worker.phase is Phase.GONE, "a worker that swallowed its kill has to leave all the same"


def test_failing_answer_does_not_save_the_task(live: LivePool, caplog: pytest.LogCaptureFixture) -> None:
    """If the client cannot be told, that is logged, and the task is killed."""

    class Untellable(Job):
        def killed(self, now: float) -> None:
            raise ZeroDivisionError

    running = Running(live, job=Untellable)
    assert running.kill()
    await_exit(live)
    assert "could not be told" in caplog.text


def test_cancel_callbacks_run_each_and_elsewhere(live: LivePool, caplog: pytest.LogCaptureFixture) -> None:
    """Callbacks run on a thread of their own, in order, whatever one of them raises."""
    names: list[str] = []
    done = threading.Event()

    def fail() -> None:
        names.append(threading.current_thread().name)
        raise ValueError("cannot cancel")

    running = Running(live)
    running.job.cancellations = [fail, done.set]
    running.kill()
    assert done.wait(WATCHDOG)
    assert names == [f"cancel callbacks of {running.worker.name}"]
    assert "a cancel callback failed" in caplog.text
    await_exit(live)


def test_callbacks_have_run_before_the_exception_arrives(live: LivePool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A callback gets a head start: what it cancels can end in the application's own way, before the kill does it."""
    monkeypatch.setattr(kill_ladder, "HEAD_START", 4 * WATCHDOG)
    order: list[str] = []

    def compute() -> None:
        while not order.count("let go"):
            pass

    def call() -> None:
        try:
            compute()
        except WorkerKilled:
            order.append("killed")
            raise

    running = Running(live, call)
    running.job.cancellations = [lambda: order.append("cancelled")]
    assert running.kill()
    await_exit(live)
    assert order == ["cancelled", "killed"]


def test_call_that_a_callback_ended_is_not_hit(live: LivePool) -> None:
    """A call that returns because of its callback returns: nothing is raised in it any more, and its worker leaves."""
    running = Running(live)
    over = threading.Event()

    def cancel() -> None:
        running.released.set()
        over.set()
        assert running.job.done.wait(WATCHDOG)

    running.job.cancellations = [cancel]
    ladder = KillLadder(False)
    assert ladder.kill(running.worker, running.job.serial, time.monotonic())
    assert over.wait(WATCHDOG)
    await_exit(live)
    ladder.finish()
    assert running.job.events == ["run", "killed", "conclude"]
    assert running.job.error is None
    assert ladder.missed == [(running.worker.worker_id, running.job.serial)]


def test_callbacks_that_hang_cost_one_head_start_and_no_more(live: LivePool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten kills in one look, all with a callback that hangs: one head start for all of them, then they land."""
    monkeypatch.setattr(kill_ladder, "HEAD_START", 0.4)
    release = threading.Event()

    def wait_in_python() -> None:
        while not release.is_set():
            time.sleep(0.001)

    for _ in range(8):
        live.pool.spawn()
    calls = [Running(live, wait_in_python) for _ in range(10)]
    ladder = KillLadder(False)
    try:
        watch, began = Stopwatch(), time.monotonic()
        for running in calls:
            running.job.cancellations = [lambda: release.wait(4 * WATCHDOG)]
            assert ladder.kill(running.worker, running.job.serial, began)
        ladder.finish()
        assert watch.elapsed() >= 0.4 and watch.net() < 10 * 0.4 / 2
        for running in calls:
            assert running.job.done.wait(WATCHDOG)
            assert isinstance(running.job.error, WorkerKilled)
    finally:
        release.set()


def test_callback_that_exits_ends_neither_the_next_one_nor_the_head_start(
    live: LivePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``sys.exit()`` in a callback is a failure like any other: the next one runs, and nobody waits for what is over."""
    monkeypatch.setattr(kill_ladder, "HEAD_START", 4 * WATCHDOG)
    running = Running(live)
    next_one = threading.Event()
    running.job.cancellations = [lambda: sys.exit(1), next_one.set]
    began = time.monotonic()
    assert running.kill()
    assert next_one.is_set()
    assert time.monotonic() - began < WATCHDOG
    await_exit(live)


def test_kill_that_cannot_be_finished_is_news_for_the_plan(
    live: LivePool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error between the callbacks and the exception stops neither the other kills nor this one's next attempt."""
    first, second = Running(live), Running(live)
    ladder = KillLadder(False)
    for running in (first, second):
        running.job.cancellations = [lambda: None]
        assert ladder.kill(running.worker, running.job.serial, time.monotonic())

    class Broken:
        def kill(self, serial: int, first: Callable[[], bool | None]) -> Injected:
            raise ZeroDivisionError

    window = first.worker.window
    first.worker.window = Broken()  # type: ignore[assignment]
    ladder.finish()
    first.worker.window = window
    assert second.job.done.wait(WATCHDOG)
    assert (first.worker.worker_id, first.job.serial) in ladder.missed
    assert "could not be finished; please report this" in caplog.text
    assert first.kill()
    await_exit(live)


@pytest.mark.parametrize("outcome", [Injected.HELD_BACK, Injected.WINDOW_SHUT])
def test_kill_that_raised_nothing_is_news_for_the_plan(outcome: Injected, live: LivePool) -> None:
    """Held back, or the window shut: the plan hears of it, and of no other kill."""
    running = Running(live)
    window = running.worker.window

    class Elsewhere:
        def kill(self, serial: int, first: Callable[[], bool | None]) -> Injected:
            return outcome

    running.worker.window = Elsewhere()  # type: ignore[assignment]
    ladder = KillLadder(True)
    assert ladder.kill(running.worker, running.job.serial, 0.0) is (outcome is Injected.HELD_BACK)
    running.worker.window = window
    assert ladder.missed == [(running.worker.worker_id, running.job.serial)]
    ladder.missed.clear()
    while not ladder.kill(running.worker, running.job.serial, 0.0):
        pass
    await_exit(live)
    assert ladder.missed == []


def test_callback_that_hangs_holds_up_nobody(live: LivePool) -> None:
    """The kill returns, and the task ends, while a callback still blocks."""
    hung, release = threading.Event(), threading.Event()

    def hang() -> None:
        hung.set()
        release.wait(2 * WATCHDOG)

    running = Running(live)
    running.job.cancellations = [hang]
    assert running.kill()
    await_exit(live)
    assert hung.wait(WATCHDOG)
    release.set()


def test_no_thread_left_for_callbacks(
    live: LivePool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no thread can be started the callbacks do not run, which is logged, and the kill goes on."""

    def refuse(body: Callable[[], None], name: str) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(kill_ladder, "spawn_thread", refuse)
    running = Running(live)
    running.job.cancellations = [lambda: None]
    assert running.kill()
    await_exit(live)
    assert "its cancel callbacks cannot run: can't start new thread" in caplog.text


def test_callbacks_that_hang_keep_a_bounded_number_of_threads(
    live: LivePool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bound a request is killed without its callbacks, which is logged; once one has returned there is room."""
    monkeypatch.setattr(kill_ladder, "MOST_RUNNING", 1)
    monkeypatch.setattr(kill_ladder, "HEAD_START", 0.0)
    release = threading.Event()
    over = threading.Event()
    ladder = KillLadder(False)

    def hang() -> None:
        release.wait(WATCHDOG)
        over.set()

    def kill(callback: Callable[[], object]) -> None:
        live.pool.spawn()
        running = Running(live)
        running.job.cancellations = [callback]
        assert ladder.kill(running.worker, running.job.serial, time.monotonic())
        ladder.finish()
        assert running.job.done.wait(WATCHDOG)
        assert isinstance(running.job.error, WorkerKilled)

    kill(hang)
    skipped = threading.Event()
    kill(skipped.set)
    assert "its cancel callbacks are not run: those of 1 requests hang" in caplog.text
    release.set()
    assert over.wait(WATCHDOG)
    assert ladder._running[0].wait(WATCHDOG)
    run = threading.Event()
    kill(run.set)
    assert run.wait(WATCHDOG)
    assert not skipped.is_set()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells what a thread is blocked on")
def test_foreign_socket_is_shut_down_if_allowed(live: LivePool, caplog: pytest.LogCaptureFixture) -> None:
    """A thread blocked in recv on a connection of its own is woken by ``kill_unblocks_sockets``, and then killed."""
    caplog.set_level(logging.WARNING)
    mine, peer = socket.socketpair()
    with mine, peer:
        running = Running(live, lambda: mine.recv(1))
        ladder = KillLadder(True)

        def is_killed() -> bool:
            ladder.kill(running.worker, running.job.serial, time.monotonic())
            return running.job.done.is_set()

        until(is_killed, "the killed task ends")
        await_exit(live)
        assert isinstance(running.job.error, WorkerKilled)
        assert peer.recv(1) == b"", "the other side sees the end of the connection"
    assert "shut down the socket it was blocked on" in caplog.text


def test_foreign_socket_is_left_alone_unless_allowed(live: LivePool) -> None:
    """Without the option the thread goes on waiting; it dies as soon as its call returns."""
    mine, peer = socket.socketpair()
    with mine, peer:
        running = Running(live, lambda: mine.recv(1))
        assert running.kill()
        assert not running.job.done.wait(0.1)
        assert running.worker.phase is Phase.DYING
        peer.send(b"x")
        await_exit(live)
        assert isinstance(running.job.error, WorkerKilled)
