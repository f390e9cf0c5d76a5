"""
A clock that moves when a test tells it to.

Knows threads that wait on it and the instants they wait for; has no time of its own.
``wait`` runs on the threads under test, everything else on the test's.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

from pastepool.types import Seconds, Signal

WATCHDOG = 5.0
"""Real seconds after which a thread that should be waiting is taken to be stuck."""


@dataclass(eq=False)
class _Waiter:
    """One thread inside ``wait``. ``due``: its instant has come; written under the clock's lock."""

    signal: Signal
    until: Seconds
    thread: int
    due: bool = False


class FakeClock:
    """
    Time for tests: ``now`` stands still until ``advance`` or ``jump`` moves it.

    Has the shape of ``pastepool.types.Clock``. A thread that waits is woken when its instant comes, in the order of the
    instants, and finds ``now`` at exactly that instant, which is the hardest case for whoever compares with a deadline.

    ``_now`` and ``_waiters`` are written under ``_changed``.
    """

    def __init__(self, now: Seconds = 1000.0) -> None:
        self._now = now
        self._waiters: list[_Waiter] = []
        self._changed = threading.Condition()

    def now(self) -> Seconds:
        """Give the instant the test has set."""
        with self._changed:
            return self._now

    def wait(self, signal: Signal, until: Seconds) -> bool:
        """
        Block until ``signal`` is set (True) or the instant ``until`` has come (False).

        A waiter whose instant has come is woken through its own signal, which is cleared again for it. A signal that is
        set in that very moment is lost with it; whoever waits looks at everything after waking, so he misses nothing.
        """
        waiter = _Waiter(signal, until, threading.get_ident())
        with self._changed:
            if signal.is_set() or self._now >= until:
                return signal.is_set()
            self._waiters.append(waiter)
            self._changed.notify_all()
        signal.wait()
        with self._changed:
            if not waiter.due:
                self._waiters.remove(waiter)
                return True
            signal.clear()
            return False

    def advance(self, seconds: Seconds, *, settle: bool = True) -> None:
        """
        Move time on and wake whoever's instant comes, in order.

        Args:
            seconds: not negative.
            settle: after each wake-up wait until the woken thread waits again, so that what it does happens at its own
                instant. Pass False when it will not come back.

        Raises: AssertionError when a woken thread does not come back within the watchdog.
        """
        assert seconds >= 0, f"time does not run backwards: {seconds}"
        self._move_to(self.now() + seconds, settle)

    def jump(self, *, settle: bool = True) -> Seconds:
        """
        Move time to the next instant somebody waits for, and wake him.

        Returns: how far time moved; 0 when nobody waits for any instant.
        """
        before = self.now()
        until = min(self.waiting_until, default=math.inf)
        if until == math.inf:
            return 0.0
        self._move_to(until, settle)
        return self.now() - before

    def settle(self, waiters: int = 1) -> None:
        """
        Wait until so many threads wait on this clock and none of their signals is set: what they had to do is done.

        Raises: AssertionError when they do not within the watchdog.
        """
        with self._changed:
            settled = self._changed.wait_for(lambda: len(self._sleeping_locked()) >= waiters, WATCHDOG)
            asleep = len(self._sleeping_locked())
        assert settled, f"{asleep} of {waiters} threads wait on the clock after {WATCHDOG:g} s"

    @property
    def waiting_until(self) -> list[Seconds]:
        """The instants waited for, soonest first."""
        with self._changed:
            return sorted(waiter.until for waiter in self._sleeping_locked())

    def _sleeping_locked(self) -> list[_Waiter]:
        return [waiter for waiter in self._waiters if not waiter.signal.is_set()]

    def _move_to(self, until: Seconds, settle: bool) -> None:
        while (thread := self._wake_next(until)) is not None:
            if settle:
                self._wait_for_return(thread)
        with self._changed:
            self._now = max(self._now, until)

    def _wake_next(self, until: Seconds) -> int | None:
        """Wake the sleeper with the first instant not after ``until`` and say which thread it is; None without one."""
        with self._changed:
            due = [waiter for waiter in self._sleeping_locked() if waiter.until <= until]
            if not due:
                return None
            waiter = min(due, key=lambda sleeper: sleeper.until)
            self._now = max(self._now, waiter.until)
            self._waiters.remove(waiter)
            waiter.due = True
            waiter.signal.set()
            return waiter.thread

    def _wait_for_return(self, thread: int) -> None:
        def returned() -> bool:
            return any(waiter.thread == thread for waiter in self._sleeping_locked())

        with self._changed:
            assert self._changed.wait_for(returned, WATCHDOG), (
                f"a thread woken at {self._now} does not wait on the clock again after {WATCHDOG:g} s"
            )
