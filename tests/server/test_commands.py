"""Both configuration files of the repository under the real ``paster``, ``pserve`` and ``gearbox``."""

from __future__ import annotations

import getpass
import itertools
import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.server.commands import ADDRESS, SERVE, Command, alive, arguments, configuration, get, run
from tests.server.serving import Client
from tests.waiting import PROGRAM_WATCHDOG, until

STARTING = re.compile(r"Starting server in PID (\d+)")
RELOADING = re.compile(r"-- Restarting --|changed; reloading")


@pytest.mark.parametrize("name", ["development.ini", "production.ini"])
@pytest.mark.parametrize("command", SERVE)
def test_file_serves_under_every_command(command: str, name: str, tmp_path: Path) -> None:
    """The file serves on the port that ``http_port=`` names, says where, and SIGTERM ends it with status 0."""
    ini = configuration(name, tmp_path)
    with Command(arguments(command, ini, "http_port=0"), tmp_path) as running:
        port = running.port()
        status, body = get(port)
        assert (status, b"The server that does not hang" in body) == (200, True)
        assert running.end() == 0, running.said
    assert "Traceback" not in running.said


def test_file_serves_without_variables(tmp_path: Path) -> None:
    """Nothing has to be given: the file's own port is used."""
    ini = configuration("development.ini", tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ini.write_text(ini.read_text().replace("http_port = 8080", f"http_port = {port}"))
    with Command(arguments("paster", ini), tmp_path) as running:
        assert running.port() == port
        assert get(port, "/fast")[0] == 200


@pytest.mark.parametrize("command", SERVE)
def test_interrupt_ends_with_status_0(command: str, tmp_path: Path) -> None:
    """Ctrl-C drains and ends with status 0, as SIGTERM does."""
    ini = configuration("production.ini", tmp_path)
    with Command(arguments(command, ini, "http_port=0"), tmp_path) as running:
        assert get(running.port())[0] == 200
        assert running.end(signal.SIGINT) == 0, running.said


@pytest.mark.parametrize("command", SERVE)
def test_loggers_of_the_file_work(command: str, tmp_path: Path) -> None:
    """What the file's [loggers] section asks for appears: here, the access line of a request."""
    ini = configuration("production.ini", tmp_path)
    with Command(arguments(command, ini, "http_port=0"), tmp_path) as running:
        get(running.port(), "/fast?marked=yes")
        running.read_until(re.compile(r'127\.0\.0\.1 .*"GET /fast\?marked=yes HTTP/1\.1" 200 '))


def test_paster_monitor_starts_a_killed_server_again(tmp_path: Path) -> None:
    """Under --monitor a server that dies is started again; ending the monitor ends the server."""
    ini = configuration("production.ini", tmp_path)
    with Command(arguments("paster", ini, "--monitor-restart", "http_port=0"), tmp_path) as running:
        first = int(running.read_until(STARTING)[1])
        running.port()
        os.kill(first, signal.SIGKILL)
        second = int(running.read_until(STARTING)[1])
        assert second != first
        assert get(running.port())[0] == 200
        running.process.terminate()
        until(lambda: not alive(second), "the end of the server after the end of its monitor", PROGRAM_WATCHDOG)


@pytest.mark.parametrize("command", ["paster", "pserve"])
def test_reload_follows_the_file(command: str, tmp_path: Path) -> None:
    """Under --reload a changed configuration file starts the server anew, whatever connections a browser keeps."""
    ini = configuration("production.ini", tmp_path)
    began_at = ini.stat().st_mtime
    changes = itertools.count(1)
    with Command(arguments(command, ini, "--reload", "http_port=0"), tmp_path) as running, ExitStack() as stack:
        first = int(running.read_until(STARTING)[1])
        browser = stack.enter_context(Client(running.port()))
        assert not browser.get("/fast").closes
        # Changed again and again, because a change before the reloader's first look is none.
        running.read_until(RELOADING, lambda: os.utime(ini, (0, began_at + next(changes))))
        assert int(running.read_until(STARTING)[1]) != first
        assert get(running.port())[0] == 200
        assert "idle connection" not in running.said


def test_paster_user_option(tmp_path: Path) -> None:
    """``--user`` is honoured; here it names who runs the test, because changing it takes root."""
    ini = configuration("production.ini", tmp_path)
    with Command(arguments("paster", ini, f"--user={getpass.getuser()}", "http_port=0"), tmp_path) as running:
        running.read_until(re.compile("Changing user to " + re.escape(getpass.getuser())))
        assert get(running.port())[0] == 200
        assert running.end() == 0


class Daemon:
    """``paster serve --daemon`` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ini = configuration("production.ini", folder)
        self.pid_file = folder / "server.pid"
        self.log_file = folder / "server.log"

    def paster(self, *options: str) -> tuple[int, str]:
        """Run paster with the daemon's files; its exit status and what it said."""
        files = [f"--pid-file={self.pid_file.name}", f"--log-file={self.log_file.name}"]
        done = run(arguments("paster", self.ini, *options, *files, "http_port=0"), self.folder)
        return done.returncode, done.stdout

    def port(self, start: int = 1) -> int:
        """Wait until the log has the address of the ``start``-th start; the port in it."""
        ports: list[str] = []

        def look() -> bool:
            ports[:] = ADDRESS.findall(self.log_file.read_text()) if self.log_file.exists() else []
            return len(ports) >= start

        until(look, f"address {start} in the log", PROGRAM_WATCHDOG)
        return int(ports[start - 1])

    def pid(self) -> int:
        """The process in the pid file; 0 without one."""
        try:
            return int(self.pid_file.read_text() or 0)
        except FileNotFoundError:
            return 0


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon's files; what is left of it at the end is killed."""
    daemon = Daemon(tmp_path)
    yield daemon
    pid = daemon.pid()
    if pid and alive(pid):
        os.kill(pid, signal.SIGKILL)


def test_paster_daemon_starts_restarts_and_stops(daemon: Daemon) -> None:
    """--daemon serves in the background; status, restart and stop find it by its pid file, and stop leaves none."""
    assert daemon.paster("--daemon")[0] == 0
    assert get(daemon.port())[0] == 200
    until(
        lambda: '"GET / HTTP/1.1" 200' in daemon.log_file.read_text(), "the access line in --log-file", PROGRAM_WATCHDOG
    )
    first = daemon.pid()
    status, said = daemon.paster("--status")
    assert (status, str(first) in said) == (0, True)

    assert daemon.paster("restart")[0] == 0
    assert get(daemon.port(2))[0] == 200
    second = daemon.pid()
    assert second not in (0, first)
    assert not alive(first)

    assert daemon.paster("stop")[0] == 0
    assert not alive(second)
    assert not daemon.pid_file.exists()
    assert daemon.paster("status")[0] == 1


def test_paster_daemon_leaves_no_pid_file_after_sigterm(daemon: Daemon) -> None:
    """SIGTERM, which an init system sends, removes the pid file, and the log has no traceback."""
    assert daemon.paster("--daemon")[0] == 0
    daemon.port()
    pid = daemon.pid()
    os.kill(pid, signal.SIGTERM)
    until(lambda: not alive(pid), "the end of the daemon", PROGRAM_WATCHDOG)
    assert not daemon.pid_file.exists()
    assert "Traceback" not in daemon.log_file.read_text()


def test_paster_stop_lets_a_request_finish(daemon: Daemon) -> None:
    """``paster serve stop`` repeats its signal every second; a request that runs meanwhile is answered to its end."""
    assert daemon.paster("--daemon")[0] == 0
    with socket.create_connection(("127.0.0.1", daemon.port()), timeout=PROGRAM_WATCHDOG) as client:
        client.sendall(b"GET /streaming?lines=6&interval=0.5 HTTP/1.0\r\n\r\n")
        with client.makefile("rb") as answer:
            assert any(line == b"line 1 of 6\n" for line in answer)
            assert daemon.paster("stop")[0] == 0
            assert answer.read().endswith(b"line 6 of 6\n")
    assert not daemon.pid_file.exists()
