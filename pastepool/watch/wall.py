"""The time of day, for people: the one thing here that is not monotonic, because a person compares it with a log."""

from __future__ import annotations

import time
from datetime import datetime, timezone

from pastepool.types import Clock, Seconds


class Wall:
    """Turns monotonic instants into times of day, by what both clocks say when it is made."""

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
    """Cut a duration to microseconds, so that the JSON is no longer than what it says."""
    return round(seconds, 6)
