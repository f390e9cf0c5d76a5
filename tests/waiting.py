"""How tests wait: for an event, with a limit; or, where there is no event, by looking again and again with pauses."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

WATCHDOG = 10.0
"""Seconds a test waits for something in this process that is meant to come at once."""

PROGRAM_WATCHDOG = 3 * WATCHDOG
"""Seconds a test waits for another program's next step. Importing ``paster`` alone takes one on a busy machine."""

_FIRST_PAUSE = 0.0005
_LONGEST_PAUSE = 0.02
"""Seconds between two looks: short at first, so that no test is slowed down; then long, so that waiting costs no processor."""


def until(condition: Callable[[], object], what: str, patience: float = WATCHDOG) -> None:
    """
    Wait until ``condition`` is true. Use an event instead where there is one.

    Raises: AssertionError with ``what`` when it is not true within ``patience`` seconds.
    """
    never = threading.Event()
    deadline = time.monotonic() + patience
    pause = _FIRST_PAUSE
    while not condition():
        assert time.monotonic() < deadline, f"not so within {patience:g} s: {what}"
        never.wait(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
