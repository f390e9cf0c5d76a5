"""Nobody has configured ``logging``, as with an INI file without ``[loggers]``: the server is heard all the same."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.server.commands import SERVE, Command, arguments, get
from tests.server.programs import ENDS_SOON, Program

STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"

UNCONFIGURED = """
logging.getLogger().handlers.clear()
logging.getLogger().setLevel(logging.WARNING)
"""

CONFIGURES_LATER = """
inner = app

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/configure":
        logging.basicConfig(level=logging.INFO, format="theirs %(name)s %(message)s")
    logging.getLogger("application").info("own line of " + path)
    return inner(environ, start_response)
"""

SECTIONS = """
[server:main]
use = egg:pastepool#http
port = 0
access_log = true
shutdown_timeout = 25
[app:main]
use = egg:pastepool#demo
"""


@pytest.mark.parametrize("command", SERVE)
def test_every_command_shows_access_and_stop(command: str, tmp_path: Path) -> None:
    """One access line, whole and once; a stop says that it stops. ``gearbox`` has a handler of its own for both."""
    ini = tmp_path / "plain.ini"
    ini.write_text(SECTIONS)
    with Command(arguments(command, ini), tmp_path) as running:
        get(running.port(), "/fast")
        running.read_until(re.compile(r'127\.0\.0\.1 - - \[.*\] "GET /fast HTTP/1\.1" 200 '))
        assert running.end(signal.SIGINT) == 0, running.said
    assert running.said.count('"GET /fast') == 1
    stop = r"^\d[\d:, -]+ INFO +\[pastepool\] stopping: .*; Ctrl\+C again ends at once$"
    assert len(re.findall(stop, running.said, re.MULTILINE)) == 1, running.said


def test_hung_request_and_drain_have_their_time_and_numbers(tmp_path: Path) -> None:
    """What runs, what waits, how long at most, and how to end at once."""
    options: dict[str, Any] = {"threadpool_workers": 1, "threadpool_max_workers": 1, "shutdown_timeout": 25}
    with Program(tmp_path, UNCONFIGURED, threadpool_hung_thread_limit="0.2", **options) as program:
        with program.client() as runs, program.client() as waits, program.client() as sends:
            assert [client.get("/first").status for client in (runs, waits, sends)] == [200, 200, 200]
            runs.ask("/held")
            program.await_line(f"^{STAMP} WARNING \\[paste.httpserver.ThreadPool\\] worker 1 is hung: ")
            waits.ask("/waits")
            sends.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12")
            program.process.send_signal(signal.SIGINT)
            program.await_line(
                f"^{STAMP} INFO    \\[pastepool\\] stopping: 1 request runs, 1 waits, 1 client sends or reads,"
                r" up to 25 s; Ctrl\+C again ends at once$"
            )
            sends.send(b"345")
            program.open_gate()
            assert [client.response().status for client in (runs, waits, sends)] == [200, 200, 200]
        assert program.ends_within(ENDS_SOON) == 0


def test_application_that_configures_later_gets_each_line_once(tmp_path: Path) -> None:
    """Its form and its level count from then on, and its own lines were never touched."""
    with Program(tmp_path, UNCONFIGURED + CONFIGURES_LATER, access_log="true") as program:
        with program.client() as client:
            for path in ("/before", "/configure", "/after"):
                client.get(path)
        assert program.end() == 0
    lines = program.said.splitlines()
    assert [line.startswith("127.0.0.1 - - ") for line in lines if '"GET /before' in line] == [True]
    assert [line.startswith("theirs pastepool.access 127") for line in lines if '"GET /after' in line] == [True]
    assert [line for line in lines if line.startswith("theirs pastepool stopping")] != []
    assert program.said.count("stopping: ") == 1
    assert [line for line in lines if "own line" in line] == [
        "theirs application own line of /configure",
        "theirs application own line of /after",
    ]


def test_words_of_a_stop_by_another_signal(tmp_path: Path) -> None:
    """SIGTERM says so; SIGHUP has no second signal that would end it."""
    for number, words in ((signal.SIGTERM, "; SIGTERM again ends at once"), (signal.SIGHUP, "")):
        folder = tmp_path / number.name
        folder.mkdir()
        with Program(folder, UNCONFIGURED) as program:
            program.address()
            assert program.end(number) == 0
        assert f"stopping: no request runs{words}\n" in program.said
