"""cheroot's statistics, right over connections that stay open, and without workers that have gone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Counted = tuple[float, ...]
"""Requests, bytes read, bytes written, and seconds of work."""

NOTHING: Counted = (0, 0, 0, 0.0)

_NAMES = ("Requests", "Bytes Read", "Bytes Written", "Work Time")


def added(one: Counted, other: Counted) -> Counted:
    """Return the sums."""
    return tuple(a + b for a, b in zip(one, other, strict=True))


def since(before: Counted, now: Counted) -> Counted:
    """Return the differences."""
    return tuple(b - a for a, b in zip(before, now, strict=True))


class WorkerThread:
    """
    A worker of the pool as cheroot knows it. ``conn``: the connection that it serves; None if it serves none.

    ``counted``: what it has done so far. ``stats``: the same in cheroot's form.
    """

    def __init__(self, server: Any, name: str) -> None:
        self.server = server
        self.name = name
        self.conn: Any = None
        self.ready = True
        self.counted = NOTHING
        self.stats: dict[str, Any] = {name: self._value(at) for at, name in enumerate(_NAMES)}
        self.stats["Read Throughput"] = lambda s: self.counted[1] / (self.counted[3] or 1e-6)
        self.stats["Write Throughput"] = lambda s: self.counted[2] / (self.counted[3] or 1e-6)

    def _value(self, at: int) -> Any:
        return lambda s: self.counted[at]


class WorkerStatistics(dict[str, Any]):
    """
    ``server.stats['Worker Threads']``: an entry for each live worker, and one for those that have gone.

    It asks the pool each time, so nothing has to be removed. ``gone``: the name of the last entry.
    """

    gone = "workers that have ended"

    def __init__(self, pool: Any) -> None:
        super().__init__()
        self._pool = pool

    def _now(self) -> dict[str, Any]:
        entries = {worker.name: worker.stats for worker in self._pool._threads}
        ended = WorkerThread(self._pool.server, self.gone)
        ended.counted = self._pool.ended
        return {**entries, self.gone: ended.stats}

    def __getitem__(self, name: str) -> Any:
        return self._now()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._now())

    def __len__(self) -> int:
        return len(self._now())

    def __contains__(self, name: object) -> bool:
        return name in self._now()

    def keys(self) -> Any:
        return self._now().keys()

    def values(self) -> Any:
        return self._now().values()

    def items(self) -> Any:
        return self._now().items()
