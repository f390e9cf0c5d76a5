"""Ten thousand kills at random moments into workers under load, on whichever CPython runs this."""

from __future__ import annotations

import sys

import pytest

from tests.runtime.kill_stress import Stress, report

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

KILLS = 2500
ROUNDS = 4


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
