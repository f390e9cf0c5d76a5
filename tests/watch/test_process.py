"""The facts about the process agree with each other."""

from __future__ import annotations

import time

import pytest

from pastepool.testing import FakeClock
from pastepool.watch import process
from pastepool.watch.process import Process
from pastepool.watch.wall import Wall


@pytest.mark.parametrize(
    ("resident", "peak", "shown"),
    [(3, 2, (3, 3)), (2, 3, (2, 3)), (None, 3, (None, 3)), (2, None, (2, None)), (None, None, (None, None))],
)
def test_peak_is_no_less_than_what_is_resident_now(
    resident: int | None, peak: int | None, shown: tuple[int | None, int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel's two figures come from counters that are not brought up to date together."""
    monkeypatch.setattr(process, "resident_size", lambda pid: resident)
    monkeypatch.setattr(process, "_peak", lambda: peak)
    clock = FakeClock()
    facts = Process(clock.now(), clock.now()).facts(Wall(clock))
    assert (facts["memory"], facts["memory_peak"]) == shown


def test_first_cpu_share_counts_from_the_first_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page may be opened long after the start: the CPU time and the instant before it are of one moment."""
    used = 100.0
    monkeypatch.setattr(time, "process_time", lambda: used)
    clock = FakeClock()
    began_at = clock.now()
    clock.advance(1000.0)
    made = Process(began_at, clock.now())
    assert made.facts(Wall(clock))["cpu_share"] is None
    used += 1.0
    clock.advance(2.0)
    assert made.facts(Wall(clock))["cpu_share"] == 0.5
    used += 0.1
    clock.advance(0.1)
    assert made.facts(Wall(clock))["cpu_share"] == 0.5
