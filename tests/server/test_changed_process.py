"""What the application, or the program that started the process, does to it does not change what the server does."""

from __future__ import annotations

import gc
import logging
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from pastepool.runtime.http.connection import Connection
from pastepool.runtime.http.exchange import Exchange
from tests.server.commands import ROOT, Command, get
from tests.server.conftest import Serve
from tests.server.programs import ENDS_SOON, Program
from tests.server.serving import Client, Environ, body_echo
from tests.waiting import PROGRAM_WATCHDOG, until

NOT_ENGLISH = "de_DE.utf8"

CLOSED = ("bash", "-c", 'exec "$0" "$@" <&- >&- 2>&-', sys.executable)

WORKS = """
def change():
    {change}

def app(environ, start_response):
    if environ["PATH_INFO"] == "/change":
        change()
    while environ["PATH_INFO"] == "/spins":
        time.sleep(0.01)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode()]

from pastepool.embedding.applications import admin_application
page = admin_application(read({{"admin_listen": "127.0.0.1:0"}}, {{}}).admin)
if {loads}:
    change()

def Server(settings, application, make=Server):
    return make(settings, application, page)
"""

WRITES_PORT = """
port = server.bind()[0].endpoint.port
for admin in server.admin_listeners:
    with open("admin", "w") as file:
        file.write(str(admin.endpoint.port))
with open("port.new", "w") as file:
    file.write(str(port))
os.rename("port.new", "port")
server.serve()
"""

LOGS_TO_FILE = """
logging.getLogger().handlers.clear()
logging.basicConfig(level=logging.INFO, handlers=[logging.FileHandler("log", delay=True)])
"""


def port_of(folder: Path) -> int:
    """Wait until the program has written its port, and return it."""
    file = folder / "port"
    until(file.exists, "the program has written its port", PROGRAM_WATCHDOG)
    return int(file.read_text())


@pytest.fixture
def other_locale(tmp_path: Path) -> Path:
    """A folder with the locale of a language whose months are not called as in English."""
    if shutil.which("localedef") is None or not Path("/usr/share/i18n/locales/de_DE").exists():
        pytest.skip("this machine cannot make a locale")
    folder = tmp_path / "locales"
    folder.mkdir()
    made = subprocess.run(
        ["localedef", "-i", "de_DE", "-f", "UTF-8", str(folder / NOT_ENGLISH)], capture_output=True, check=False
    )
    assert (folder / NOT_ENGLISH).exists(), made.stderr
    return folder


def test_names_of_months_are_not_those_of_the_locale(tmp_path: Path, other_locale: Path) -> None:
    """Access log, Date field and the date of a mail have English names, whatever locale the application sets."""
    before = f"""
    import locale
    locale.setlocale(locale.LC_ALL, {NOT_ENGLISH!r})
    clock = time.time
    time.time = lambda: clock() % 86400 + 1701388800  # a day of December 2023; the German month is Dezember, Dez
    gmtime = time.gmtime
    time.gmtime = lambda *when: gmtime(when[0] if when else time.time())
    from pastepool.core.telling.notices import HungKilled, Origin, TaskReport
    from pastepool.runtime.mail.mailer import envelope
    from pastepool.settings import read
    mail = read({{"error_email": "a@example.com", "smtp_server": "localhost"}}, {{}}).mail
    say(time.strftime("locale %b", time.gmtime()))
    say("mail " + envelope(HungKilled((TaskReport(1, "GET /", 1.0),)), mail, Origin("h", 1))["Date"])
    """
    variables = {"LOCPATH": str(other_locale)}
    with Program(tmp_path, before, variables=variables, access_log="true") as program, program.client() as client:
        assert re.fullmatch(r"\w{3}, 0\d Dec 2023 [\d:]{8} GMT", client.get("/").fields["date"])
        program.await_line(r"\[0\d/Dec/2023:[\d:]{8} \+0000\]")
        assert re.search(r"^mail \w{3}, 0\d Dec 2023 ", program.said, re.MULTILINE), program.said
        assert "locale Dez" in program.said
        assert program.end() == 0


def test_closed_standard_descriptors_are_filled(tmp_path: Path) -> None:
    """No listener and no epoll gets their numbers: what a library writes to standard error goes to no client."""
    before = (
        LOGS_TO_FILE
        + """
def app(environ, start_response):
    if environ["PATH_INFO"] == "/child":
        import subprocess
        subprocess.run(["sh", "-c", "echo from a child; echo from a child >&2"], check=True)
    environ["wsgi.errors"].write("said to wsgi.errors\\n")
    environ["wsgi.errors"].flush()
    os.write(2, b"said to standard error")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [" ".join(os.readlink(f"/proc/self/fd/{number}") for number in range(3)).encode()]
"""
    )
    with Program(tmp_path, before, WRITES_PORT, interpreter=CLOSED) as program:
        with Client(port_of(tmp_path)) as client:
            for path in ("/", "/child"):
                assert client.get(path).body == b"/dev/null /dev/null /dev/null"
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(PROGRAM_WATCHDOG) == 0
    log = (tmp_path / "log").read_text()
    assert log.count("ERROR:pastepool.app:wsgi.errors: said to wsgi.errors\n") == 2
    assert "Traceback" not in log


def test_wrong_section_without_standard_error_ends_with_its_status(tmp_path: Path) -> None:
    """The hook that says the sentence has nowhere to say it but the log, and the exit status is that of a mistake."""
    (tmp_path / "site.ini").write_text(
        "[server:main]\nuse = egg:pastepool#http\nprot = 8080\n[app:main]\nuse = egg:pastepool#demo\n"
    )
    script = tmp_path / "serve.py"
    script.write_text(
        "import logging, sys\n"
        "logging.basicConfig(filename='log')\n"
        "import paste.deploy\n"
        "__name__ = 'pyramid.scripts.pserve'\n"  # as if that command ran
        "paste.deploy.loadserver('config:site.ini', relative_to='.')\n"
    )
    done = subprocess.run([*CLOSED, str(script)], cwd=tmp_path, timeout=PROGRAM_WATCHDOG, check=False)
    assert done.returncode == 1
    assert "CRITICAL:pastepool:[server:main] of" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("variables", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}], ids=str)
def test_start_lines_are_escaped_rather_than_lost(variables: dict[str, str], tmp_path: Path) -> None:
    """A file whose name has a letter that standard output does not have costs nothing but that letter."""
    before = """
    inner = read
    def read(options, given):
        return inner(options, {"__file__": "/srv/f\\u00fcr.ini"})
    """
    with Program(tmp_path, before, variables={"PYTHONCOERCECLOCALE": "0", **variables}) as program:
        program.await_line(r"^settings from /srv/f\\xfcr\.ini ")
        assert program.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1], ids=lambda number: number.name)
@pytest.mark.parametrize("when", ["before", "while it runs"])
def test_system_exit_of_a_handler_waits_for_the_drain(number: signal.Signals, when: str, tmp_path: Path) -> None:
    """The usual ``signal.signal(SIGTERM, lambda *_: sys.exit(7))``: the request is finished, then the status is 7."""
    install = f"signal.signal({int(number)}, lambda *_: sys.exit(7))"
    if when == "before":
        before = install
    else:  # only the main thread may install a handler, and it runs the handlers of other signals
        before = f"signal.signal(signal.SIGUSR2, lambda *_: ({install}, say('installed')))"
    with Program(tmp_path, before, shutdown_timeout=60) as program, program.client() as client:
        client.ask("/held")
        program.await_call("/held")
        if when != "before":
            program.process.send_signal(signal.SIGUSR2)
            program.await_line("^installed$")
        program.process.send_signal(number)
        program.await_line("stopping: 1 request runs")
        program.open_gate()
        assert client.response().status == 200
        assert program.ends_within(ENDS_SOON) == 7, program.said


def test_stop_by_a_handler_may_have_status_0(tmp_path: Path) -> None:
    """``sys.exit(0)`` in a handler of SIGTERM is a stop that was asked for: nothing critical is told."""
    with Program(tmp_path, "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))") as program:
        program.address()
        assert program.end() == 0
    assert "CRITICAL" not in program.said


def test_second_system_exit_ends_at_once(tmp_path: Path) -> None:
    """As a second signal does without a handler of the application."""
    before = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))"
    with Program(tmp_path, before, shutdown_timeout=60) as program, program.client() as client:
        client.ask("/held")
        program.await_call("/held")
        program.process.send_signal(signal.SIGTERM)
        program.await_line("stopping: ")
        program.process.send_signal(signal.SIGTERM)
        assert program.ends_within(ENDS_SOON) == 128 + signal.SIGTERM


def test_handler_that_does_not_exit_goes_on_serving(tmp_path: Path) -> None:
    """The application's handler has the signal for itself, as before."""
    before = "signal.signal(signal.SIGTERM, lambda *_: say('theirs'))"
    with Program(tmp_path, before) as program, program.client() as client:
        client.get("/")
        program.process.send_signal(signal.SIGTERM)
        program.await_line("^theirs$")
        assert client.get("/").status == 200
        assert program.end(signal.SIGINT) == 0


def test_working_directory_and_umask_change_nothing(tmp_path: Path) -> None:
    """A relative TMPDIR means a folder of the start; a temporary file is made and read under any umask."""
    (tmp_path / "spool").mkdir()
    (tmp_path / "elsewhere").mkdir()
    before = """
    def app(environ, start_response):
        os.chdir("elsewhere") if os.path.isdir("elsewhere") else None
        os.umask(0o777)
        content = environ["wsgi.input"]
        there = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if int(fd) > 2
                 and os.path.exists(f"/proc/self/fd/{fd}") or os.path.islink(f"/proc/self/fd/{fd}")]
        spooled = [name for name in there if "/spool/" in name]
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{len(content.read())} {len(spooled)}".encode()]
    """
    with Program(tmp_path, before, variables={"TMPDIR": "spool"}, body_memory="1k") as program:
        with program.client() as client:
            assert client.get("/", method="GET").status == 200
            assert client.get("/", method="POST", body=b"x" * 100_000).body == b"100000 1"
        assert program.end() == 0


def test_warnings_as_errors_do_not_keep_it_from_starting(tmp_path: Path) -> None:
    """``python -W error`` with the page on the application's port and on its own: WebOb imports a module that warns."""
    (tmp_path / "site.ini").write_text(
        "[server:main]\nuse = egg:pastepool#http\nport = 0\nadmin_listen = 127.0.0.1:0\n"
        "[app:main]\nuse = egg:pastepool#watch_threads\ntoken = 0123456789abcdef0123456789abcdef\n"
    )
    script = tmp_path / "serve.py"
    script.write_text(
        "import paste.deploy\n"
        "server = paste.deploy.loadserver('config:site.ini', relative_to='.')\n"
        "server(paste.deploy.loadapp('config:site.ini', relative_to='.'))\n"
    )
    words = [sys.executable, "-W", "error", str(script)]
    with Command(words, tmp_path, PYTHONPATH=str(ROOT), PYTHONWARNINGS="error") as running:
        assert get(running.port())[0] == 401
        assert get(running.port())[0] == 200
        assert running.end() == 0, running.said
    assert "Traceback" not in running.said


def test_nothing_of_a_request_needs_garbage_collection(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """The application may have switched it off: no cycle of references may keep a connection or a request."""

    def app(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/fails":
            raise ValueError("fails")
        return body_echo(environ, start_response)

    def left() -> int:
        return sum(isinstance(each, Connection | Exchange) for each in gc.get_objects())

    caplog.set_level(logging.CRITICAL + 1, "pastepool.app")  # caplog would keep the frames of what fails
    run = serve(app, body_memory="1k")
    gc.collect()
    gc.disable()
    try:
        before = left()
        for _ in range(20):
            run.get("/", version="1.0")
            run.get("/fails")
            run.get("/", "Connection: close", method="POST", body=b"x" * 5000)
            with run.client() as client:
                client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")  # and then it goes
            with run.client() as client:
                client.get("/")
                client.get("/")
            with run.client() as client:
                client.send(b"GET / HTTP/1.1\r\nno field\r\n\r\n")
                assert client.response().status == 400
        until(lambda: left() <= before + 5, "the requests are gone")  # a few are in use: of the last request, and idle
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "change",
    [
        "import gc; gc.disable()",
        "import warnings; warnings.simplefilter('error')",
        "sys.setrecursionlimit(80)",
        "import socket; socket.setdefaulttimeout(0.001)",
        "sys.stdout = sys.stderr = None",
        "sys.stdout.close(); sys.stderr.close()",
        "os.environ.clear()",
        "import tempfile; tempfile.tempdir = '/nowhere'",
        "sys.setswitchinterval(1.0)",
        "threading.excepthook = sys.excepthook = lambda *_: os._exit(99)",
        "threading.stack_size(262144)",
    ],
)
@pytest.mark.parametrize("when", ["while it is loaded", "in a request"])
def test_server_does_its_work_all_the_same(change: str, when: str, tmp_path: Path) -> None:
    """Requests are answered, a hung one is noticed, killed and replaced, the page shows it, a stop drains."""
    before = LOGS_TO_FILE + WORKS.format(change=change, loads=when == "while it is loaded")
    options: dict[str, Any] = {"threadpool_workers": 2, "admin_listen": "127.0.0.1:0", "access_log": "true"}
    # Where a thread may wait a second for the interpreter, the supervisor looks too rarely to see both limits pass.
    kill_after = "3" if "switchinterval" in change else "0.5"
    limits: dict[str, Any] = {"threadpool_hung_thread_limit": "0.2", "threadpool_kill_thread_limit": kill_after}
    with Program(tmp_path, before, WRITES_PORT, **options, **limits) as program:
        port = port_of(tmp_path)
        with Client(port) as client, Client(port) as hung:
            assert client.get("/change").body == b"/change"
            hung.ask("/spins")
            assert client.get("/next").body == b"/next"
            assert hung.response().status == 504
            status, page = get(int((tmp_path / "admin").read_text()))
            assert (status, b"GET /spins" in page) == (200, True)
            assert client.get("/again").body == b"/again"
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(PROGRAM_WATCHDOG) == 0, (tmp_path / "log").read_text()
    log = (tmp_path / "log").read_text()
    assert "please report" not in log
    for said in ("is hung: GET /spins", "kill worker", '"GET /again HTTP/1.1" 200', "stopping: "):
        assert said in log
