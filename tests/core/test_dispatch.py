"""When the baton is passed: the expectation and the looks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pastepool.core.dispatch import (
    KINDS_LIMIT,
    LONG,
    LOOK_AT_LEAST_EVERY,
    LOOK_EVERY,
    PASS_ABOVE,
    LongKinds,
    expected_wait,
    look_after,
)

durations = st.floats(min_value=0, max_value=1e6)


def after_calls(*calls: float, before: float = 0.0) -> float:
    """The expectation after these calls."""
    for duration in calls:
        before = expected_wait(before, duration)
    return before


def test_four_calls_of_half_a_millisecond_have_the_baton_passed() -> None:
    """An application that blocks for 0.5 ms is found out within four calls, and not by the first one."""
    assert after_calls(0.0005) < PASS_ABOVE
    assert after_calls(*[0.0005] * 4) > PASS_ABOVE


def test_short_calls_bring_the_baton_back() -> None:
    """After the longest calls there are, some forty short ones are enough for the leader to keep the baton again."""
    slow = after_calls(*[10.0] * 1000)
    assert after_calls(*[0.00002] * 10, before=slow) > PASS_ABOVE
    assert after_calls(*[0.00002] * 45, before=slow) < PASS_ABOVE


def test_one_slow_call_among_hundreds_does_not_count_for_more_than_a_look() -> None:
    """
    A call of 50 ms, or of an hour, moves the expectation no further than one that lasts until the caretaker steps in.
    """
    assert after_calls(3600.0) == after_calls(0.05) == after_calls(LOOK_EVERY)
    assert after_calls(0.05) < PASS_ABOVE


@given(st.floats(min_value=0, max_value=LOOK_EVERY), durations)
def test_expectation_stays_between_what_it_was_and_the_call(before: float, duration: float) -> None:
    """The new expectation lies between the old one and the call, and never above one look."""
    after = expected_wait(before, duration)
    counted = min(duration, LOOK_EVERY)
    assert min(before, counted) - 1e-12 <= after <= max(before, counted) + 1e-12


@given(st.lists(durations, max_size=50), st.lists(st.floats(min_value=0, max_value=1), min_size=50, max_size=50))
def test_longer_calls_never_make_for_a_smaller_expectation(calls: list[float], more: list[float]) -> None:
    """If each call lasts as long or longer, so does the expected wait."""
    longer = [duration + extra for duration, extra in zip(calls, more, strict=False)]
    assert after_calls(*longer) >= after_calls(*calls) - 1e-12


def test_kind_is_long_from_one_long_call_to_the_next_short_one() -> None:
    """A millisecond or longer is long; and what has become short is not expected to be long any more."""
    kinds = LongKinds()
    kinds.note(b"/report", LONG)
    kinds.note(b"/fast", LONG * 0.99)
    assert set(kinds.names) == {b"/report"}
    kinds.note(b"/report", 0.0)
    assert not kinds.names


@pytest.mark.parametrize("duration", [0.0, LONG])
def test_it_is_told_whether_a_kind_was_known_as_long(duration: float) -> None:
    """Its first call was a surprise, whatever the next one is."""
    kinds = LongKinds()
    assert not kinds.note(b"/report", duration)
    assert kinds.note(b"/report", LONG) is (duration >= LONG)
    assert kinds.note(b"/report", duration)


@given(st.lists(st.tuples(st.integers(0, 3 * KINDS_LIMIT), durations), max_size=1000))
def test_bounded_number_of_kinds_is_remembered(calls: list[tuple[int, float]]) -> None:
    """Whatever clients ask for; and the last long call is always among them."""
    kinds = LongKinds()
    for kind, duration in calls:
        kinds.note(kind, duration)
        assert (kind in kinds.names) is (duration >= LONG)
        assert len(kinds.names) <= KINDS_LIMIT


def test_all_kinds_are_forgotten_when_there_are_too_many() -> None:
    """The one that is one too many is the first of the next."""
    kinds = LongKinds()
    for kind in range(KINDS_LIMIT + 1):
        kinds.note(kind, 1.0)
    assert set(kinds.names) == {KINDS_LIMIT}


def test_looks_become_rare_only_where_none_finds_anything() -> None:
    """
    The caretaker looks every millisecond for a quarter of a second after it found somebody, then ever more rarely.
    """
    assert look_after(0) == look_after(249) == LOOK_EVERY
    pauses = [look_after(quiet) for quiet in range(400)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LOOK_AT_LEAST_EVERY


@pytest.mark.parametrize("quiet", [0, 1, 250, 10**4, 10**6])
def test_looks_never_stop(quiet: int) -> None:
    """However long nothing was found, a stuck leader is found within the longest pause."""
    assert LOOK_EVERY <= look_after(quiet) <= LOOK_AT_LEAST_EVERY
