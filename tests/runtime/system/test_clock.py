"""The real clock: it never says that an instant has come before it has."""

from __future__ import annotations

import math
import threading
import time

from pastepool.runtime.system.clock import MonotonicClock
from pastepool.types import Clock


class Recorder:
    """A signal that comes up after so many waits, and notes how long each was asked to be."""

    def __init__(self, set_after: int) -> None:
        self.set_after = set_after
        self.asked: list[float | None] = []

    def set(self) -> None:
        """Not used here."""

    def clear(self) -> None:
        """Not used here."""

    def is_set(self) -> bool:
        """Say whether enough waits have passed."""
        return len(self.asked) >= self.set_after

    def wait(self, timeout: float | None = None) -> bool:
        """Return at once, as a wait does that ends early."""
        self.asked.append(timeout)
        return self.is_set()


def test_time_is_monotonic() -> None:
    """The clock tells ``time.monotonic``."""
    clock: Clock = MonotonicClock()
    before = time.monotonic()
    assert before <= clock.now() <= time.monotonic()


def test_a_signal_that_is_set_wins_over_an_instant_that_has_passed() -> None:
    """A thread that was woken learns that it was."""
    signal = threading.Event()
    signal.set()
    assert MonotonicClock().wait(signal, until=-1.0) is True


def test_an_instant_that_has_passed_does_not_block() -> None:
    """A deadline in the past is an answer, not a negative timeout."""
    assert MonotonicClock().wait(threading.Event(), until=-1.0) is False


def test_an_instant_is_not_announced_early() -> None:
    """A wait that ends too soon is repeated until the instant has come."""
    clock = MonotonicClock()
    until = clock.now() + 0.01
    assert clock.wait(Recorder(set_after=10**9), until) is False
    assert clock.now() >= until


def test_a_wait_without_end_waits_for_the_signal_alone() -> None:
    """``inf`` is cut into waits the platform can take."""
    recorder = Recorder(set_after=3)
    assert MonotonicClock().wait(recorder, math.inf) is True
    assert recorder.asked == [threading.TIMEOUT_MAX] * 3


def test_a_real_event_wakes_the_waiter() -> None:
    """Set from another thread, the signal ends the wait long before the instant."""
    signal = threading.Event()
    setter = threading.Timer(0, signal.set)
    setter.start()
    clock = MonotonicClock()
    assert clock.wait(signal, clock.now() + 5) is True
    setter.join()
