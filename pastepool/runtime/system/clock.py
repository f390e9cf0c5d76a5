"""The real clock: monotonic time and real waiting. Tests bring their own (``pastepool.testing.FakeClock``)."""

from __future__ import annotations

import threading
import time

from pastepool.types import Seconds, Signal


class MonotonicClock:
    """
    A ``Clock`` over ``time.monotonic``; holds no state, so that one serves a whole process.

    Runs on: any thread.
    """

    now = staticmethod(time.monotonic)
    """Tell monotonic seconds. The built-in itself, because each request asks for the time three times."""

    def wait(self, signal: Signal, until: Seconds) -> bool:
        """
        Block until ``signal`` is set (True) or the instant ``until`` has come (False); ``inf`` waits for the signal.

        A wait may end a rounding step early, and the longest one the platform takes is finite: both look like an
        instant that came too soon, so the clock has the last word.
        """
        while True:
            remaining = until - time.monotonic()
            if signal.wait(min(max(remaining, 0.0), threading.TIMEOUT_MAX)):
                return True
            if time.monotonic() >= until:
                return False
