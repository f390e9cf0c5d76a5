"""
A clock whose time moves only when a test moves it.

It knows the threads that wait on it and the instants they wait for. ``wait`` runs on the threads under test, everything
else on the thread of the test.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

from pastepool.types import Seconds, Signal

WATCHDOG = 5.0
"""How many real seconds a test waits for a thread. Then it fails, because the thread seems to be stuck."""


@dataclass(eq=False)
class _Waiter:
    """One thread inside ``wait``. ``due``: whether its instant has come; written under the lock of the clock."""

    signal: Signal
    until: Seconds
    thread: int
    due: bool = False


class FakeClock:
    """
    A clock for tests: ``now`` does not change until ``advance`` or ``jump`` moves it.

    It has the shape of ``pastepool.types.Clock``. When the instant of a waiting thread comes, the thread is woken and
    ``now`` is exactly that instant. This is the hardest case for code that compares with a deadline. Several threads
    are woken in the order of their instants.

    ``_now`` and ``_waiters`` are written under ``_changed``.
    """

    def __init__(self, now: Seconds = 1000.0) -> None:
        self._now = now
        self._waiters: list[_Waiter] = []
        self._changed = threading.Condition()

    def now(self) -> Seconds:
        """Return the instant that the test has set."""
        with self._changed:
            return self._now

    def wait(self, signal: Signal, until: Seconds) -> bool:
        """
        Block until ``signal`` is set (True) or the instant ``until`` has come (False).

        When the instant has come, the clock sets ``signal`` to wake the thread, and this function clears it again. If
        other code sets the signal at the same moment, that is cleared too. This does no harm if the thread looks at
        everything after every wake-up, as the threads of pastepool do.
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
        Move time forward, and wake the threads whose instants come, in the order of the instants.

        Args:
            seconds: how far, not negative.
            settle: after each wake-up, wait until the woken thread waits on the clock again. So the thread does its
                work at its own instant. Pass False when it will not wait again.

        Raises: AssertionError when a woken thread does not come back within the watchdog.
        """
        assert seconds >= 0, f"time does not run backwards: {seconds}"
        self._move_to(self.now() + seconds, settle)

    def jump(self, *, settle: bool = True) -> Seconds:
        """
        Move time to the next instant for which a thread waits, and wake that thread.

        Returns: how many seconds time moved; 0 when no thread waits for an instant.
        """
        before = self.now()
        until = min(self.waiting_until, default=math.inf)
        if until == math.inf:
            return 0.0
        self._move_to(until, settle)
        return self.now() - before

    def settle(self, waiters: int = 1) -> None:
        """
        Wait until ``waiters`` threads wait on this clock and their signals are not set: they have done their work.

        Raises: AssertionError when that does not happen within ``WATCHDOG`` seconds.
        """
        with self._changed:
            settled = self._changed.wait_for(lambda: len(self._sleeping_locked()) >= waiters, WATCHDOG)
            asleep = len(self._sleeping_locked())
        assert settled, f"{asleep} of {waiters} threads wait on the clock after {WATCHDOG:g} s"

    @property
    def waiting_until(self) -> list[Seconds]:
        """The instants for which threads wait, soonest first."""
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
        """
        Wake the thread with the earliest instant, if that is not after ``until``.

        Returns: the thread's ``threading.get_ident()``; None when there is no such thread.
        """
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
