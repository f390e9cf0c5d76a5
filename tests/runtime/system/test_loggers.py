"""Where the lines of the server go: to the handlers that were configured, or else to standard error with the time."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import sys
from collections.abc import Iterator

import pytest

from pastepool.runtime.system.loggers import is_wanted, own_logger

ROOT = logging.getLogger()
STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


class Kept(logging.Handler):
    """A handler that keeps the texts of its lines."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@contextlib.contextmanager
def unconfigured() -> Iterator[None]:
    """Make the loggers as they are in a new process, and put back what a test changes. pytest's own handlers go too."""
    ours = logging.getLogger("pastepool")
    before = ROOT.handlers[:], ROOT.level, ours.level
    ROOT.handlers[:] = []
    ROOT.setLevel(logging.WARNING)
    yield
    ROOT.handlers[:] = before[0]
    ROOT.setLevel(before[1])
    ours.setLevel(before[2])
    ours.handlers.clear()
    ours.filters.clear()
    ours.propagate = True


@unconfigured()
def test_line_that_nobody_configured_has_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    """From INFO on, with level and logger; a traceback follows."""
    log = own_logger("pastepool.pool")
    log.debug("small")
    log.info("%d things", 2)
    try:
        raise ValueError("bad")
    except ValueError:
        log.exception("failed")
    first, second, *traceback = capsys.readouterr().err.splitlines()
    assert re.fullmatch(STAMP + r" INFO    \[pastepool\.pool\] 2 things", first)
    assert re.fullmatch(STAMP + r" ERROR   \[pastepool\.pool\] failed", second)
    assert traceback[-1] == "ValueError: bad"


@unconfigured()
def test_access_line_stays_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """It has its time in it, and programs read it from its first character."""
    own_logger("pastepool.access").info("127.0.0.1 - -")
    assert capsys.readouterr().err == "127.0.0.1 - -\n"


@unconfigured()
def test_handler_that_comes_later_gets_each_line_once(capsys: pytest.CaptureFixture[str]) -> None:
    """From then on the level of the configuration counts too, and nothing goes to standard error."""
    log = own_logger("pastepool")
    log.info("before")
    handler = Kept()
    ROOT.addHandler(handler)
    log.info("below the level")
    log.warning("after")
    assert handler.said == ["after"]
    assert capsys.readouterr().err.count("\n") == 1


@unconfigured()
def test_configuring_without_arguments_counts_as_none() -> None:
    """The line goes to the handler's stream, once, in our form; ``pserve`` configures so."""
    stream = io.StringIO()
    logging.basicConfig(stream=stream)
    own_logger("pastepool").info("here")
    logging.getLogger("elsewhere").info("not wanted")
    logging.getLogger("elsewhere").warning("its own form")
    ours, theirs = stream.getvalue().splitlines()
    assert re.fullmatch(STAMP + r" INFO    \[pastepool\] here", ours)
    assert theirs == "WARNING:elsewhere:its own form"


@pytest.mark.parametrize("options", [{"level": logging.INFO}, {"format": "%(message)s"}, {"datefmt": "%H"}], ids=str)
@unconfigured()
def test_configuring_with_arguments_is_left_alone(options: dict[str, object]) -> None:
    """Whatever was asked for, lines have the form and the level that were asked for."""
    stream = io.StringIO()
    logging.basicConfig(stream=stream, **options)  # type: ignore[call-overload]
    own_logger("pastepool").warning("here")
    form = logging.Formatter(options.get("format", logging.BASIC_FORMAT))  # type: ignore[arg-type]
    record = logging.LogRecord("pastepool", logging.WARNING, "", 0, "here", (), None)
    assert stream.getvalue() == form.format(record) + "\n"
    assert is_wanted(logging.getLogger("pastepool"), logging.INFO) == ("level" in options)


@unconfigured()
def test_ways_to_silence_it(capsys: pytest.CaptureFixture[str]) -> None:
    """A NullHandler, a level, no propagation and ``logging.disable`` each count as a configuration."""
    ours = logging.getLogger("pastepool")
    log = own_logger("pastepool")
    ours.addHandler(logging.NullHandler())
    log.error("null handler")
    ours.handlers.clear()
    ours.setLevel(logging.ERROR)
    log.warning("level")
    ours.setLevel(logging.NOTSET)
    ours.propagate = False
    log.info("no propagation")
    ours.propagate = True
    ROOT.setLevel(logging.ERROR)
    log.info("level of the root")
    ROOT.setLevel(logging.WARNING)
    logging.disable(logging.CRITICAL)
    try:
        log.critical("disabled")
    finally:
        logging.disable(logging.NOTSET)
    assert capsys.readouterr().err == ""
    log.info("heard again")
    assert "heard again" in capsys.readouterr().err


@unconfigured()
def test_filter_of_the_application_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    """It may hide a secret, so it counts wherever the line goes."""
    logging.getLogger("pastepool").addFilter(lambda record: "secret" not in record.getMessage())
    log = own_logger("pastepool")
    log.info("secret")
    log.info("open")
    said = capsys.readouterr().err
    assert "secret" not in said and "open" in said


@unconfigured()
def test_character_that_the_stream_has_not_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """No line is lost because of it."""
    kept = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(kept, "ascii", errors="strict"))
    own_logger("pastepool").info("f\u00fcr")
    assert kept.getvalue().endswith(b"f\\xfcr\n")


@pytest.mark.parametrize("stream", [None, "closed"])
@unconfigured()
def test_no_standard_error_is_no_failure(stream: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon may have closed it."""
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed if stream else None)
    own_logger("pastepool").error("lost")
