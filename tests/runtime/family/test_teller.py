"""The lines of the parent, and what the desk gets of them."""

from __future__ import annotations

import pytest

from pastepool.runtime.family.birth import MAIL, NOTE
from pastepool.runtime.family.teller import Teller


def test_desk_is_told_in_order_what_it_was_not_told_yet(capfd: pytest.CaptureFixture[str]) -> None:
    """What it does not take waits. An error is for a mail."""
    tell, taken = Teller(), []
    tell.info("one")
    tell.error("two")
    tell.warning("three")

    def takes_two(word: str, text: str) -> bool:
        if len(taken) == 2:
            return False
        taken.append((word, text))
        return True

    tell.hand_over(takes_two)
    assert taken == [(NOTE, "one"), (MAIL, "two")]
    tell.hand_over(lambda word, text: not taken.append((word, text)))  # type: ignore[func-returns-value]
    assert taken[2:] == [(NOTE, "three")]
    levels = [line.split()[2] for line in capfd.readouterr().err.splitlines()]
    assert levels == ["INFO", "ERROR", "WARNING"]


def test_newest_lines_wait_for_a_desk(capfd: pytest.CaptureFixture[str]) -> None:
    """As many as fit."""
    tell = Teller()
    for number in range(60):
        tell.info(str(number))
    told: list[str] = []
    tell.hand_over(lambda word, text: not told.append(text))  # type: ignore[func-returns-value]
    assert told == [str(number) for number in range(10, 60)]
    assert len(capfd.readouterr().err.splitlines()) == 60
