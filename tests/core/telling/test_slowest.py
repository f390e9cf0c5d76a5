"""The slowest requests: only what is worth noting is noted, and what is old goes."""

from __future__ import annotations

from pastepool.core.telling.slowest import KEPT, SLOW_FROM, SPAN, Finished, Slowest


def finished(duration: float, serial: int = 1) -> Finished:
    """A request that took so long."""
    return Finished("GET /", "GET", "/", "127.0.0.1", duration, 0.0, 200, "", 1, serial, 0.0)


def test_the_slowest_stay_and_the_bar_rises() -> None:
    """With enough noted, only a slower one is worth noting, and it pushes out the least slow."""
    slowest = Slowest(0.0)
    assert slowest.above == SLOW_FROM
    for number in range(KEPT):
        slowest.note(finished(1.0 + number))
    assert slowest.above == 1.0
    slowest.note(finished(50.0))
    assert slowest.above == 2.0
    assert [one.duration for one in slowest.slowest_first()] == [50.0, *(float(n) for n in range(KEPT, 1, -1))]


def test_the_bar_falls_with_each_generation() -> None:
    """After a span smaller ones are noted again; the last generation is still shown, the one before is not."""
    slowest = Slowest(0.0)
    for _ in range(KEPT):
        slowest.note(finished(9.0))
    slowest.turn(SPAN - 1)
    assert slowest.above == 9.0
    slowest.turn(SPAN)
    assert slowest.above == SLOW_FROM
    slowest.note(finished(0.5))
    assert [one.duration for one in slowest.slowest_first()] == [9.0] * KEPT
    slowest.turn(2 * SPAN)
    assert [one.duration for one in slowest.slowest_first()] == [0.5]
    slowest.turn(9 * SPAN)
    assert slowest.slowest_first() == []


def test_clear_forgets_all() -> None:
    """Both generations."""
    slowest = Slowest(0.0)
    slowest.note(finished(1.0))
    slowest.turn(SPAN)
    slowest.note(finished(2.0))
    slowest.clear(SPAN + 1)
    assert slowest.slowest_first() == [] and slowest.above == SLOW_FROM
