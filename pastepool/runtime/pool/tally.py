"""
Count what the pool has done so far, at almost no cost for a request.

Each worker counts into lists of its own (``WorkerTally``), without a lock. This module adds them up only when a caller
asks. Rare events are counted under the one lock here. A reset sets no counter back, because other threads go on
counting: it only remembers the values, and later results subtract them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from pastepool.core.telling.histogram import Counts, Summary, added, empty_counts, subtracted, summarize
from pastepool.core.telling.masking import masked_path
from pastepool.core.telling.slowest import Finished, Slowest
from pastepool.core.wording import printable
from pastepool.runtime.pool.task import Task
from pastepool.runtime.system.loggers import own_logger
from pastepool.types import Clock, Seconds, WorkerId

_log = own_logger("pastepool")

COUNTED = ("requests", "waited", "refused", "expired", "dropped", "turned_away", "spawned", "killed", "gone")
"""The names of the counters, in the order in which they are shown."""


@dataclass
class WorkerTally:
    """
    The histograms of one worker; only that worker writes them. ``calls``: how long application calls took. ``waits``:
    how long requests waited for a worker.
    """

    calls: Counts = field(default_factory=empty_counts)
    waits: Counts = field(default_factory=empty_counts)


@dataclass(frozen=True)
class Totals:
    """All counters and histograms at one moment."""

    counters: dict[str, int]
    calls: Counts
    waits: Counts
    writes: Counts


class Tally:
    """
    The counters of one server.

    ``gone_requests``: how many requests were run by workers that have ended. ``slow_above``: seconds; a worker calls
    ``note_slow`` only for a request that took longer. ``longest``: seconds of the longest call, wait and write; a worker
    calls ``note_longest`` only for a longer one. ``writes``: how long the poller took to write output that a worker left;
    only the baton's holder writes this list. All other fields are written under ``_lock``.

    Runs on: any thread.
    """

    def __init__(self, clock: Clock) -> None:
        now = clock.now()
        self.began_at = now
        self.writes = empty_counts()
        self._clock = clock
        self._lock = threading.Lock()
        self._slowest = Slowest(now)
        self.slow_above = self._slowest.above
        self._counters = dict.fromkeys(COUNTED, 0)
        self.gone_requests = 0
        self._gone = WorkerTally()
        self.longest = {"calls": 0.0, "waits": 0.0, "writes": 0.0}
        self._baseline = Totals(dict.fromkeys(COUNTED, 0), empty_counts(), empty_counts(), empty_counts())
        self.counted_since = now

    def count(self, what: str, number: int = 1) -> None:
        """Add to one counter of ``COUNTED``. It takes the lock, so it is for rare events only."""
        with self._lock:
            self._counters[what] += number

    def note_longest(self, what: str, seconds: Seconds) -> None:
        """Remember the longest wait or write, if this one is. ``note_slow`` does this for calls."""
        with self._lock:
            self.longest[what] = max(self.longest[what], seconds)

    def note_slow(self, task: Task, worker: WorkerId, duration: Seconds, now: Seconds) -> None:
        """
        Keep a request that took longer than most, before it drops its environ. Raises nothing.

        Runs on: its worker.
        """
        try:
            finished = _finished(task, worker, duration, now)
        except Exception:
            _log.exception("a slow request could not be noted; please report this")
            return
        with self._lock:
            self.longest["calls"] = max(self.longest["calls"], duration)
            self._slowest.turn(now)
            self._slowest.note(finished)
            self.slow_above = self._slowest.above

    def retire(self, tally: WorkerTally) -> None:
        """Take over the counts of a worker that has ended."""
        with self._lock:
            self.gone_requests += sum(tally.calls)
            self._gone = WorkerTally(added((self._gone.calls, tally.calls)), added((self._gone.waits, tally.waits)))

    def slowest(self) -> list[Finished]:
        """Return the slowest requests that finished recently, the slowest first."""
        with self._lock:
            self._slowest.turn(self._clock.now())
            self.slow_above = self._slowest.above
            return self._slowest.slowest_first()

    def totals(self, workers: Iterable[WorkerTally]) -> Totals:
        """Add up everything since the last reset. ``workers``: the tallies of the workers that have not ended."""
        return _less(self._all(workers), self._baseline)

    def reset(self, workers: Iterable[WorkerTally]) -> None:
        """Set all counters back to zero. ``workers``: as for ``totals``."""
        baseline = self._all(workers)
        now = self._clock.now()
        with self._lock:
            self._baseline = baseline
            self.longest = dict.fromkeys(self.longest, 0.0)
            self._slowest.clear(now)
            self.slow_above = self._slowest.above
            self.counted_since = now

    def summaries(self, totals: Totals) -> dict[str, Summary]:
        """
        Summarize how long requests waited for a worker, ran, and were written.

        A request that never waited counts as a wait of zero, and so for writing. Requests that no worker ran are not
        counted.
        """
        requests, longest = totals.counters["requests"], self.longest
        return {
            "queue": summarize(totals.waits, longest["waits"], requests - sum(totals.waits)),
            "application": summarize(totals.calls, longest["calls"]),
            "write": summarize(totals.writes, longest["writes"], max(0, requests - sum(totals.writes))),
        }

    def _all(self, workers: Iterable[WorkerTally]) -> Totals:
        present = list(workers)
        with self._lock:
            calls = added([self._gone.calls, *(one.calls for one in present)])
            waits = added([self._gone.waits, *(one.waits for one in present)])
            counters = {**self._counters, "requests": sum(calls), "waited": sum(waits)}
            return Totals(counters, calls, waits, list(self.writes))


def _less(now: Totals, before: Totals) -> Totals:
    return Totals(
        {what: max(0, number - before.counters[what]) for what, number in now.counters.items()},
        subtracted(now.calls, before.calls),
        subtracted(now.waits, before.waits),
        subtracted(now.writes, before.writes),
    )


def _finished(task: Task, worker: WorkerId, duration: Seconds, now: Seconds) -> Finished:
    facts, outcome = task.described(), task.outcome()
    return Finished(
        title=printable(masked_path(task.title())),
        method=facts.get("method", ""),
        path=facts.get("path", ""),
        client=facts.get("client", ""),
        duration=duration,
        queued=max(0.0, task.started_at - task.arrived_at) if task.arrived_at else 0.0,
        status=outcome.status,
        fate=outcome.fate,
        worker=worker,
        serial=task.serial,
        at=now,
    )
