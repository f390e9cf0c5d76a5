"""Kills at random moments into workers under load: the short run. The long one is in tests/slow."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runtime.kill_shapes import SHAPES
from tests.runtime.kill_stress import Stress
from tests.runtime.shape_stress import ShapeStress
from tests.waiting import WATCHDOG

KILLS = 300


def test_kills_hit_whom_they_are_meant_for_and_nobody_else() -> None:
    """
    300 kills into four workers under load: no other task is hit, each runs once, no worker is lost or survives its kill,
    nothing of ours fails, no lock is left taken.
    """
    account = Stress(workers=4, seed=1).run(KILLS)
    assert account.faults == {}
    assert account.kills == KILLS
    assert account.landed > KILLS / 5
    assert account.tasks > 2 * KILLS


@pytest.mark.parametrize("shape", SHAPES)
def test_endless_loop_ends_and_leaves_nothing_taken(shape: str, tmp_path: Path) -> None:
    """Also where innocent requests use the same locks, and where the loop is in a ``finally`` or an ``__exit__``."""
    account = ShapeStress(tmp_path).run([shape] * 3)
    assert account.own_left == account.library_left == account.hit == []
    assert account.kills == 3
    assert account.slowest < WATCHDOG
