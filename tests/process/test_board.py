"""What workers see of each other in shared memory."""

from __future__ import annotations

import math
import time

import pytest

from pastepool.core.generations.child import Child, ChildPhase
from pastepool.runtime.family import board as module
from pastepool.runtime.family.board import FRESH, Board


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which a test moves."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_room_of_another_worker_is_seen_while_it_beats(clock: list[float]) -> None:
    """Not one's own, not that of one that drains, and not that of one that may stand still."""
    board = Board()
    one, other = board.take(), board.take()
    one.beat(0, 0)
    one.note_room(3)
    assert not one.have_room()
    assert other.have_room()
    clock[0] += FRESH
    assert not other.have_room()
    one.beat(5, 1)
    assert other.have_room()
    assert one.figures == (clock[0], 5, 1)
    one.note_room(0)
    assert not other.have_room()


def test_last_worker_hears_that_nobody_goes_on(clock: list[float]) -> None:
    """However they are told to drain; one that stands still is nobody."""
    board = Board()
    rows = [board.take() for _ in range(3)]
    for row in rows:
        row.beat(0, 0)
    assert [row.go_on() for row in rows] == [True, True, False]
    stuck, drains = Board(), []
    drains = [stuck.take(), stuck.take()]
    drains[0].beat(0, 0)
    clock[0] += 2 * FRESH
    drains[1].beat(0, 0)
    assert not drains[1].go_on()


def test_row_of_a_worker_that_has_ended_is_used_again(clock: list[float]) -> None:
    """Without what the old one has shown."""
    board = Board()
    first, second = board.take(), board.take()
    first.beat(7, 0)
    first.note_room(2)
    first.clear()
    third = board.take()
    assert third.number == first.number
    assert third.figures == (0.0, 0, 0)
    assert not second.have_room()
    assert board.used() == 2
    assert time.monotonic() == clock[0]


def test_requests_of_workers_that_have_ended_stay_in_the_total(clock: list[float]) -> None:
    """Also when another worker has the row."""
    board = Board()
    first, second = board.take(), board.take()
    first.beat(7, 0)
    second.beat(5, 1)
    assert board.total == 12
    first.clear()
    board.take().beat(1, 0)
    assert board.total == 13


def test_last_beat_is_that_of_workers_that_serve(clock: list[float]) -> None:
    """Minus infinity if none does."""
    board = Board()
    rows = [board.take() for _ in range(3)]
    for row in rows:
        clock[0] += 1.0
        row.beat(0, 0)
    assert board.last_beat == -math.inf
    phases = (ChildPhase.READY, ChildPhase.READY, ChildPhase.RETIRING)
    for serial, (row, phase) in enumerate(zip(rows, phases, strict=True), 1):
        row.show(Child(serial, 1, 1, 0.0, phase), 100 + serial)
    assert board.last_beat == clock[0] - 1.0
