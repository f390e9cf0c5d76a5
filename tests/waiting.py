"""
The limits within which tests wait, and ``until`` for waits without an event.

A test waits for an event, for at most one of the two limits. If there is no event, ``until`` looks again and again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

WATCHDOG = 10.0
"""How many seconds a test waits for something in this process. It usually comes at once."""

PROGRAM_WATCHDOG = 3 * WATCHDOG
"""How many seconds a test waits for another program's next step. Importing ``paster`` takes one on a busy machine."""

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
