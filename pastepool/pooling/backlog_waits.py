"""Let threads of a host wait until the backlog of its pool changes: for room in it, or for work to take back."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pastepool.types import Seconds


class BacklogWaits:
    """
    The threads that wait. ``wanted``: how many there are; the thread that changes the backlog looks at it afterwards.

    ``full_since``: when the first thread that waits for room, or has given up, found none. None if there was room since.

    No change is missed:
        1. one that waits adds itself to ``wanted``, then looks at the backlog;
        2. one that changes the backlog does so, then looks at ``wanted``.
    The later of the two sees what the other did.
    """

    def __init__(self) -> None:
        self.wanted = 0
        self.full_since: Seconds | None = None
        self._changed = threading.Condition()

    def until(self, happened: Callable[[], bool], timeout: Seconds | None) -> bool:
        """Wait until ``happened()``, for at most ``timeout`` seconds; None for ever. Returns whether it has."""
        with self._changed:
            self.wanted += 1
            try:
                return self._changed.wait_for(happened, timeout)
            finally:
                self.wanted -= 1

    def left(self, timeout: Seconds | None, now: Seconds) -> Seconds | None:
        """
        Return how long a thread that has found no room now may wait for it, of ``timeout`` seconds; None for ever.

        All of them share the time of the first. Otherwise those behind it would wait for the sum.
        """
        if self.full_since is None:
            self.full_since = now
        return None if timeout is None else max(0.0, self.full_since + timeout - now)

    def tell(self) -> None:
        """Have those that wait look again. The caller holds no lock that ``happened`` takes."""
        with self._changed:
            self._changed.notify_all()
