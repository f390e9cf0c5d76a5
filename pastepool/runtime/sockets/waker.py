"""
A pipe that wakes the thread that polls, and what that thread is asked to do once it is awake.

Knows a pair of descriptors and a queue of functions; who polls, and for what, is not its business.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable

_CLOSED = (-1, -1)


class Waker:
    """
    Wakes whoever polls for reading on ``fd``.

    ``ends``: the descriptors of the pipe, to read and to write; both -1 while there is none. ``open``, ``answer`` and
    ``close`` run on the baton's holder; ``wake`` and ``ask`` on any thread.
    """

    def __init__(self) -> None:
        self.ends = _CLOSED
        self._asked: deque[Callable[[], None]] = deque()

    @property
    def fd(self) -> int:
        """The descriptor to poll; -1 while there is none."""
        return self.ends[0]

    def open(self) -> int:
        """Make the pipe, in the process that will serve. Returns ``fd``."""
        self.ends = os.pipe()
        for end in self.ends:
            os.set_blocking(end, False)
        return self.fd

    def wake(self) -> None:
        """Have the poll return soon. Safe in a signal handler."""
        try:
            os.write(self.ends[1], b"\0")
        except BlockingIOError:
            pass  # it is full of wake-ups already
        except OSError:
            pass  # closed: nobody polls any more

    def ask(self, what: Callable[[], None]) -> None:
        """Have ``what`` run by the thread that polls."""
        self._asked.append(what)
        self.wake()

    def answer(self) -> None:
        """Take the wake-ups out of the pipe, then run what was asked for."""
        try:
            os.read(self.ends[0], 4096)
        except BlockingIOError:
            pass
        while self._asked:
            self._asked.popleft()()

    def close(self) -> None:
        """Close the pipe. May be called twice."""
        ends, self.ends = self.ends, _CLOSED  # a wake from now on must not reach who gets these numbers next
        for end in ends:
            if end >= 0:
                os.close(end)
