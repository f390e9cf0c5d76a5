"""The clock that moves when a test tells it to."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator

import pytest

from pastepool.testing import FakeClock
from pastepool.testing import clock as clock_module
from pastepool.types import Clock


class Sleeper:
    """A thread that waits on a clock again and again, the way the supervisor does, and keeps what it got."""

    def __init__(self, clock: FakeClock, naps: list[float]) -> None:
        self.clock = clock
        self.signal = threading.Event()
        self.naps = naps
        self.got: list[tuple[float, bool]] = []
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self) -> None:
        """Sleep so long each time; end after the last."""
        for nap in self.naps:
            signalled = self.clock.wait(self.signal, self.clock.now() + nap)
            if signalled:
                self.signal.clear()
            self.got.append((self.clock.now(), signalled))


@pytest.fixture
def sleeper() -> Iterator[Callable[..., Sleeper]]:
    """Start sleepers, and see them end."""
    started: list[Sleeper] = []

    def start(clock: FakeClock, *naps: float) -> Sleeper:
        made = Sleeper(clock, list(naps))
        made.thread.start()
        started.append(made)
        return made

    yield start
    for made in started:
        made.thread.join(5.0)
        assert not made.thread.is_alive()


def test_a_fake_clock_is_a_clock_and_stands_still() -> None:
    """Only the test moves it."""
    clock: Clock = FakeClock(50.0)
    assert clock.now() == clock.now() == 50.0


def test_an_instant_that_has_come_is_not_waited_for() -> None:
    """Neither is a signal that is set; the signal is left as it is."""
    clock, signal = FakeClock(50.0), threading.Event()
    assert clock.wait(signal, 50.0) is False
    signal.set()
    assert clock.wait(signal, math.inf) is True
    assert clock.wait(signal, 0.0) is True
    assert signal.is_set()


def test_time_wakes_a_sleeper_at_its_very_instant(sleeper: Callable[..., Sleeper]) -> None:
    """One advance over three naps: each ends at its own instant and not at the end of the advance."""
    clock = FakeClock(0.0)
    napping = sleeper(clock, 10.0, 10.0, 10.0, 100.0)
    clock.settle()
    clock.advance(35.0)
    assert napping.got == [(10.0, False), (20.0, False), (30.0, False)]
    assert clock.now() == 35.0
    assert not napping.signal.is_set()
    clock.jump(settle=False)


def test_a_signal_wakes_a_sleeper_before_its_instant(sleeper: Callable[..., Sleeper]) -> None:
    """settle() waits until the woken thread has gone back to sleep."""
    clock = FakeClock(0.0)
    napping = sleeper(clock, 10.0, 20.0)
    clock.settle()
    napping.signal.set()
    clock.settle()
    assert napping.got == [(0.0, True)]
    assert clock.waiting_until == [20.0]
    clock.jump(settle=False)


def test_sleepers_are_woken_in_the_order_of_their_instants(sleeper: Callable[..., Sleeper]) -> None:
    """A thread that waits for the earlier instant has done its work before the next one is woken."""
    clock = FakeClock(0.0)
    late, early = sleeper(clock, 7.0, 100.0), sleeper(clock, 5.0, 1.0, 100.0)
    clock.settle(2)
    clock.advance(7.0)
    assert early.got == [(5.0, False), (6.0, False)]
    assert late.got == [(7.0, False)]
    assert clock.waiting_until == [106.0, 107.0]
    clock.advance(100.0, settle=False)


def test_jumping_goes_to_the_next_instant_anybody_waits_for(sleeper: Callable[..., Sleeper]) -> None:
    """And says how far that was; it lands on the instant itself, however the numbers round."""
    clock = FakeClock(0.1)
    napping = sleeper(clock, 0.2, 50.0)
    clock.settle()
    assert clock.jump() == clock.now() - 0.1
    assert napping.got == [(0.1 + 0.2, False)]
    clock.jump(settle=False)


def test_jumping_goes_nowhere_when_nobody_waits_for_an_instant(sleeper: Callable[..., Sleeper]) -> None:
    """A sleeper without a deadline is woken by its signal alone."""
    clock = FakeClock(5.0)
    assert clock.jump() == 0.0
    napping = sleeper(clock, math.inf)
    clock.settle()
    assert clock.jump() == 0.0
    assert clock.now() == 5.0
    napping.signal.set()


def test_time_does_not_run_backwards() -> None:
    """A negative advance is a mistake of the test."""
    with pytest.raises(AssertionError, match="time does not run backwards"):
        FakeClock().advance(-1.0)


def test_a_thread_that_never_waits_is_reported_and_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """settle() gives up after the watchdog and says how many wait."""
    monkeypatch.setattr(clock_module, "WATCHDOG", 0.01)
    with pytest.raises(AssertionError, match=r"0 of 1 threads wait on the clock after 0\.01 s"):
        FakeClock().settle()


def test_a_woken_thread_that_does_not_come_back_is_reported(
    monkeypatch: pytest.MonkeyPatch, sleeper: Callable[..., Sleeper]
) -> None:
    """advance() gives up after the watchdog and says at which instant."""
    clock = FakeClock(0.0)
    sleeper(clock, 10.0)
    clock.settle()
    monkeypatch.setattr(clock_module, "WATCHDOG", 0.01)
    with pytest.raises(AssertionError, match=r"woken at 10\.0 does not wait on the clock again"):
        clock.advance(10.0)
