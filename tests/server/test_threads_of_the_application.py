"""Threads that the application starts in a request: the end of the process waits for them as in any Python program."""

from __future__ import annotations

import contextlib
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.programs import ENDS_SOON, Program

APPLICATION = """
import concurrent.futures

executor = concurrent.futures.ThreadPoolExecutor()


def work():
    say("work begins")
    {work}
    say("work is done")


def app(environ, start_response):
    {start}
    start_response("200 OK", [])
    return [str(threading.current_thread().daemon).encode()]
"""

STARTS = {
    "thread": "threading.Thread(target=work, name='of the application').start()",
    "thread of a thread": "threading.Thread(target=lambda: threading.Thread(target=work).start()).start()",
    "timer": "threading.Timer(0.01, work).start()",
    "executor": "executor.submit(work)",
    "no daemon": "threading.Thread(target=work, daemon=False).start()",
}


@contextlib.contextmanager
def told_to_stop(folder: Path, start: str, work: str, shutdown_timeout: float = 60) -> Iterator[Program]:
    """Run a program with a request that starts a thread, and tell it to stop while that thread works."""
    before = APPLICATION.format(start=start, work=work)
    program = Program(folder, before, shutdown_timeout=shutdown_timeout)
    with program:
        with program.client() as client:
            client.get("/")
        program.await_line("^work begins$")
        program.process.send_signal(signal.SIGTERM)
        yield program


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_thread_is_let_finish(start: str, tmp_path: Path) -> None:
    """After SIGTERM the process ends only when the thread has done its work, with status 0."""
    with told_to_stop(tmp_path, start, "wait_at_gate()") as program:
        program.await_line("^INFO pastepool stopping: waiting up to [56][0-9] s for 1 thread of the application: ")
        program.open_gate()
        assert program.ends_within(ENDS_SOON) == 0, program.said
    assert "work is done\n" in program.said


def test_daemon_is_cut(tmp_path: Path) -> None:
    """A thread that the application made a daemon is not waited for."""
    with told_to_stop(tmp_path, "threading.Thread(target=work, daemon=True).start()", "hang()") as program:
        assert program.ends_within(ENDS_SOON) == 0, program.said
    assert "waiting up to" not in program.said


def test_thread_has_shutdown_timeout(tmp_path: Path) -> None:
    """A thread that does not end costs that time: it is named with its stack, and the status is 1."""
    with told_to_stop(tmp_path, STARTS["thread"], "hang()", shutdown_timeout=0.5) as program:
        assert program.ends_within(2 * ENDS_SOON) == 1
    assert re.search(r"^ERROR pastepool of the application keeps the process from ending$", program.said, re.MULTILINE)


def test_hung_worker_is_still_not_waited_for(tmp_path: Path) -> None:
    """The threads of the server are daemons for the interpreter: a program that stops its server can end."""
    serve = """
        threading.Thread(target=server.serve, daemon=True).start()
        server.ready.wait()
        wait_at_gate()
        workers = [thread for thread in threading.enumerate() if "worker" in thread.name]
        say("daemons %s" % all(thread.daemon for thread in workers))
        server.stop()
        """
    with Program(tmp_path, serve=serve, shutdown_timeout=0.3) as program, program.client() as client:
        client.ask("/hang")
        program.await_call("/hang")
        program.open_gate()
        assert program.ends_within(ENDS_SOON) == 0, program.said
    assert "daemons True\n" in program.said
