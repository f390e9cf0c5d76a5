"""An exception raised in another thread: where it is said to be, or not at all."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType, SimpleNamespace, TracebackType

import pytest

from pastepool.errors import InjectionUnavailable
from pastepool.runtime.inspection.stacks import current_frames
from pastepool.runtime.window.async_exc import check_available, set_async_exc, set_async_exc_inside
from tests.waiting import WATCHDOG


class Hit(BaseException):
    """What is raised in other threads here."""


def harmless() -> None:
    """Where a victim may be hit."""
    for _ in range(20):
        pass


def in_between() -> None:
    """Where it may be hit as well: from 3.13 on a thread that has just let go of the lock goes on until its next look."""
    for _ in range(5):
        pass


def harmful() -> None:
    """Where it must not be hit."""
    for _ in range(20):
        pass


class Victim:
    """A thread that is in ``harmless`` half of the time and in ``harmful`` the other half, and goes on after a hit."""

    def __init__(self) -> None:
        self.hits: list[str] = []
        self.done = False
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self.done:
            try:
                self._go_on()
            except Hit as error:
                self.hits.append(innermost(error.__traceback__))

    def _go_on(self) -> None:
        while not self.done:
            harmless()
            in_between()
            harmful()
            in_between()


def innermost(trace: TracebackType | None) -> str:
    """The function in which an exception was raised."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_code.co_name if trace is not None else ""


@pytest.fixture
def victim() -> Iterator[Victim]:
    """One that runs, in an interpreter whose threads change places all the time."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    victim = Victim()
    victim.thread.start()
    yield victim
    victim.done = True
    victim.thread.join(WATCHDOG)
    sys.setswitchinterval(before)
    assert not victim.thread.is_alive()


def standing_in(function: Callable[[], None], ident: int) -> FrameType:
    """The frame of a thread that is just in there, and may not be any more."""
    while True:
        frame = current_frames()[ident]
        if frame.f_code is function.__code__:
            return frame


def test_exception_is_raised_where_the_thread_was_seen_and_nowhere_else(victim: Victim) -> None:
    """100 of 100 arrive where they may; a thread that was seen there and has moved on is left alone."""
    assert victim.thread.ident is not None
    outcomes: list[bool | None] = []
    while outcomes.count(True) < 100:
        frame = standing_in(harmless, victim.thread.ident)
        outcomes.append(set_async_exc_inside(frame, victim.thread.ident, Hit))
        while len(victim.hits) < outcomes.count(True):
            pass
    assert "harmful" not in victim.hits


def test_thread_that_has_moved_on_is_left_alone(victim: Victim) -> None:
    """A frame it has left, or that is another thread's: nothing is marked, now or later."""
    ident = victim.thread.ident
    assert ident is not None
    left = standing_in(harmless, ident)
    standing_in(harmful, ident)
    assert set_async_exc_inside(left, ident, Hit) is None
    assert set_async_exc_inside(sys._getframe(), ident, Hit) is None
    victim.done = True
    victim.thread.join(WATCHDOG)
    assert victim.hits == []


def test_thread_that_has_ended_is_no_error() -> None:
    """Nobody is there to be hit."""
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
    assert thread.ident is not None
    assert set_async_exc_inside(sys._getframe(), thread.ident, Hit) is False
    assert set_async_exc(thread.ident, Hit) == 0


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="the collector never begins inside of a call here")
def test_no_garbage_is_collected_between_the_look_and_the_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    """The collector would run callbacks, in Python, and let the other thread go on: it is off, and on afterwards."""
    collects: list[bool] = []

    def marking(ident: object, exception: object) -> int:
        collects.append(gc.isenabled())
        return 1

    monkeypatch.setattr(ctypes, "pythonapi", SimpleNamespace(PyThreadState_SetAsyncExc=marking))
    gc.enable()
    frame = sys._getframe()
    monkeypatch.setattr(sys, "_current_frames", lambda: {1: frame})
    assert set_async_exc_inside(frame, 1, Hit) is True
    assert (collects, gc.isenabled()) == ([False], True)


def test_interpreter_without_the_call_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no exception can be raised in another thread, that is an error with a sentence, not an AttributeError."""
    check_available(without_gil=True)
    monkeypatch.setattr(ctypes, "pythonapi", SimpleNamespace())
    with pytest.raises(InjectionUnavailable, match="no request is killed"):
        check_available(without_gil=True)


def test_without_the_gil_nothing_is_killed_unless_the_operator_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names the reason and the option; with the GIL the option makes no difference."""
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    with pytest.raises(InjectionUnavailable, match=r"without the GIL.*threadpool_kill_without_gil = true"):
        check_available(without_gil=False)
    check_available(without_gil=True)
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: True)
    check_available(without_gil=False)
