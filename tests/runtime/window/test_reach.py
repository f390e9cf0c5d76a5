"""Arming a thread: the kill is raised by the thread itself, and by nobody else, also after a fork."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from types import CodeType, FrameType

import pytest

from pastepool.core.landing.grade import Grade
from pastepool.errors import WorkerKilled
from pastepool.runtime.window import arming
from pastepool.runtime.window import reach as reach_module
from pastepool.runtime.window.arming import Arm
from pastepool.runtime.window.monitoring import Instrumented, make_monitoring
from pastepool.runtime.window.reach import found_reach
from pastepool.runtime.window.window import Window
from pastepool.types import Injected
from tests.waiting import WATCHDOG

needs_reach = pytest.mark.skipif(found_reach() is None, reason="this interpreter has no way to arm a thread")


class Blocked:
    """A thread with an open window that is blocked in C. ``body`` runs when it comes back."""

    def __init__(self, body: Callable[[Window], None]) -> None:
        self.window: Window
        self.outcome: list[BaseException] = []
        self._body = body
        self._ends = os.pipe()
        self._opened = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert self._opened.wait(WATCHDOG)

    def _run(self) -> None:
        self.window = Window()
        self.window.open(1)
        self._opened.set()
        try:
            os.read(self._ends[0], 1)
            self._body(self.window)
        except WorkerKilled as error:
            self.outcome.append(error)
        self.window.shut()

    def come_back(self) -> None:
        """Let the call written in C return, and wait until the thread has ended."""
        os.write(self._ends[1], b"x")
        self.thread.join(WATCHDOG)
        assert not self.thread.is_alive()
        for end in self._ends:
            os.close(end)


def compute(_: object = None) -> None:
    """Run some instructions."""
    for number in range(2000):
        str(number)


@needs_reach
def test_blocked_thread_is_killed_when_it_comes_back() -> None:
    """One attempt is enough, however long the thread stays blocked."""
    victim = Blocked(compute)
    assert victim.window.kill(1, lambda: None) is Injected.LANDING
    assert victim.outcome == []
    victim.come_back()
    assert [type(error) for error in victim.outcome] == [WorkerKilled]


def patience(monkeypatch: pytest.MonkeyPatch, grade: Grade, between_looks: float) -> float:
    """Return after how many seconds an exception is raised in a thread that only comes to places of one grade."""
    now = [100.0]
    monkeypatch.setattr(arming, "raised_before", lambda calls: grade)
    monkeypatch.setattr(arming.time, "thread_time", lambda: now[0])
    arm = Arm(1, WorkerKilled)
    while not arm.raises(sys._getframe(), 0):
        now[0] += between_looks
    return now[0] - 100.0


def test_patience_ends_within_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """The better a place is, the sooner: clean-up gets time, and a lock that was just taken gets more."""
    grades = (Grade.SAFE, Grade.LIBRARY, Grade.CLEANUP, Grade.AVOID)
    waited = [patience(monkeypatch, grade, 0.001) for grade in grades]
    assert waited[0] == 0.0
    assert waited == sorted(waited)
    assert waited[-1] < 1.0


def test_wait_in_a_clean_up_does_not_use_up_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rollback that waits a second for the database still has time to give its locks back."""
    assert patience(monkeypatch, Grade.CLEANUP, 1.0) > 3.0


class WaitsForAFork(Arm):
    """Finds no place good enough in the process that made it."""

    __slots__ = ("parent",)

    def __init__(self, ident: int, exception: type[BaseException]) -> None:
        super().__init__(ident, exception)
        self.parent = os.getpid()

    def raises(self, frame: FrameType, offset: int) -> bool:
        return os.getpid() != self.parent and super().raises(frame, offset)


@needs_reach
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_armed_thread_is_armed_no_more_in_a_child() -> None:
    """The kill waits to be raised in the parent. It comes neither in the child nor in the functions called at a fork."""
    answers = os.pipe()

    def fork(window: Window) -> None:
        if os.fork() == 0:
            try:
                window.in_child()
                window.open(1)
                compute()
                window.shut()
                os.write(answers[1], b"killed" if arm.landed else b"unhurt")
            finally:
                os._exit(0)

    victim = Blocked(fork)
    victim.window._arm = arm = WaitsForAFork(victim.thread.ident or 0, WorkerKilled)
    assert victim.window.kill(1, lambda: None) is Injected.LANDING
    victim.come_back()
    os.close(answers[1])
    assert os.read(answers[0], 100) == b"unhurt"
    os.close(answers[0])


def test_equal_functions_are_instrumented_one_by_one() -> None:
    """Two code objects may be equal, such as those of a function that is made twice."""
    first, second = (compile("def f(): pass", "app.py", "exec").co_consts[0] for _ in range(2))
    assert first == second and first is not second
    changes: list[tuple[int, bool]] = []
    instrumented = Instrumented(lambda code, needed: changes.append((id(code), needed)))
    for ident, code in ((1, first), (2, first), (1, second)):
        instrumented.need(code, ident)
    assert changes == [(id(first), True), (id(second), True)]
    instrumented.release(1)
    assert changes[2:] == [(id(second), False)], "the second thread still needs the first function"
    instrumented.release(2)
    assert changes[3:] == [(id(first), False)]


def test_function_is_not_switched_off_after_another_thread_has_asked_for_it() -> None:
    """
    1. One thread gives a function back, and the change is slow.
    2. Another one asks for it meanwhile: it waits, so that its own change is the last.
    """
    changes: list[bool] = []
    switching_off, go_on = threading.Event(), threading.Event()

    def change(code: CodeType, needed: bool) -> None:
        if not needed:
            switching_off.set()
            assert go_on.wait(WATCHDOG)
        changes.append(needed)

    code = compute.__code__
    instrumented = Instrumented(change)
    instrumented.need(code, 1)
    threads = [threading.Thread(target=instrumented.release, args=(1,))]
    threads[0].start()
    assert switching_off.wait(WATCHDOG)
    threads.append(threading.Thread(target=instrumented.need, args=(code, 2)))
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join(WATCHDOG)
    assert changes == [True, False, True]


class Refusing:
    """A reach with which no exception ever comes."""

    def arm(self, arm: Arm, frame: FrameType, thread_state: int) -> bool:
        return False

    def disarm(self, arm: Arm) -> None: ...

    def forget(self, arm: Arm) -> None: ...


def test_way_that_does_not_work_is_not_used(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """It is tried once, and the log says what that means."""
    monkeypatch.setattr(reach_module, "make_monitoring", Refusing)
    assert found_reach.__wrapped__() is None
    assert "a killed request may keep a lock" in caplog.text


def test_system_without_a_free_thread_has_no_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trial needs a thread."""

    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(reach_module, "make_monitoring", Refusing)
    monkeypatch.setattr(threading.Thread, "start", fail)
    assert found_reach.__wrapped__() is None


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring came with 3.12")
def test_number_that_another_tool_has_is_left_alone() -> None:
    """We take the next one; if all are taken there is no reach."""
    monitoring = sys.monitoring  # type: ignore[attr-defined]
    free = [tool for tool in (1, 2, 3, 4) if monitoring.get_tool(tool) is None]
    for tool in free:
        monitoring.use_tool_id(tool, "another tool")
    try:
        assert make_monitoring() is None
    finally:
        for tool in free:
            monitoring.free_tool_id(tool)
