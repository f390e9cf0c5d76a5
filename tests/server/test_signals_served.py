"""Every catchable signal, sent to a server while a request runs: what it does, as the reference page says."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

import pytest

from tests.server.commands import ROOT
from tests.server.programs import ENDS_SOON, Program
from tests.waiting import until

DRAIN = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
GO_ON = {
    signal.SIGQUIT: "^WARNING pastepool SIGQUIT: ",
    signal.SIGUSR1: "^INFO pastepool SIGUSR1: ",
    signal.SIGUSR2: "^INFO pastepool SIGUSR2 ",
}
IGNORED = {signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH, signal.SIGPIPE, signal.SIGXFSZ}
STOPPING = {signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
CATCHABLE = sorted(set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP})
TRIED = signal.SIGRTMAX
"""What the server takes while it tries whether a signal ends a system call, and keeps from CPython 3.15 on."""
LEFT_ALONE = sorted(set(CATCHABLE) - DRAIN - set(GO_ON) - IGNORED - STOPPING)


def name(number: int) -> str:
    """The name of a signal."""
    return signal.Signals(number).name


def state(pid: int) -> str:
    """The state of a process, as the kernel has it: T is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize("number", sorted(DRAIN), ids=name)
def test_signal_lets_the_request_finish_and_ends(number: int, tmp_path: Path) -> None:
    """The running request is answered, exit functions run (a command's pid file goes), the status is 0."""
    with Program(tmp_path, 'atexit.register(say, "goodbye")', shutdown_timeout=60) as program:
        with program.client() as client:
            client.ask("/held")
            program.await_call("/held")
            program.process.send_signal(number)
            program.await_line("stopping: ")
            program.open_gate()
            response = client.response()
            assert (response.status, response.closes) == (200, True)
        assert program.ends_within(ENDS_SOON) == 0
    assert program.said.endswith("goodbye\n")


@pytest.mark.parametrize("number", [*GO_ON, *sorted(IGNORED)], ids=name)
def test_server_goes_on(number: signal.Signals, tmp_path: Path) -> None:
    """Twice in a row: the running request is finished, the next one is answered, a stop is as ever."""
    with Program(tmp_path, shutdown_timeout=60) as program, program.client() as client:
        client.ask("/held")
        program.await_call("/held")
        for _ in range(2):
            program.process.send_signal(number)
            if number in GO_ON:
                program.await_line(GO_ON[number])
        program.open_gate()
        assert client.response().body == b"/held"
        assert client.get("/next").body == b"/next"
        assert program.end() == 0
    assert "please report" not in program.said


@pytest.mark.parametrize("number", sorted(STOPPING), ids=name)
def test_server_can_be_suspended(number: int, tmp_path: Path) -> None:
    """Ctrl+Z and its kin stop the process, SIGCONT continues it: the request is answered then."""
    with Program(tmp_path, shutdown_timeout=60) as program, program.client() as client:
        client.ask("/held")
        program.await_call("/held")
        # The kernel suspends no process of a session without a terminal, so some of these do nothing here.
        program.process.send_signal(number)
        program.process.send_signal(signal.SIGSTOP)
        until(lambda: state(program.pid) == "T", "the process is suspended")
        program.process.send_signal(signal.SIGCONT)
        program.open_gate()
        assert client.response().body == b"/held"
        assert program.end() == 0


@pytest.mark.parametrize("number", LEFT_ALONE, ids=name)
def test_signal_is_left_to_the_system(number: int, tmp_path: Path) -> None:
    """The process ends by it, as any Python program does; the port is free."""
    if number == TRIED and sys.version_info >= (3, 15):
        pytest.skip("the server needs this one here")
    before = "import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0))"
    with Program(tmp_path, before, shutdown_timeout=60) as program, program.client() as client:
        client.ask("/held")
        program.await_call("/held")

        def is_ended() -> bool:
            program.process.send_signal(number)
            return program.process.poll() is not None or number != TRIED

        until(is_ended, "the trial is over")
        assert program.ends_within(ENDS_SOON) == -number


def test_page_has_the_handled_signals() -> None:
    """The table of the reference page names exactly the signals that these tests hold a meaning for."""
    page = (ROOT / "docs" / "reference" / "signals.md").read_text(encoding="utf-8")
    rows = "".join(re.findall(r"^\| (SIG[^|]*)\|", page, re.MULTILINE))
    assert set(re.findall(r"SIG\w+", rows)) == {name(number) for number in (*DRAIN, *GO_ON)}


def test_quit_shows_what_every_thread_does(tmp_path: Path) -> None:
    """Each thread by name, for a worker its request and since when; no secret of the request."""
    with Program(tmp_path, threadpool_workers=2) as program, program.client() as client:
        client.ask("/held/here?token=hidden")
        program.await_call("/held/here")
        program.process.send_signal(signal.SIGQUIT)
        program.await_line(r"^WARNING pastepool SIGQUIT: \d+ threads$")
        program.await_line("^MainThread ")
        program.await_line(", in wait_at_gate$")
        program.open_gate()
        assert client.response().status == 200
        program.end()
    assert re.search(r"^pastepool worker \d \(native id \d+\), busy for \d+\.\d s: GET /held/here$", program.said, re.M)
    assert re.search(r"^pastepool worker \d \(native id \d+\), idle for \d+\.\d s$", program.said, re.M)
    assert "hidden" not in program.said


@pytest.mark.parametrize("kind", ["FileHandler", "handlers.WatchedFileHandler", "handlers.RotatingFileHandler"])
def test_usr1_opens_moved_log_files_again(kind: str, tmp_path: Path) -> None:
    """A moved file is written to no more; one that is in its place is not emptied, also if its mode would empty it."""
    before = f"""
        import logging.handlers
        handler = logging.{kind}("moved.log")
        logging.getLogger("moved").addHandler(handler)
        kept = logging.FileHandler("kept.log", mode="w")
        logging.getLogger("kept").addHandler(kept)
        late = logging.FileHandler("late.log", delay=True)
        logging.getLogger("kept").addHandler(logging.StreamHandler(open(os.devnull, "w")))

        def app(environ, start_response):
            logging.getLogger("moved").warning("to the moved file")
            logging.getLogger("kept").warning("to the kept file")
            start_response("200 OK", [])
            return [b""]
        """
    with Program(tmp_path, before) as program, program.client() as client:
        client.get("/")
        (tmp_path / "moved.log").rename(tmp_path / "moved.log.1")
        program.process.send_signal(signal.SIGUSR1)
        program.await_line(r"^INFO pastepool SIGUSR1: 1 log file opened again: .*/moved\.log$")
        assert (tmp_path / "moved.log").read_text() == ""
        program.process.send_signal(signal.SIGUSR1)
        program.await_line("^INFO pastepool SIGUSR1: no file of a log handler was moved, so none was opened again$")
        client.get("/")
        program.end()
    assert (tmp_path / "moved.log").read_text() == (tmp_path / "moved.log.1").read_text() == "to the moved file\n"
    assert (tmp_path / "kept.log").read_text() == "to the kept file\n" * 2


def test_usr1_says_what_cannot_be_opened(tmp_path: Path) -> None:
    """The folder is gone: the handler goes on with the old file, the log says why."""
    (tmp_path / "logs").mkdir()
    before = 'logging.getLogger("moved").addHandler(logging.FileHandler("logs/moved.log"))'
    with Program(tmp_path, before) as program, program.client() as client:
        client.get("/")
        (tmp_path / "logs").rename(tmp_path / "logs.old")
        program.process.send_signal(signal.SIGUSR1)
        program.await_line(r"^ERROR pastepool SIGUSR1: the log file .*/moved\.log cannot be opened: No such file")
        assert client.get("/").status == 200
        assert program.end() == 0


def test_hang_up_is_never_the_second_signal(tmp_path: Path) -> None:
    """Twice SIGHUP, SIGTERM with SIGHUP after it, SIGHUP with SIGTERM after it: the request is still finished."""
    with Program(tmp_path, shutdown_timeout=60) as program, program.client() as client:
        client.ask("/held")
        program.await_call("/held")
        program.process.send_signal(signal.SIGHUP)
        program.await_line("stopping: ")
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGHUP):
            program.process.send_signal(number)
            until(lambda: not pending(program.pid), "the signal was taken")
        program.open_gate()
        assert client.response().status == 200
        assert program.ends_within(ENDS_SOON) == 0


def test_ignored_hang_up_stays_ignored(tmp_path: Path) -> None:
    """Under nohup the server outlives its terminal."""
    with Program(tmp_path, "signal.signal(signal.SIGHUP, signal.SIG_IGN)") as program, program.client() as client:
        client.get("/")
        program.process.send_signal(signal.SIGHUP)
        assert client.get("/next").status == 200
        assert program.end() == 0
    assert program.said.count("stopping: ") == 1


def pending(pid: int) -> int:
    """The signals that wait for a process, as the kernel's mask."""
    found = re.search(r"^ShdPnd:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found and os.path.exists(f"/proc/{pid}")
    return int(found[1], 16)
