"""When a process may end that ends by itself."""

from __future__ import annotations

import pytest

from pastepool.core.ending import SHORTEST_LIFE, end_at


@pytest.mark.parametrize(
    ("now", "since", "expected"),
    [(100.0, 100.0, 101.0), (100.3, 100.0, 101.0), (101.0, 100.0, 101.0), (500.0, 100.0, 500.0), (5.0, -1e9, 5.0)],
)
def test_a_process_ends_at_once_but_never_in_its_first_second(now: float, since: float, expected: float) -> None:
    """The later of the two instants: now, and a second after it began to live."""
    assert end_at(now, since) == expected


def test_two_starts_are_never_less_than_a_second_apart() -> None:
    """What a monitor without a pause makes of it: one start a second at most (contract P10)."""
    assert SHORTEST_LIFE >= 1.0
