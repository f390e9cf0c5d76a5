"""
Signals: the first SIGTERM or SIGINT drains, a second one ends the process at once.

Handlers are installed only in the main thread and only where nobody else has put one; they are put back unless one of
them has fired, in which case the process is on its way out.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any


class Signals:
    """
    Turns signals into two calls.

    ``fired``: whether a stop was asked for by a signal. ``on_first``/``on_second``: run in the main thread between
    two bytecodes, with the signal number; they must neither block nor take a lock that the main thread may hold.
    """

    def __init__(self, on_first: Callable[[int], None], on_second: Callable[[int], None]) -> None:
        self._on_first = on_first
        self._on_second = on_second
        self.fired = False
        self._previous: dict[int, Any] = {}

    def install(self) -> None:
        """
        Take over what is ours to take. Elsewhere than in the main thread this does nothing: the host owns its
        signals.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            present = signal.getsignal(number)
            ours = (signal.SIG_DFL, signal.default_int_handler)
            # A shell starts background jobs with SIGINT ignored, and daemons inherit that; `paster serve stop` sends
            # SIGINT.
            if present in ours or (present is signal.SIG_IGN and is_daemon()):
                self._previous[number] = signal.signal(number, self._handle)

    def restore(self) -> None:
        """Put back what was there, unless the process is ending because of a signal."""
        if self.fired:
            return
        for number, previous in self._previous.items():
            signal.signal(number, previous)
        self._previous.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self.fired:
            self.fired = True
            self._on_first(number)
        elif number == signal.SIGINT and is_daemon():
            pass  # `paster serve stop` repeats SIGINT every second while it waits; SIGTERM is its second signal
        else:
            self._on_second(number)


def is_daemon() -> bool:
    """
    Say whether this process was double-forked: then its session's leader has ended, and no terminal can send it
    signals.
    """
    leader = os.getsid(0)
    if leader in (0, os.getpid()):
        return False
    try:
        os.kill(leader, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _is_zombie(leader)


def _is_zombie(process: int) -> bool:
    """An ended process that its parent has not asked about yet; where there is no /proc, never."""
    try:
        with open(f"/proc/{process}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[:1] == ["Z"]
    except OSError:
        return False
