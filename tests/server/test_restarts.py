"""Started again: after zombies, by paster's monitor and by a loop like systemd's, and never more than once a second."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.server.commands import ROOT, Command, arguments
from tests.server.lives import Lives
from tests.server.serving import Client
from tests.server.zombies import MONITORED, ask_for_zombies
from tests.waiting import PROGRAM_WATCHDOG, until

SLOWEST_PACE = 1.0
"""Seconds from one start to the next, at least."""


@pytest.fixture
def ini(tmp_path: Path) -> Path:
    """The demonstration, which dies of two zombies."""
    path = tmp_path / "monitored.ini"
    path.write_text(MONITORED)
    return path


def test_paster_monitor_starts_the_server_again_after_its_zombies(ini: Path) -> None:
    """Under the real ``paster serve --monitor`` the process dies of zombies, is started again, and serves again."""
    with Command(arguments("paster", ini, "--monitor"), ini.parent) as monitor, contextlib.ExitStack() as stack:
        lives = Lives(monitor.process.pid)
        port = monitor.port()
        lives.look()
        ask_for_zombies(port, stack)
        monitor.read_until(re.compile("CRITICAL end the process: 2 zombies"))
        monitor.read_until(re.compile("Restarting"))
        port = monitor.port()
        lives.look()
        with Client(port) as client:
            assert client.get("/fast").status == 200
        assert len(lives.starts) == 2
        assert min(lives.pauses()) >= SLOWEST_PACE


def test_supervisor_loop_starts_the_server_again_after_its_zombies(ini: Path) -> None:
    """
    A loop with systemd's ``Restart=on-failure`` and ``RestartSec=0`` around the real ``paster serve``.

    The first server dies of zombies as soon as it serves; the loop does not turn faster than once a second; the second one
    serves, is stopped by SIGTERM, and stays down.
    """
    starts: list[float] = []
    statuses: list[int] = []
    while not statuses or statuses[-1] not in (0, 130, 143):
        starts.append(time.monotonic())
        with Command(arguments("paster", ini), ini.parent) as server, contextlib.ExitStack() as stack:
            port = server.port()
            with Client(port) as client:
                assert client.get("/fast").status == 200
            if len(starts) == 1:
                ask_for_zombies(port, stack)
            else:
                server.process.send_signal(signal.SIGTERM)
            statuses.append(server.wait())
    assert statuses == [3, 0]
    assert starts[1] - starts[0] >= SLOWEST_PACE


FAILING_START = """\
[app:main]
{app}

[server:main]
use = egg:pastepool#http
port = {port}
{option}
"""

DEMO = "use = egg:pastepool#demo"
BROKEN = """\
def make(*conf, **local):
    raise ValueError('no database yet')


def forget(*conf, **local):
    make
"""

FAILURES = {
    # name: (what the log says, the application, an option of the server)
    "port that is taken": (r"cannot listen on 127\.0\.0\.1:\d+", DEMO, ""),
    "option that is wrong": (r"threadpool_workers = 'many' is not", DEMO, "threadpool_workers = many"),
    "application that cannot be loaded": (r"ValueError: no database yet", "paste.app_factory = broken:make", ""),
}


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Lives, str]]:
    """Three starts of each under paster's monitor, all at the same time: when they began, and what they said."""
    folder = tmp_path_factory.mktemp("failing")
    (folder / "broken.py").write_text(BROKEN)
    with socket.create_server(("127.0.0.1", 0)) as taken, contextlib.ExitStack() as stack:
        monitors = {}
        for number, (name, (_, app, option)) in enumerate(FAILURES.items()):
            ini = folder / f"{number}.ini"
            ini.write_text(FAILING_START.format(app=app, port=taken.getsockname()[1], option=option))
            command = Command(arguments("paster", ini, "--monitor"), folder, PYTHONPATH=str(folder))
            monitors[name] = stack.enter_context(command)
        lives = {name: Lives(monitor.process.pid) for name, monitor in monitors.items()}

        def look() -> bool:
            for each in lives.values():
                each.look()
            return all(len(each.starts) >= 3 for each in lives.values())

        until(look, "three starts of each", PROGRAM_WATCHDOG)
        for name, monitor in monitors.items():
            monitor.read_until(re.compile(FAILURES[name][0]))
        return {name: (lives[name], monitor.said) for name, monitor in monitors.items()}


@pytest.mark.parametrize("failure", FAILURES)
def test_failing_start_under_paster_monitor_is_no_loop(failure: str, failing: dict[str, tuple[Lives, str]]) -> None:
    """The monitor starts again whatever happened, at once; so a start that fails takes a second."""
    lives, said = failing[failure]
    assert "Restarting" in said
    assert min(lives.pauses()) >= SLOWEST_PACE


@pytest.mark.parametrize(("command", "status"), [("paster", 1), ("pserve", 1), ("gearbox", 4)])
def test_status_of_an_application_that_cannot_be_loaded(command: str, status: int, tmp_path: Path) -> None:
    """It is the command's, and the manual has it: gearbox has one of its own."""
    ini = tmp_path / "failing.ini"
    (tmp_path / "broken.py").write_text(BROKEN)
    ini.write_text(FAILING_START.format(app="paste.app_factory = broken:make", port=0, option=""))
    with Command(arguments(command, ini), tmp_path, PYTHONPATH=str(tmp_path)) as running:
        assert running.wait() == status, running.said
    assert "ValueError: no database yet" in running.said
    rows = (ROOT / "docs" / "reference" / "exit-statuses.md").read_text(encoding="utf-8").splitlines()
    assert any(row.startswith(f"| {status} |") and "the application cannot be loaded" in row for row in rows)


@pytest.mark.parametrize("command", ["paster", "pserve", "gearbox"])
def test_factory_that_forgets_to_return_is_named(command: str, tmp_path: Path) -> None:
    """One sentence and no traceback, under every command; the status is that of a mistake in the configuration."""
    ini = tmp_path / "failing.ini"
    (tmp_path / "broken.py").write_text(BROKEN)
    ini.write_text(FAILING_START.format(app="paste.app_factory = broken:forget", port=0, option=""))
    with Command(arguments(command, ini), tmp_path, PYTHONPATH=str(tmp_path)) as running:
        assert running.wait() == 1, running.said
    assert "(paste.app_factory = broken:forget) returned None" in running.said.splitlines()[-1]
    assert "Traceback" not in running.said


def test_failing_start_without_a_monitor_does_not_wait(tmp_path: Path) -> None:
    """At a terminal the answer and the prompt come at once: nothing is left to be done at the exit."""
    ini = tmp_path / "failing.ini"
    ini.write_text(FAILING_START.format(app=DEMO, port=0, option="threadpool_workers = many"))
    script = tmp_path / "sitecustomize.py"
    script.write_text("import time\ntime.sleep = lambda seconds: print('slept', flush=True)\n")
    said = {}
    for variable in ({}, {"PASTE_MONITOR_SHOULD_RUN": "true"}):
        with Command(arguments("paster", ini), tmp_path, PYTHONPATH=str(tmp_path), **variable) as command:
            assert command.wait() == 1
            said[bool(variable)] = command.said
    assert ("slept" in said[False], "slept" in said[True]) == (False, True)
