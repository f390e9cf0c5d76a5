"""Limits become instants."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from pastepool.core.deadlines import deadline, next_check, transfer_deadline, waiting_since
from pastepool.core.policy import MINIMUM_RATE


def test_a_deadline_is_the_beginning_plus_the_timeout() -> None:
    """Absolute: nothing but its beginning and its length counts."""
    assert deadline(100.0, 15.0) == 115.0


def test_zero_switches_a_limit_off() -> None:
    """A limit of 0 never comes, however much has moved."""
    assert deadline(100.0, 0) == math.inf
    assert transfer_deadline(100.0, 0, 10**9, 100.0) == math.inf
    assert next_check(math.inf, 100.0, 0) == math.inf


def test_a_wait_is_as_old_as_its_last_progress() -> None:
    """It follows from the deadline; without a limit the beginning counts."""
    assert waiting_since(deadline(100.0, 15.0), 15.0, 50.0) == 100.0
    assert waiting_since(transfer_deadline(100.0, 60.0, 10**9, 150.0), 60.0, 100.0) == 150.0
    assert waiting_since(math.inf, 0.0, 50.0) == 50.0


def test_bytes_buy_time_at_the_minimum_rate() -> None:
    """A second more for every MINIMUM_RATE bytes, as long as they go on moving."""
    assert transfer_deadline(100.0, 60.0, 0, 100.0) == 160.0
    assert transfer_deadline(100.0, 60.0, 3 * MINIMUM_RATE, 150.0) == 163.0
    assert transfer_deadline(100.0, 60.0, 500, 150.0, rate=100) == 165.0


def test_bytes_buy_no_time_after_the_last_of_them() -> None:
    """A gigabyte less a byte that came in a second is worth no more than the timeout, once nothing comes any more."""
    assert transfer_deadline(100.0, 60.0, 2**30 - 1, 101.0) == 161.0


def test_a_slow_transfer_is_looked_at_four_times_within_its_timeout() -> None:
    """And at its deadline, if that comes first."""
    assert next_check(200.0, 100.0, 60.0) == 115.0
    assert next_check(101.0, 100.0, 60.0) == 101.0


def test_one_byte_a_second_does_not_hold_a_connection() -> None:
    """A client that dribbles is cut off about when one that sends nothing would be."""
    assert transfer_deadline(0.0, 60.0, 60, 60.0) < 60.1


@given(st.floats(0, 1e6), st.floats(0.1, 1e4), st.integers(0, 10**9), st.integers(1, 10**6))
def test_more_bytes_never_mean_less_time(began_at: float, timeout: float, moved: int, more: int) -> None:
    """A transfer's deadline only ever moves back."""
    first, second = began_at + moved % 7, began_at + moved % 7 + more % 5
    before = transfer_deadline(began_at, timeout, moved, first)
    assert before <= transfer_deadline(began_at, timeout, moved + more, second)
    assert before <= first + timeout
