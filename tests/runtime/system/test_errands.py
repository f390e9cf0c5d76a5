"""Errands: what a signal handler asks for runs on a thread of its own, and a failure ends nothing."""

from __future__ import annotations

import logging
import threading

import pytest

from pastepool.runtime.system.errands import Errands
from tests.waiting import WATCHDOG


def test_errands_run_in_order_on_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    """One that fails is logged; the next one runs; after ``end`` none does, and the thread has ended."""
    errands, said, done = Errands(), [], threading.Event()

    def fail() -> None:
        raise ValueError("of an errand")

    for what in (lambda: said.append(threading.current_thread().name), fail, done.set):
        errands.ask(what)
    thread = threading.Thread(target=errands.run, name="errands")
    thread.start()
    assert done.wait(WATCHDOG)
    errands.end()
    errands.ask(lambda: said.append("late"))
    thread.join(WATCHDOG)
    assert not thread.is_alive()
    assert said == ["errands"]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_errands_do_not_pile_up_behind_one_that_hangs() -> None:
    """A hundred signals while the log hangs ask for ten errands at most."""
    errands, said = Errands(), []
    for number in range(100):
        errands.ask(lambda number=number: said.append(number))  # type: ignore[misc]
    errands.ask(errands.end)
    errands._asked.append(errands.end)
    errands.run()
    assert said == list(range(10))
