"""
Turn instants into times of day for people, who compare them with a log. Everything else in this package is monotonic.
"""

from __future__ import annotations

import time
from datetime import datetime, timezone

from pastepool.types import Clock, Seconds


class Wall:
    """Turns monotonic instants into times of day. It reads both clocks once, when it is made."""

    def __init__(self, clock: Clock) -> None:
        self.now = clock.now()
        self._offset = time.time() - self.now

    def text(self, at: Seconds) -> str:
        """Write an instant in UTC as ISO 8601 with milliseconds."""
        moment = datetime.fromtimestamp(self._offset + at, timezone.utc)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def ago(self, at: Seconds) -> Seconds:
        """Say how long ago an instant was."""
        return rounded(max(0.0, self.now - at))


def rounded(seconds: Seconds) -> Seconds:
    """Round a duration to microseconds; more digits would only make the JSON longer."""
    return round(seconds, 6)
