"""Lines of workers: each writes its own, and none hangs because another one does."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from pastepool.runtime.log import pen as pen_module
from pastepool.runtime.log.pen import Pen
from tests.waiting import WATCHDOG


class Gate(logging.Handler):
    """A handler that hangs in the line ``hang`` until it is let go; ``writers``: who wrote what."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.let_go = threading.Event()
        self.writers: list[tuple[str, str]] = []

    @property
    def said(self) -> list[str]:
        return [line for _, line in self.writers]

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        if line == "hang":
            self.entered.set()
            assert self.let_go.wait(WATCHDOG)
        self.writers.append((threading.current_thread().name, line))


@pytest.fixture
def gate() -> Iterator[Gate]:
    """The handler of ``tests.pen``."""
    handler, log = Gate(), logging.getLogger("tests.pen")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield handler
    handler.let_go.set()
    log.removeHandler(handler)
    log.setLevel(logging.NOTSET)


@pytest.fixture
def pen() -> Pen:
    """One for ``tests.pen``."""
    return Pen(logging.getLogger("tests.pen"))


def hanging(pen: Pen, gate: Gate) -> threading.Thread:
    """A worker that hangs in its line."""
    worker = threading.Thread(target=pen.info, args=("hang",), name="the one that hangs")
    worker.start()
    assert gate.entered.wait(WATCHDOG)
    return worker


def test_worker_writes_its_own_line(pen: Pen, gate: Gate) -> None:
    """At once and on its own thread."""
    pen.info("%d lines", 1)
    assert gate.writers == [(threading.current_thread().name, "1 lines")]


def test_line_nobody_wants_is_not_made(pen: Pen, gate: Gate) -> None:
    """Below the logger's level nothing is left to anybody."""
    logging.getLogger("tests.pen").setLevel(logging.WARNING)
    pen.info("unwanted")
    assert gate.said == []


def test_handler_that_hangs_holds_one_worker(pen: Pen, gate: Gate) -> None:
    """The others leave their lines and go on; who hangs writes them, in order, when the handler goes on."""
    worker = hanging(pen, gate)
    for number in range(500):
        pen.info("line %d", number)
    assert gate.said == []
    gate.let_go.set()
    worker.join(WATCHDOG)
    pen.info("after")
    assert gate.said == ["hang", *(f"line {number}" for number in range(500)), "after"]


def test_worker_writes_for_others_no_more_than_its_share(pen: Pen, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has the pen puts it down between shares, so that another may take it."""
    monkeypatch.setattr(pen_module, "_MOST_AT_ONCE", 2)
    worker = hanging(pen, gate)
    for number in range(7):
        pen.info("line %d", number)
    gate.let_go.set()
    worker.join(WATCHDOG)
    assert gate.said == ["hang", *(f"line {number}" for number in range(7))]


def test_lines_beyond_the_limit_are_counted(
    pen: Pen, gate: Gate, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that hangs for ever costs a bounded number of lines in memory; how many were lost is said later."""
    monkeypatch.setattr(pen_module, "_LIMIT", 3)
    worker = hanging(pen, gate)
    for number in range(10):
        pen.info("line %d", number)
    gate.let_go.set()
    worker.join(WATCHDOG)
    assert gate.said == ["hang", "line 0", "line 1", "line 2"]
    assert "7 lines of tests.pen are lost: one of its handlers did not return for too long" in caplog.messages


def test_no_line_of_many_workers_is_left_behind(pen: Pen, gate: Gate) -> None:
    """Eight workers write 500 lines each: when the last has returned all are written, each once, each one's in order."""

    def write(each: int) -> None:
        for number in range(500):
            pen.info("%d %d", each, number)

    workers = [threading.Thread(target=write, args=(each,)) for each in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(WATCHDOG)
    assert len(gate.said) == 4000
    for each in range(8):
        assert [line for line in gate.said if line.startswith(f"{each} ")] == [
            f"{each} {number}" for number in range(500)
        ]
