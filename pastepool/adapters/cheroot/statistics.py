"""cheroot's statistics, right over connections that stay open, and without workers that have gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from pastepool import WorkerPool

_NAMES = ("Requests", "Bytes Read", "Bytes Written", "Work Time")


def stats_of(counted: Counter[str]) -> dict[str, Any]:
    """Return what a worker has done in cheroot's form: functions whose argument nobody needs."""

    def rate(what: str) -> Any:
        return lambda s: counted[what] / (counted["Work Time"] or 1e-6)

    stats: dict[str, Any] = {name: lambda s, name=name: counted[name] for name in _NAMES}
    return {**stats, "Read Throughput": rate("Bytes Read"), "Write Throughput": rate("Bytes Written")}


class Statistics(Mapping[str, Any], dict[str, Any]):  # type: ignore[misc, metaclass]  # dict derives from no Mapping
    """
    ``server.stats['Worker Threads']``: an entry for each live worker, and one for all that have ended.

    It is a dict because CherryPy shows nothing else. Its methods are those of a Mapping.
    """

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool

    def __getitem__(self, name: str) -> Any:
        return stats_of(self._pool.counts.by_worker()[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._pool.counts.by_worker())

    def __len__(self) -> int:
        return len(self._pool.counts.by_worker())
