"""The real clock: monotonic time and real waiting. Tests use ``pastepool.testing.FakeClock`` instead."""

from __future__ import annotations

import threading
import time

from pastepool.types import Seconds, Signal


class MonotonicClock:
    """
    A ``Clock`` over ``time.monotonic``. It has no state, so one clock is enough for a process.

    Runs on: any thread.
    """

    now = staticmethod(time.monotonic)
    """Return monotonic seconds. This is the built-in function itself: each request asks for the time three times."""

    def wait(self, signal: Signal, until: Seconds) -> bool:
        """
        Block until ``signal`` is set (True) or the instant ``until`` has come (False); ``inf`` waits for the signal.

        ``signal.wait`` may return a little before ``until``, for two reasons: rounding, and the longest wait that the
        platform accepts. So after each wait the clock is read, and the wait is repeated if ``until`` has not come.
        """
        while True:
            remaining = until - time.monotonic()
            if signal.wait(min(max(remaining, 0.0), threading.TIMEOUT_MAX)):
                return True
            if time.monotonic() >= until:
                return False
