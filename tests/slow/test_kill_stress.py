"""Ten thousand kills at random moments into workers under load, on whichever CPython runs this."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from tests.runtime.kill_stress import Stress, report
from tests.runtime.shape_stress import ShapeStress, any_shape
from tests.runtime.shape_stress import report as report_of_shapes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

KILLS = 2500
ROUNDS = 4
MIXTURE = 10_000


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_ten_thousand_kills_hit_nobody_else(seed: int) -> None:
    """
    Four times 2,500: no other task is hit, each runs once, no worker is lost or survives its kill, nothing of ours
    fails, no lock is left taken.
    """
    account = Stress(workers=4, seed=seed).run(KILLS)
    sys.stdout.write(report(account) + "\n")  # seen with -s
    assert account.faults == {}
    assert account.kills == KILLS
    assert account.landed > KILLS / 5


@pytest.mark.timeout(1800)
def test_ten_thousand_kills_of_endless_loops_leave_nothing_taken(tmp_path: Path) -> None:
    """
    A mixture of the loops of ``kill_shapes``, with innocent requests that use the same locks: each kill ends its request
    within a second, no innocent request is hit, no lock is left taken.
    """
    choice = random.Random(1)
    account = ShapeStress(tmp_path).run(any_shape(choice) for _ in range(MIXTURE))
    sys.stdout.write(report_of_shapes(account) + "\n")  # seen with -s
    assert account.faults == {}
    assert account.kills == MIXTURE
    assert account.innocent > MIXTURE
