"""When garbage is collected because of kills: never for more than a share of the time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pastepool.core.clearing import SHARE, collect_again_at


def test_collection_that_costs_nothing_delays_nothing() -> None:
    """After one that took no measurable time the next may begin at once."""
    assert collect_again_at(5.0, 0.0) == 5.0


@given(st.lists(st.floats(0.001, 10.0), min_size=1, max_size=30))
def test_collections_take_no_more_than_their_share(costs: list[float]) -> None:
    """However many are wanted, one after the other as soon as each may begin: they take a tenth of the time."""
    now = 0.0
    for cost in costs:
        now = collect_again_at(now + cost, cost)
    assert sum(costs) == pytest.approx(SHARE * now)
