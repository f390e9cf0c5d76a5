"""Where a kill may be marked on a blocked thread, and where the thread is armed instead."""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from pastepool.core.policy import OverloadPolicy
from pastepool.errors import WorkerKilled
from pastepool.runtime.inspection.stacks import current_frames
from pastepool.runtime.pool.background import BackgroundTask
from pastepool.runtime.pool.baton import Baton
from pastepool.runtime.window.landing import may_land, raise_where_it_may_land
from pastepool.runtime.window.reach import found_reach
from pastepool.runtime.window.window import Window
from pastepool.types import Injected
from tests.runtime.pools import LivePool
from tests.waiting import WATCHDOG, until


@contextlib.contextmanager
def standing_in(body: Callable[[], object], function: str, let_go: Callable[[], object]) -> Iterator[int]:
    """
    A thread that runs ``body`` and has got as far as being blocked in a function of that name; ends by ``let_go``.
    """
    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    assert thread.ident is not None
    ident = thread.ident
    until(lambda: current_frames()[ident].f_code.co_name == function, f"the thread is in {function}")
    try:
        yield thread.ident
    finally:
        let_go()
        thread.join(WATCHDOG)
        assert not thread.is_alive()


def may_be_hit(ident: int) -> bool:
    """Say it of a thread that stands still."""
    return may_land(current_frames()[ident])


@pytest.fixture
def taken() -> Iterator[threading.Lock]:
    """A lock that somebody has."""
    lock = threading.Lock()
    lock.acquire()
    yield lock
    if lock.locked():
        lock.release()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Both ends of a pipe: one to read from, one to write to."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_application_that_waits_for_a_byte_may_be_hit(pipe: tuple[int, int]) -> None:
    """A thread that is blocked in a call which takes nothing is as good a place as any."""

    def application() -> None:
        os.read(pipe[0], 1)

    with standing_in(application, "application", lambda: os.write(pipe[1], b"x")) as ident:
        assert may_be_hit(ident)


def test_application_that_waits_for_its_own_lock_is_spared(taken: threading.Lock) -> None:
    """What is marked on it would be raised when it has the lock, and nobody would give the lock back."""

    def application() -> None:
        taken.acquire()

    with standing_in(application, "application", taken.release) as ident:
        assert not may_be_hit(ident)


def test_application_that_waits_at_the_with_of_its_own_lock_is_spared(taken: threading.Lock) -> None:
    """The same with the lock's context."""

    def application() -> None:
        with taken:
            pass

    with standing_in(application, "application", taken.release) as ident:
        assert not may_be_hit(ident)


def test_waiting_in_the_standard_library_is_spared() -> None:
    """``Event.wait`` waits for a lock in the functions of ``threading``."""
    event = threading.Event()
    with standing_in(event.wait, "wait", event.set) as ident:
        assert not may_be_hit(ident)


def test_thread_that_has_ended_is_told_from_one_that_is_spared() -> None:
    """There is nobody to raise anything in, now or later."""
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    assert thread.ident is not None
    assert raise_where_it_may_land(thread.ident, WorkerKilled) is False


def test_log_handler_at_its_lock_is_spared() -> None:
    """A thread that takes the lock of a logging handler: hit there, it would keep it, and nobody could log any more."""
    handler = logging.StreamHandler(io.StringIO())
    record = logging.LogRecord("name", logging.INFO, "file", 1, "message", (), None)
    assert handler.lock is not None
    handler.lock.acquire()
    before_3_13 = "acquire" in logging.Handler.handle.__code__.co_names
    place = "acquire" if before_3_13 else "handle"
    with standing_in(lambda: handler.handle(record), place, handler.lock.release) as ident:
        assert not may_be_hit(ident)


def test_conditions_door_is_spared() -> None:
    """``with condition`` runs Python on its way in and out; the lock it has taken by then would stay taken."""
    condition = threading.Condition()

    def application() -> None:
        with condition:
            pass

    condition.acquire()
    with standing_in(application, "__enter__", condition.release) as ident:
        assert not may_be_hit(ident)


def test_our_own_code_is_spared_when_an_application_calls_it() -> None:
    """
    ``add_task`` and the like take the pool's locks and move its workers about: an application inside them is not hit.
    """
    baton = Baton(OverloadPolicy(), lambda: None)
    baton._lock.acquire()
    with standing_in(lambda: baton.submit(BackgroundTask(print, 1)), "offer", baton._lock.release) as ident:
        assert not may_be_hit(ident)


def test_our_own_code_is_spared_inside_the_standard_library() -> None:
    """
    ``kill_after`` nudges the supervisor through an Event: seen through the functions of ``threading``, that is ours.
    """
    with LivePool(0, caretaker=False) as live:
        from pastepool.runtime.inspection.inspector import Inspector
        from pastepool.runtime.supervision.event_journal import EventJournal
        from pastepool.runtime.supervision.supervisor import Supervisor

        supervisor = Supervisor(
            live.pool, live.baton, live.policy, live.clock, Inspector(),
            signal=threading.Event(), journal=EventJournal(live.clock),
            logger="pastepool.pool", mail=lambda notice: None, mail_hung=False, end_process=lambda reason: None,
        )  # fmt: skip
        lock = supervisor._signal._cond._lock  # type: ignore[attr-defined]
        lock.acquire()
        with standing_in(supervisor.nudge, "__enter__", lock.release) as ident:
            assert not may_be_hit(ident)


def test_callback_of_a_weak_set_is_spared(taken: threading.Lock) -> None:
    """It runs wherever garbage is found, and the interpreter swallows what is raised in it: a kill would be lost."""
    members: weakref.WeakSet[object] = weakref.WeakSet()
    members.data = SimpleNamespace(discard=taken.acquire)  # type: ignore[attr-defined]
    callback = members._remove  # type: ignore[attr-defined]
    with standing_in(lambda: callback(True), "_remove", taken.release) as ident:
        assert not may_be_hit(ident)


def test_background_task_without_python_of_its_own_may_be_hit(pipe: tuple[int, int]) -> None:
    """A callable in C has no frame. The innermost one is then the task's, which does not make it ours to spare."""
    task = BackgroundTask(functools.partial(os.read, pipe[0], 1), 1)

    def run() -> None:
        task.run(Window())

    with standing_in(run, "run", lambda: os.write(pipe[1], b"x")) as ident:
        assert may_be_hit(ident)


def application_at(condition: threading.Condition, inside: threading.Event) -> None:
    """An application that waits at the door of a condition, and then computes for ever."""
    with condition:
        inside.set()
    while True:
        pass


@pytest.mark.parametrize("with_reach", [True, False], ids=["armed", "marked"])
def test_thread_blocked_at_a_lock_is_killed_when_it_has_moved_on(
    with_reach: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The kill tells the client at once and harms nobody. The thread gets the lock, gives it back, and is killed after that.

    Where the thread can be armed, one attempt is enough.
    """
    if not with_reach:
        monkeypatch.setattr("pastepool.runtime.window.window.found_reach", lambda: None)
    elif found_reach() is None:
        pytest.skip("this interpreter has no way to arm a thread")
    condition, inside = threading.Condition(), threading.Event()
    windows: list[Window] = []
    told: list[str] = []
    ended: list[BaseException] = []

    def worker() -> None:
        window = Window()
        windows.append(window)
        try:
            window.open(1)
            application_at(condition, inside)
        except BaseException as error:
            ended.append(error)
        window.shut()

    def let_go() -> None:
        condition.release()
        if with_reach:
            return
        assert inside.wait(WATCHDOG)
        while windows[0].kill(1, pytest.fail) is Injected.HELD_BACK:
            pass

    condition.acquire()
    with standing_in(worker, "__enter__", let_go):
        injected = windows[0].kill(1, lambda: told.append("504"))
        assert injected is (Injected.LANDING if with_reach else Injected.HELD_BACK)
        assert told == ["504"]
        assert not ended
    assert [type(error).__name__ for error in ended] == ["WorkerKilled"]
    assert condition.acquire(timeout=WATCHDOG), "the lock was given back"
    condition.release()
