"""
Run what a signal asks for on a thread of its own.

A signal handler of Python runs on the main thread, between any two bytecodes. The main thread may hold a lock there,
such as that of a log handler. So a handler may not log, and may not start a thread. It may ask this thread, which does
the work.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from pastepool.runtime.system.loggers import own_logger

_log = own_logger("pastepool")

_MOST_WAITING = 10
"""How many errands may wait while one hangs in the log. Further ones are dropped: they would wait for the same log."""


class Errands:
    """Runs functions, one after the other. ``ask`` and ``end`` may be called in a signal handler."""

    def __init__(self) -> None:
        self._asked: deque[Callable[[], object]] = deque()
        self._bell = threading.Lock()
        self._bell.acquire()
        self._ended = False

    def ask(self, what: Callable[[], object]) -> None:
        """Have ``what`` called soon. An exception of it is logged."""
        if len(self._asked) < _MOST_WAITING:
            self._asked.append(what)
        self._ring()

    def end(self) -> None:
        """End the thread after the errand that it runs now."""
        self._ended = True
        self._ring()

    def run(self) -> None:
        """Run what is asked for, until ``end``. This is the body of the thread."""
        while not self._ended:
            self._bell.acquire()
            while self._asked and not self._ended:
                what = self._asked.popleft()
                try:
                    what()
                except Exception:
                    _log.exception("Internal error in what a signal asked for; please report this")

    def _ring(self) -> None:
        try:
            self._bell.release()
        except RuntimeError:
            pass  # rung already, and the thread has not woken yet
