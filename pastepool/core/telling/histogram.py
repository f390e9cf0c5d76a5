"""
How durations are counted so that percentiles can be told, and what they come to.

Knows lists of counts; whoever measures keeps a list of its own and does ``counts[bisect(BOUNDS, seconds)] += 1``, which
is all a request pays. Nothing is ever set back: the counts of an earlier moment are subtracted instead.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from pastepool.types import Seconds

BOUNDS: Sequence[Seconds] = tuple(round(10.0 ** (step / 8 - 5), 9) for step in range(65))
"""
Upper bounds from 10 microseconds to 1000 seconds, eight a decade: neighbours differ by a third, which is as exact as a
percentile then is. One more bucket holds what is longer.
"""

Counts = list[int]


def empty_counts() -> Counts:
    """One zero for each bucket."""
    return [0] * (len(BOUNDS) + 1)


def added(several: Iterable[Sequence[int]]) -> Counts:
    """Add counts bucket by bucket."""
    return [sum(column) for column in zip(empty_counts(), *several, strict=True)]


def subtracted(counts: Sequence[int], earlier: Sequence[int]) -> Counts:
    """Take earlier counts off later ones; never below 0."""
    return [max(0, now - before) for now, before in zip(counts, earlier, strict=True)]


@dataclass(frozen=True)
class Summary:
    """
    What a histogram comes to, in seconds; ``None`` where nothing was counted.

    ``buckets``: upper bound (``None`` for infinity) and count of each bucket that is not empty; those that did not wait
    at all lie in one of their own with the bound 0.
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
    Say what was counted.

    Args:
        counts: one for each bucket.
        longest: the longest duration seen, so that no percentile exceeds it; 0 where that is not known.
        none_at_all: how many more took no time at all.
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
    """Find the duration that ``rank`` requests do not exceed, as if those of one bucket lay evenly in it."""
    if rank <= 0:
        return 0.0
    running = list(accumulate(counts))
    at = min(bisect_left(running, rank), len(counts) - 1)  # rounding may push a rank beyond the last
    before = running[at] - counts[at]
    return _lower(at) + (_upper(at) - _lower(at)) * (rank - before) / max(1, counts[at])


def _lower(at: int) -> Seconds:
    return BOUNDS[at - 1] if at else 0.0


def _upper(at: int) -> Seconds:
    return BOUNDS[min(at, len(BOUNDS) - 1)]


def _middle(at: int) -> Seconds:
    return (_lower(at) + _upper(at)) / 2
