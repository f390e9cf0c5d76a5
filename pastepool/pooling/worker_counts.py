"""Numbers that a host counts for each worker of a pool, such as the bytes that it has read."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping

GONE = "workers that have ended"
"""The name under which the sum of what they counted is kept."""


class WorkerCounts:
    """
    What each worker has counted, by its name. ``live``: returns the names of the workers that have not ended.

    A worker writes its own counts, without a lock. Those of one that has ended are added up under ``GONE`` when somebody
    asks.
    """

    def __init__(self, live: Callable[[], Iterable[str]]) -> None:
        self._live = live
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._lock = threading.Lock()

    def add(self, numbers: Mapping[str, float]) -> None:
        """Add to the counts of the calling worker. Runs on: that worker."""
        counts = self._counts[threading.current_thread().name]
        for name, number in numbers.items():
            counts[name] += number  # type: ignore[assignment]  # a Counter of seconds has fractions

    def by_worker(self) -> dict[str, Counter[str]]:
        """Return the counts of each live worker, and ``GONE``. They go on counting. Runs on: any thread."""
        with self._lock:
            known = set(self._counts)
            live = list(self._live())  # asked after ``known``: who is missing here has ended
            for name in known.difference(live, (GONE,)):
                self._counts[GONE].update(self._counts.pop(name))
            return {name: self._counts[name] for name in (*live, GONE)}
