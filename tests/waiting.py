"""
The limits within which tests wait, ``until`` for waits without an event, and a stopwatch for what must be quick.

A test waits for an event, for at most one of the two limits. If there is no event, ``until`` looks again and again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

WATCHDOG = 30.0
"""
How many seconds a test waits for something in this process. It usually comes at once; beside four busy loops and the
tests of eight others, ten seconds were not enough.
"""

PROGRAM_WATCHDOG = 2 * WATCHDOG
"""How many seconds a test waits for another program's next step. Importing ``paster`` takes one on a busy machine."""

_PRESSURE = Path("/proc/pressure/cpu")

_FIRST_PAUSE = 0.0005
_LONGEST_PAUSE = 0.02
"""
Seconds between two looks. They are short at first, so that a test is not slowed down, and then longer, so that waiting
takes little processor time.
"""


def until(condition: Callable[[], object], what: str, patience: float = WATCHDOG) -> None:
    """
    Wait until ``condition`` is true. Use an event instead where there is one.

    Raises: AssertionError with the text ``what`` if it is not true within ``patience`` seconds.
    """
    never = threading.Event()
    deadline = time.monotonic() + patience
    pause = _FIRST_PAUSE
    while not condition():
        assert time.monotonic() < deadline, f"not so within {patience:g} s: {what}"
        never.wait(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


class Stopwatch:
    """
    Measures how long something takes, from here on.

    A lower bound is one of ``elapsed``, an upper bound one of ``net``. Otherwise a test fails because other programs use
    the processors. On a machine that does nothing else, and on one that does not tell, both are nearly the same.
    """

    def __init__(self) -> None:
        self._waited = _seconds_waited_for_a_processor()
        self._began = time.monotonic()

    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def busy(self) -> float:
        """In how many of the seconds something waited for a processor, whatever it was (Linux, pressure stall)."""
        return _seconds_waited_for_a_processor() - self._waited

    def net(self) -> float:
        """The seconds in which nothing waited for a processor."""
        return self.elapsed() - self.busy()


def _seconds_waited_for_a_processor() -> float:
    """Since the start of the machine. 0 where the kernel does not count them."""
    try:
        first = _PRESSURE.read_text(encoding="ascii").splitlines()[0]
    except OSError:
        return 0.0
    return int(first.rpartition("total=")[2]) / 1e6
