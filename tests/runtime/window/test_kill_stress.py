"""Kills at random moments into workers under load: the short run. The long one is in tests/slow."""

from __future__ import annotations

from tests.runtime.kill_stress import Stress

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
