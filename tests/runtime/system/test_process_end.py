"""What the supervisor does when the plan ends the process: when, and whatever fails in the telling."""

from __future__ import annotations

import logging

import pytest

from pastepool.core.telling.notices import ProcessDies
from tests.runtime.supervised import LOGGER, Supervised


def test_process_that_has_just_begun_to_serve_lives_for_a_second() -> None:
    """Two zombies after 0.3 s: told to end at 1 s, and not a moment before."""
    with Supervised(workers=2, hung_after=0.1, kill_after=0.2, dying_for=0.1, max_zombies=1, run=True) as pool:
        for _ in range(2):
            pool.call(blocked=True)
        pool.advance(0.2)
        pool.advance(0.1)
        pool.advance(0.6875)
        assert pool.ends == []
        pool.advance(0.0125)
        assert len(pool.ends) == 1


class Failing(logging.Handler):
    """A handler that fails at the line about the end."""

    def handle(self, record: logging.LogRecord) -> bool:
        if record.getMessage().startswith("end the process"):
            raise OSError("the disk is full")
        return True


@pytest.mark.parametrize("part", ["log", "mail"])
def test_process_is_told_to_end_whatever_fails_in_the_telling(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end is planned once; a log that fails keeps neither the mail nor the end, a mail that fails not the end."""
    with Supervised(workers=2, kill_after=100.0, dying_for=50.0, max_zombies=1) as pool:
        handler = Failing()
        if part == "log":
            logging.getLogger(LOGGER).addHandler(handler)
        else:
            monkeypatch.setattr(pool.supervisor._reporting, "_obituary", lambda action: 1 / 0)
        for _ in range(2):
            pool.call(blocked=True)
        pool.advance(100.0)
        pool.advance(50.0)
        logging.getLogger(LOGGER).removeHandler(handler)
        assert len(pool.ends) == 1
        assert any(isinstance(mail, ProcessDies) for mail in pool.mails) is (part == "log")
