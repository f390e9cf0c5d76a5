"""Durations are counted in buckets, and the percentiles told from them are close to the truth."""

from __future__ import annotations

import itertools
import random
from bisect import bisect

from pastepool.core.telling.histogram import BOUNDS, added, empty_counts, subtracted, summarize


def counted(durations: list[float]) -> list[int]:
    """What workers would have counted."""
    counts = empty_counts()
    for duration in durations:
        counts[bisect(BOUNDS, duration)] += 1
    return counts


def test_bounds_grow_by_a_third() -> None:
    """From 10 microseconds to 1000 seconds, eight a decade."""
    assert (BOUNDS[0], BOUNDS[-1], len(BOUNDS)) == (1e-5, 1000.0, 65)
    assert all(1.33 < after / before < 1.34 for before, after in itertools.pairwise(BOUNDS))


def test_percentiles_lie_within_a_third_of_the_truth() -> None:
    """Whatever the distribution, each figure is that close."""
    dice = random.Random(4)
    for shape in (lambda: dice.expovariate(100), lambda: dice.uniform(0.001, 2), lambda: dice.lognormvariate(-6, 2)):
        durations = sorted(shape() for _ in range(5000))
        summary = summarize(counted(durations), durations[-1])
        for share, told in ((0.5, summary.p50), (0.95, summary.p95), (0.99, summary.p99)):
            true = durations[int(share * len(durations)) - 1]
            assert told is not None and (true / 1.34 <= told <= true * 1.34 or told <= 1e-5)
        assert summary.maximum == durations[-1] and summary.count == 5000


def test_nothing_counted_is_nothing_told() -> None:
    """No percentile of no request."""
    assert summarize(empty_counts(), 0.0).p50 is None
    assert summarize(empty_counts(), 0.0).buckets == ()


def test_those_that_did_not_wait_count_as_zero() -> None:
    """Ninety-six that did not wait and four that did: the median is 0, the p99 is not."""
    summary = summarize(counted([0.5, 0.5, 0.6, 0.7]), 0.7, 96)
    assert (summary.count, summary.p50, summary.p95) == (100, 0.0, 0.0)
    assert summary.p99 is not None and 0.4 < summary.p99 <= 0.7
    assert summary.buckets[0] == (0.0, 96)


def test_only_zeros_have_figures_too() -> None:
    """When nobody ever waited all figures are 0."""
    summary = summarize(empty_counts(), 0.0, 10)
    assert (summary.count, summary.mean, summary.p50, summary.p99, summary.maximum) == (10, 0.0, 0.0, 0.0, 0.0)


def test_longer_than_everything_has_a_bucket() -> None:
    """A duration above the last bound is counted, with infinity for its bound."""
    summary = summarize(counted([5000.0]), 5000.0)
    assert summary.buckets == ((None, 1),) and summary.maximum == 5000.0


def test_reset_is_a_subtraction() -> None:
    """Earlier counts are taken off, and a reader that was late never sees less than nothing."""
    early, late = counted([0.1]), counted([0.1, 0.2])
    assert sum(subtracted(late, early)) == 1 and subtracted(early, late) == empty_counts()
    assert added([early, late]) == counted([0.1, 0.1, 0.2]) and added([]) == empty_counts()
