"""
How the real commands end when the server cannot start: one sentence, a status that is never 0, no pid file left.

The server module is a stand-in that opens the real listeners and nothing else: what is proved here is how an error
leaves ``paster serve``, ``pserve`` and ``gearbox serve``, not what the server does.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

import pastepool
from tests.waiting import PROGRAM_WATCHDOG

SCRIPTS = Path(sysconfig.get_path("scripts"))
ROOT = Path(pastepool.__file__).parent.parent

COMMANDS = {
    "paster": ("paster", "serve"),
    "pserve": ("pserve",),
    "gearbox": ("gearbox", "serve", "-c"),
}

STAND_IN = """
import atexit, sys, types
from pastepool.runtime.sockets.listener import open_all

class Server:
    def __init__(self, settings, app, admin=None, membership=None):
        self.settings = settings
    def serve(self):
        open_all(self.settings.listen, self.settings.listen_backlog)
        raise AssertionError("the port was meant to be taken")

module = types.ModuleType("pastepool.server")
module.Server = Server
sys.modules["pastepool.server"] = module

def make_app(global_conf, **local_conf):
    atexit.register(print, "atexit ran")
    return lambda environ, start_response: []
"""


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def configure(folder: Path, server_lines: str) -> Path:
    """Write the INI file and the stand-in beside it."""
    (folder / "stand_in.py").write_text(STAND_IN)
    path = folder / "app.ini"
    path.write_text(
        f"[app:main]\npaste.app_factory = stand_in:make_app\n"
        f"[server:main]\nuse = call:pastepool.entrypoints:http\n{server_lines}\n"
    )
    return path


def run(command: str, ini: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a serve command to its end."""
    program, *arguments = COMMANDS[command]
    return subprocess.run(
        [SCRIPTS / program, *arguments, ini.name, *options],
        cwd=ini.parent,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ini.parent))),
            "PYTHONWARNINGS": "ignore",
            **variables,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=2 * PROGRAM_WATCHDOG,
        check=False,
    )


def sentence_lines(stderr: str) -> list[str]:
    """What the command wrote to standard error, without what it says on any start."""
    return [line for line in stderr.splitlines() if line and "Starting server in PID" not in line]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_bad_section_ends_every_command_with_one_sentence_and_status_1(command: str, tmp_path: Path) -> None:
    """Issue 2: the sentence on stderr, status 1, no traceback, and the application is not even loaded."""
    ended = run(command, configure(tmp_path, "port = http"))
    assert ended.returncode == 1
    assert sentence_lines(ended.stderr) == [
        (
            f"[server:main] of {tmp_path}/app.ini, line 5: port = 'http' is not a whole number from 0 to 65535; write it"
            " like port = 8080."
        )
    ]
    assert "atexit ran" not in ended.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_a_taken_port_ends_every_command_with_one_sentence_and_status_3(
    command: str, tmp_path: Path, taken_port: int
) -> None:
    """The status gets past the handlers that turn SystemExit into 0, and atexit functions run on the way out."""
    ended = run(command, configure(tmp_path, f"port = {taken_port}"))
    assert ended.returncode == 3
    (sentence,) = sentence_lines(ended.stderr)
    assert sentence.startswith(f"cannot listen on 127.0.0.1:{taken_port}: the port is taken by process {os.getpid()} (")
    assert sentence.endswith("stop what listens there, or set another port.")
    assert "atexit ran" in ended.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_a_traceback_is_shown_when_asked_for(command: str, tmp_path: Path, taken_port: int) -> None:
    """``PASTEPOOL_TRACEBACK=1`` shows where the error came from; the status stays."""
    ended = run(command, configure(tmp_path, f"port = {taken_port}"), PASTEPOOL_TRACEBACK="1")
    assert ended.returncode == 3
    assert "Traceback (most recent call last):" in ended.stderr
    assert "StartError: cannot listen on" in ended.stderr.splitlines()[-1]


def test_the_pid_file_is_removed_on_the_way_out(tmp_path: Path, taken_port: int) -> None:
    """Paster removes its pid file in an atexit function, so a failed start leaves none behind."""
    ended = run("paster", configure(tmp_path, f"port = {taken_port}"), "--pid-file=app.pid")
    assert ended.returncode == 3
    assert not (tmp_path / "app.pid").exists()


def test_the_sentence_reaches_the_log_file(tmp_path: Path, taken_port: int) -> None:
    """``--log-file`` replaces stderr by an object of paster's; the sentence goes there."""
    ended = run("paster", configure(tmp_path, f"port = {taken_port}"), "--log-file=app.log")
    assert ended.returncode == 3
    assert "the port is taken by process" in (tmp_path / "app.log").read_text()


def test_the_reloader_is_not_told_to_start_again(tmp_path: Path, taken_port: int) -> None:
    """Paster's reloader takes 3 for "start me again" and would spin on a taken port, so it gets 1 and ends at once."""
    ended = run("paster", configure(tmp_path, f"port = {taken_port}"), "--reload")
    assert ended.stderr.count("the port is taken by process") == 1
