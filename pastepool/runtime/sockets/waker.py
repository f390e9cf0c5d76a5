"""
Wake the thread that polls, through a pipe, and have it run functions.

This module knows a pair of descriptors and a queue of functions. It does not know who polls or why.
"""

from __future__ import annotations

import os
import select
from collections import deque
from collections.abc import Callable

from pastepool.types import Seconds

_CLOSED = (-1, -1)


class Waker:
    """
    Wakes the thread that polls ``fd`` for reading.

    ``ends``: the descriptors of the pipe, to read and to write; both -1 while there is no pipe. ``open``, ``answer``
    and ``close`` run on the baton's holder; ``wake`` and ``ask`` on any thread.
    """

    def __init__(self) -> None:
        self.ends = _CLOSED
        self._asked: deque[Callable[[], None]] = deque()
        self._wakes: select.poll

    @property
    def fd(self) -> int:
        """Return the descriptor to poll; -1 while there is no pipe."""
        return self.ends[0]

    def open(self) -> int:
        """Make the pipe. Call this in the process that will serve. Returns ``fd``."""
        self.ends = os.pipe()
        for end in self.ends:
            os.set_blocking(end, False)
        self._wakes = select.poll()
        self._wakes.register(self.fd, select.POLLIN)
        return self.fd

    def wait(self, seconds: Seconds) -> None:
        """Wait for a wake-up, at most for ``seconds``, and leave it to the poll. Runs on: baton."""
        self._wakes.poll(seconds * 1000)

    def wake(self) -> None:
        """Make the poll return soon. Safe in a signal handler."""
        try:
            os.write(self.ends[1], b"\0")
        except BlockingIOError:
            pass  # the pipe is full of wake-ups already
        except OSError:
            pass  # the pipe is closed: no thread polls any more

    def ask(self, what: Callable[[], None]) -> None:
        """Have the thread that polls call ``what``."""
        self._asked.append(what)
        self.wake()

    def answer(self) -> None:
        """Read the wake-ups out of the pipe, then call the functions that were asked for."""
        try:
            os.read(self.ends[0], 4096)
        except BlockingIOError:
            pass
        while self._asked:
            self._asked.popleft()()

    def close(self) -> None:
        """Close the pipe. May be called twice."""
        ends, self.ends = self.ends, _CLOSED  # a later wake must not write to a file that gets the same number next
        for end in ends:
            if end >= 0:
                os.close(end)
