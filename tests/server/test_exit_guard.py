"""An exit of the interpreter that the server did not begin: it is told, and the status is never 0."""

from __future__ import annotations

import contextlib
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.server.post_office import PostOffice
from tests.server.programs import ENDS_SOON, Program
from tests.waiting import WATCHDOG

EXITING = """
import ctypes
from concurrent.futures import ThreadPoolExecutor

ordinary_app = app
executor = ThreadPoolExecutor(1)


def run_in_c(source):
    return ctypes.pythonapi.PyRun_SimpleString(source)  # it prints what is raised with PyErr_Print, as a C extension does


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/exit":
        say("called " + path)
        run_in_c(b"raise SystemExit(0)")
    if path == "/thread":
        threading.Thread(target=run_in_c, args=(b"raise SystemExit(0)",), name="thread of the application").start()
    if path == "/loop":
        say("called " + path)
        run_in_c(b"while True: pass")
    if path == "/alarm":
        server.ready.wait()
        os.kill(os.getpid(), signal.SIGALRM)
    if path == "/executor":
        executor.submit(hang)
    return ordinary_app(environ, start_response)
"""
KILLS: dict[str, Any] = {"threadpool_hung_thread_limit": 0.1, "threadpool_kill_thread_limit": 0.3}


def test_exit_that_c_code_begins_is_told_and_other_requests_are_finished(tmp_path: Path) -> None:
    """
    PyErr_Print ends the interpreter on a SystemExit: the log has the request and its stack, a mail goes out, a request
    that runs is answered, threads of an executor are not waited for, and the status is 70.
    """
    with PostOffice() as office:
        mail: dict[str, Any] = {"error_email": "ops@example.org", "smtp_server": f"127.0.0.1:{office.port}"}
        with Program(tmp_path, EXITING, shutdown_timeout=3.0, **mail) as program, contextlib.ExitStack() as stack:
            innocent, other, exiting = (stack.enter_context(program.client()) for _ in range(3))
            other.get("/executor")
            innocent.ask("/held")
            program.await_call("/held")
            exiting.ask("/exit")
            program.await_line("CRITICAL pastepool GET /exit ended the interpreter")
            program.await_line("stopping: ")
            program.open_gate()
            assert innocent.response().body == b"/held"
            assert program.ends_within(3.0 + 2 * ENDS_SOON) == 70, program.said
    assert "in run_in_c" in program.said
    assert program.said.count("CRITICAL") == 1
    [subject] = office.mails
    assert "the process exits with status 70: GET /exit ended the interpreter" in subject


def test_thread_of_the_application_that_exits_is_named(tmp_path: Path) -> None:
    """Not only a worker can end the interpreter."""
    with Program(tmp_path, EXITING, shutdown_timeout=1.0) as program, program.client() as client:
        client.ask("/thread")
        program.await_line("CRITICAL pastepool the thread thread of the application ended the interpreter")
        assert program.ends_within(2 * ENDS_SOON) == 70, program.said


def test_killed_call_in_c_ends_the_process_only_with_system_exit(tmp_path: Path) -> None:
    """
    The kill lands in Python that C has called, and C prints it. A SystemExit ends the process, with status 70 and a line
    in the log.
    """
    options = {**KILLS, "threadpool_kill_exception": "SystemExit", "shutdown_timeout": 3.0}
    with Program(tmp_path, EXITING, **options) as program, program.client() as client:
        client.ask("/loop")
        assert client.response().status == 504
        program.await_line("CRITICAL pastepool GET /loop ended the interpreter")
        assert program.ends_within(2 * ENDS_SOON) == 70, program.said


def test_killed_call_in_c_ends_no_process_with_worker_killed(tmp_path: Path) -> None:
    """C prints a WorkerKilled as it prints any exception, and the server goes on."""
    with Program(tmp_path, EXITING, **KILLS) as program:
        with program.client() as client:
            client.ask("/loop")
            assert client.response().status == 504
        program.await_line("WorkerKilled")
        with program.client() as client:
            assert client.get("/next").body == b"/next"
        program.process.send_signal(signal.SIGTERM)
        assert program.ends_within(2 * ENDS_SOON) == 0, program.said
    assert "CRITICAL" not in program.said


@pytest.mark.parametrize(
    ("call", "status"), [("sys.exit()", 70), ("sys.exit(0)", 70), ("sys.exit(5)", 5), ("sys.exit('x')", 70)]
)
def test_exit_by_a_signal_handler_of_the_application(call: str, status: int, tmp_path: Path) -> None:
    """It runs on the thread that serves. The status that it asks for stays, unless that is 0."""
    before = EXITING + f"signal.signal(signal.SIGALRM, lambda *_: {call})"
    with Program(tmp_path, before, shutdown_timeout=1.0) as program, program.client() as client:
        client.ask("/alarm")
        program.await_line("CRITICAL pastepool the thread MainThread ended the interpreter")
        assert program.ends_within(2 * ENDS_SOON) == status, program.said
    assert re.search(r"program.py\", line \d+, in <lambda>", program.said)


def test_process_that_exits_has_lived_for_a_second(tmp_path: Path) -> None:
    """A monitor without a limit must not start it more than once a second."""
    before = (
        EXITING
        + """
born = time.monotonic()
atexit.register(lambda: say("lived for %.6f s" % (time.monotonic() - born)))
"""
    )
    with Program(tmp_path, before, shutdown_timeout=1.0) as program, program.client() as client:
        client.ask("/exit")
        assert program.ends_within(2 * ENDS_SOON + WATCHDOG) == 70
    [lived] = re.findall(r"lived for (\S+) s", program.said)
    assert float(lived) >= 1.0
