"""
Count durations in buckets, and compute percentiles from the counts.

Knows lists of counts. Each thread that measures keeps a list of its own and runs
``counts[bisect(BOUNDS, seconds)] += 1``; a request costs no more than that. Counts are never set back to 0: to count
from a later moment on, the counts of that moment are subtracted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from pastepool.types import Seconds

BOUNDS: Sequence[Seconds] = tuple(round(10.0 ** (step / 8 - 5), 9) for step in range(65))
"""
Upper bounds of the buckets, from 10 microseconds to 1000 seconds, eight for each factor of ten. Each bound is a third
larger than the one before, so a percentile is exact to about a third. One more bucket counts longer durations.
"""

Counts = list[int]


def empty_counts() -> Counts:
    """Return a list with one zero for each bucket."""
    return [0] * (len(BOUNDS) + 1)


def added(several: Iterable[Sequence[int]]) -> Counts:
    """Add several lists of counts, bucket by bucket."""
    return [sum(column) for column in zip(empty_counts(), *several, strict=True)]


def subtracted(counts: Sequence[int], earlier: Sequence[int]) -> Counts:
    """Subtract earlier counts from later ones, bucket by bucket; no result is below 0."""
    return [max(0, now - before) for now, before in zip(counts, earlier, strict=True)]


@dataclass(frozen=True)
class Summary:
    """
    Mean, percentiles and maximum of a histogram, in seconds; ``None`` where nothing was counted.

    ``buckets``: upper bound (``None`` for infinity) and count of each bucket that is not empty. Requests that took no
    time at all are counted in a bucket of their own with the bound 0.
    """

    count: int
    mean: Seconds | None
    p50: Seconds | None
    p95: Seconds | None
    p99: Seconds | None
    maximum: Seconds | None
    buckets: tuple[tuple[Seconds | None, int], ...]


def summarize(counts: Sequence[int], longest: Seconds, none_at_all: int = 0) -> Summary:
    """
    Compute mean, percentiles and maximum from the counts.

    Args:
        counts: one for each bucket.
        longest: the longest duration seen; no result exceeds it. 0 if it is not known.
        none_at_all: how many further requests, not in ``counts``, took no time at all.
    """
    total = sum(counts) + none_at_all
    buckets = [(BOUNDS[at] if at < len(BOUNDS) else None, count) for at, count in enumerate(counts) if count]
    shown = tuple([(0.0, none_at_all)] if none_at_all else []) + tuple(buckets)
    if not total:
        return Summary(0, None, None, None, None, None, ())
    ceiling = longest or max((_upper(at) for at, count in enumerate(counts) if count), default=0.0)
    p50, p95, p99 = (min(ceiling, _percentile(counts, share * total - none_at_all)) for share in (0.5, 0.95, 0.99))
    mean = sum(count * _middle(at) for at, count in enumerate(counts)) / total
    return Summary(total, min(mean, ceiling), p50, p95, p99, ceiling, shown)


def _percentile(counts: Sequence[int], rank: float) -> Seconds:
    """Return the duration that ``rank`` requests do not exceed. The requests of a bucket are taken as evenly spread."""
    if rank <= 0:
        return 0.0
    running = list(accumulate(counts))
    at = min(bisect_left(running, rank), len(counts) - 1)  # by rounding, a rank may exceed the total
    before = running[at] - counts[at]
    return _lower(at) + (_upper(at) - _lower(at)) * (rank - before) / max(1, counts[at])


def _lower(at: int) -> Seconds:
    return BOUNDS[at - 1] if at else 0.0


def _upper(at: int) -> Seconds:
    return BOUNDS[min(at, len(BOUNDS) - 1)]


def _middle(at: int) -> Seconds:
    return (_lower(at) + _upper(at)) / 2
