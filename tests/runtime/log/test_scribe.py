"""Lines of threads that must not wait, whatever the log's handlers do."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator

import pytest

from pastepool.runtime.log import scribe
from pastepool.runtime.log.scribe import scribbled
from tests.waiting import WATCHDOG


class Stuck(logging.Handler):
    """A handler that keeps every line until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.let_go = threading.Event()
        self.said: list[str] = []
        self.all_said = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.entered.set()
        assert self.let_go.wait(WATCHDOG)
        self.said.append(record.getMessage())
        if record.getMessage() == "the last":
            self.all_said.set()


@pytest.fixture
def serving() -> Iterator[None]:
    """As while one server serves."""
    scribe.begin()
    yield
    scribe.end(WATCHDOG)
    assert "pastepool scribe" not in [thread.name for thread in threading.enumerate()]


@pytest.fixture
def stuck() -> Iterator[Stuck]:
    """The handler of ``tests.scribe``."""
    handler = Stuck()
    log = logging.getLogger("tests.scribe")
    log.addHandler(handler)
    yield handler
    handler.let_go.set()
    log.removeHandler(handler)


def test_line_is_written_by_its_caller_while_nobody_serves(caplog: pytest.LogCaptureFixture) -> None:
    """Before the start and after the end it is a logger like any other."""
    writers: list[str] = []

    class Noting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            writers.append(threading.current_thread().name)

    log, noting = logging.getLogger("tests.scribe"), Noting()
    log.addHandler(noting)
    scribbled("tests.scribe").warning("by %s", "hand")
    log.removeHandler(noting)
    assert caplog.messages == ["by hand"]
    assert writers == [threading.current_thread().name]


@pytest.mark.usefixtures("serving")
def test_line_is_written_when_the_call_returns(caplog: pytest.LogCaptureFixture) -> None:
    """Where no handler hangs the order of lines and deeds is what it always was."""
    log = scribbled("tests.scribe")
    for number in range(200):
        log.warning("line %d", number)
        assert caplog.messages[-1] == f"line {number}"


@pytest.mark.usefixtures("serving")
def test_record_says_who_spoke_and_where(caplog: pytest.LogCaptureFixture) -> None:
    """Thread, file, function and exception are those of the caller."""
    log = scribbled("tests.scribe")
    try:
        raise KeyError("gone")
    except KeyError as error:
        log.exception("first")
        log.error("second", exc_info=error)
    log.info("not wanted at this level")
    first, second = caplog.records
    for record in (first, second):
        assert record.threadName == threading.current_thread().name
        assert record.filename == os.path.basename(__file__)
        assert record.funcName == "test_record_says_who_spoke_and_where"
        assert record.exc_info is not None
        assert record.exc_info[0] is KeyError
        assert record.name == "tests.scribe"


@pytest.mark.usefixtures("serving")
def test_handler_that_hangs_hangs_nobody_else(stuck: Stuck) -> None:
    """The first line waits a moment, the others not at all; all are written, in order, once the handler goes on."""
    log = scribbled("tests.scribe")
    for number in range(1000):  # of which each would take a tenth of a second if it waited
        log.warning("line %d", number)
    assert stuck.entered.is_set()
    assert stuck.said == []
    log.warning("the last")
    stuck.let_go.set()
    assert stuck.all_said.wait(WATCHDOG)
    assert stuck.said == [*(f"line {number}" for number in range(1000)), "the last"]


def test_what_waits_is_written_before_the_end(stuck: Stuck) -> None:
    """The last server's end waits for the scribe, and the scribe for nobody."""
    scribe.begin()
    scribbled("tests.scribe").warning("one")
    scribbled("tests.scribe").warning("two")
    ending = threading.Thread(target=scribe.end, args=(WATCHDOG,))
    ending.start()
    stuck.let_go.set()
    ending.join(WATCHDOG)
    assert stuck.said == ["one", "two"]


def test_lines_beyond_the_limit_are_counted(
    stuck: Stuck, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler that hangs for ever costs a bounded number of lines in memory; how many were lost is said later."""
    monkeypatch.setattr(scribe, "_LIMIT", 3)
    scribe.begin()
    log = scribbled("tests.scribe")
    for number in range(10):
        log.warning("line %d", number)
    stuck.let_go.set()
    scribe.end(WATCHDOG)
    assert stuck.said == ["line 0", "line 1", "line 2", "line 3"]
    assert [message for message in caplog.messages if "lost" in message] == [
        "6 lines of the log are lost: one of its handlers did not return for too long"
    ]


@pytest.mark.usefixtures("serving")
def test_handler_that_raises_costs_its_line_only(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither the speaker nor the scribe is hit; the traceback goes where those of broken handlers go."""

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError("this handler is broken")

    log, broken = logging.getLogger("tests.scribe"), Broken()
    log.addHandler(broken)
    try:
        scribbled("tests.scribe").warning("one")
    finally:
        log.removeHandler(broken)
    assert "this handler is broken" in capsys.readouterr().err
    scribbled("tests.scribe").warning("two")


def test_two_servers_have_one_scribe(caplog: pytest.LogCaptureFixture) -> None:
    """It ends with the last of them."""
    scribe.begin()
    scribe.begin()
    assert [thread.name for thread in threading.enumerate()].count("pastepool scribe") == 1
    scribe.end(WATCHDOG)
    scribbled("tests.scribe").warning("still there")
    assert caplog.messages == ["still there"]
    scribe.end(WATCHDOG)


def test_scribe_that_was_left_behind_takes_nothing_from_the_next(stuck: Stuck) -> None:
    """A server that ended while its handler hung leaves its scribe; the next server has one of its own."""
    scribe.begin()
    scribbled("tests.scribe").warning("one")
    scribe.end(0.0)
    scribe.begin()
    scribbled("tests.other").warning("other")
    stuck.let_go.set()
    scribbled("tests.scribe").warning("two")
    scribe.end(WATCHDOG)
    assert stuck.said[-1] == "two"
