"""The targets of pastepool, as a table. Each row has a ratio that is measured in one run, and its limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.report import BASE, Results, markdown
from benchmarks.servers import THREADS

GRANIAN = ("granian",)
THREADED = ("waitress", "cheroot", "gthread")
"""The threaded servers that pastepool should replace."""
IDEAL = THREADS / 0.010
"""Requests per second of ten threads if every call waits 10 ms and nothing else takes time."""


@dataclass(frozen=True)
class Target:
    """
    One target: ``metric`` of pastepool in ``scenario``, divided by a reference, is at most (or at least) ``bound``.

    The reference is the best of ``rivals`` in the same round, or ``ideal`` if there are no rivals.
    """

    sentence: str
    scenario: str
    metric: str
    bound: float
    at_most: bool = True
    rivals: tuple[str, ...] = ()
    ideal: float = 1.0


@dataclass(frozen=True)
class Verdict:
    """A target and the measured ratio; None if the run did not measure it."""

    target: Target
    ratio: float | None

    @property
    def word(self) -> str:
        """Return the result in words: reached, missed or not measured."""
        if self.ratio is None:
            return "not measured"
        kept = self.ratio <= self.target.bound if self.target.at_most else self.ratio >= self.target.bound
        return "reached" if kept else "missed"


TARGETS: tuple[Target, ...] = (
    Target("hello: CPU per request, to granian's", "hello", "cpu_us", 0.75, rivals=GRANIAN),
    Target("hello: CPU per request, to bjoern's", "hello", "cpu_us", 1.6, rivals=("bjoern",)),
    Target("hello: CPU per request, to the best threaded server's", "hello", "cpu_us", 0.1, rivals=THREADED),
    Target("browser headers: CPU per request, to granian's", "browser", "cpu_us", 0.7, rivals=GRANIAN),
    Target("browser headers: CPU per request, to the best threaded's", "browser", "cpu_us", 0.1, rivals=THREADED),
    Target("new connections: CPU per request, to granian's", "close", "cpu_us", 1.1, rivals=GRANIAN),
    Target("100 KB: CPU per request, to granian's", "large", "cpu_us", 0.65, rivals=GRANIAN),
    Target("100 chunks streamed: CPU per request, to granian's", "stream", "cpu_us", 0.8, rivals=GRANIAN),
    Target("64 KB upload: CPU per request, to granian's", "upload", "cpu_us", 0.9, rivals=GRANIAN),
    Target("0.5 ms blocking: requests/s, to granian's", "block-0.5ms", "rate", 0.95, at_most=False, rivals=GRANIAN),
    Target("0.5 ms blocking: CPU per request, to granian's", "block-0.5ms", "cpu_us", 1.0, rivals=GRANIAN),
    Target("10 ms blocking: requests/s, to threads / latency", "block-10ms", "rate", 0.98, at_most=False, ideal=IDEAL),
    Target("fast beside slow: requests/s, to granian's", "beside", "rate", 0.8, at_most=False, rivals=GRANIAN),
    Target("fast beside slow: requests/s, to waitress's", "beside", "rate", 10, at_most=False, rivals=("waitress",)),
    Target("10,000 idle connections: KiB of process memory each", "idle", "idle_kib", 3),
    Target("10,000 idle connections: CPU per request with, to without", "idle", "idle_cpu", 1.1),
)


def judge(results: Results, targets: Sequence[Target] = TARGETS) -> list[Verdict]:
    """Compare a run with the targets."""
    return [Verdict(target, _reached(results, target)) for target in targets]


def _reached(results: Results, target: Target) -> float | None:
    if target.rivals:
        best = min if target.at_most else max
        return results.ratio(BASE, target.rivals, target.scenario, target.metric, best)
    value = results.figure(BASE, target.scenario, target.metric)
    return None if value is None else value / target.ideal


def table(verdicts: Sequence[Verdict]) -> str:
    """Write a table with one row for each verdict."""
    rows = [
        [
            verdict.target.sentence,
            f"{'at most' if verdict.target.at_most else 'at least'} {verdict.target.bound:g}",
            "-" if verdict.ratio is None else f"{verdict.ratio:.3f}",
            verdict.word,
        ]
        for verdict in verdicts
    ]
    return markdown(["target", "bound", "measured", "verdict"], rows)
