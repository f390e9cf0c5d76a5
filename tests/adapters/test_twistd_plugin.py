"""``twistd pastepool --config FILE``: an INI file served by real twistd, in the foreground and as a daemon."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("twisted", reason="Twisted is not installed")

from tests.adapters.clients import Asking, ask
from tests.adapters.programs import running
from tests.meta.repository import ROOT
from tests.server.fronts import accepts, free_port
from tests.waiting import PROGRAM_WATCHDOG, Stopwatch, until

TWISTD = ("-c", "from twisted.scripts.twistd import run; run()")
SHOP = """
import os, time

def make(given, **local):
    def application(environ, start_response):
        path = environ["PATH_INFO"]
        if path == "/held":
            open({gate!r} + ".waits", "w").close()
            while not os.path.exists({gate!r}):
                time.sleep(0.01)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [path.encode()]
    return application
"""


def shop(folder: Path, **server: object) -> tuple[Path, int]:
    """Write an application, and an INI file that serves it at a free port. Returns the file and the port."""
    port = free_port()
    (folder / "shop.py").write_text(SHOP.format(gate=str(folder / "gate")))
    options = {"port": "%(http_port)s", "idle_grace": 0, **server}
    lines = "\n".join(f"{key} = {value}" for key, value in options.items())
    ini = folder / "shop.ini"
    ini.write_text(f"[app:main]\npaste.app_factory = shop:make\n\n[server:main]\nuse = egg:pastepool#http\n{lines}\n")
    return ini, port


def words(folder: Path, *more: str, daemon: bool = False) -> list[str]:
    """The words of a command line of twistd."""
    where = ["--pidfile", str(folder / "pid"), "--rundir", str(folder)]
    return [
        *TWISTD,
        *([] if daemon else ["-n"]),
        *where,
        *(["--logfile", str(folder / "log")] if daemon else []),
        "pastepool",
        *more,
    ]


def environment(folder: Path) -> dict[str, str]:
    """
    Where the application and the plugin are found. ``tests/meta/test_packaging.py`` has it installed from a wheel.

    Twisted writes a file beside a plugin, so this is a copy.
    """
    plugins = folder / "dropins"
    if not plugins.exists():
        shutil.copytree(ROOT / "dropins", plugins)
    return {"PYTHONPATH": os.pathsep.join((str(folder), str(ROOT), str(plugins)))}


def said_by(folder: Path, *more: str) -> str:
    """What twistd prints that ends by itself, whatever its status."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *words(folder, *more)],
        env={**os.environ, **environment(folder)},
        capture_output=True,
        text=True,
        timeout=PROGRAM_WATCHDOG,
        check=False,
    )
    return done.stdout + done.stderr


def test_help_and_mistakes_are_told_in_words(folder: Path) -> None:
    """Without a file, with a word that is no variable, and with a mistake in the file."""
    told = said_by(folder, "--help")
    assert "[options] pastepool --config FILE [NAME=VALUE ...]" in told and "NAME of its section [server:NAME]" in told
    assert "--config is missing; it names the INI file." in said_by(folder)
    ini, port = shop(folder, threadpool_worker=3)
    assert "'port' is no variable; write NAME=VALUE." in said_by(folder, "--config", str(ini), "port")
    told = said_by(folder, "--config", str(ini), f"http_port={port}")
    assert "'threadpool_worker' (value '3') is not an option of pastepool" in told and "Traceback" not in told


def test_loggers_of_the_file_are_configured(folder: Path) -> None:
    """As under ``paster serve``; a file without them has its lines in Twisted's log, see below."""
    ini, port = shop(folder)
    with ini.open("a") as file:
        file.write(
            "\n[loggers]\nkeys = root\n[handlers]\nkeys = file\n[formatters]\nkeys = plain\n"
            "[logger_root]\nlevel = INFO\nhandlers = file\n"
            "[handler_file]\nclass = FileHandler\nargs = (r'%(here)s/shop.log',)\nformatter = plain\n"
            "[formatter_plain]\nformat = shop says %(message)s\n"
        )
    with running(*words(folder, "--config", str(ini), f"http_port={port}"), **environment(folder)) as process:
        until(lambda: ask(port, "/") == (200, b"/"), "it answers", PROGRAM_WATCHDOG)
        assert "stopping" not in process.end(signal.SIGTERM)
    assert "shop says stopping: " in (folder / "shop.log").read_text()


def test_life_in_the_foreground(folder: Path) -> None:
    """It serves, says so, goes on after SIGHUP with a sentence, and after SIGTERM finishes the request that runs."""
    ini, port = shop(folder)
    command = words(folder, "--config", str(ini), f"http_port={port}")
    with running(*command, **environment(folder)) as process:
        until(lambda: ask(port, "/") == (200, b"/"), "it answers", PROGRAM_WATCHDOG)
        process.await_line(f"serving on http://127.0.0.1:{port}")
        process.process.send_signal(signal.SIGHUP)
        process.await_line("SIGHUP: new code and settings cannot be loaded into this process, so it goes on as it is.")
        held = Asking(port, ["/held"])
        until((folder / "gate.waits").exists, "the request runs", PROGRAM_WATCHDOG)
        process.process.send_signal(signal.SIGTERM)
        process.await_line("stopping: 1 request runs")
        assert not held.answers
        (folder / "gate").touch()
        assert held.join() == [(200, b"/held")]
        assert "[pastepool#info] stopping: 1 request runs" in process.end(signal.SIGTERM, sent=True)


def test_life_as_a_daemon(folder: Path) -> None:
    """The threads start after the fork; SIGTERM is enough, the pid file goes, and the log has the lines."""
    ini, port = shop(folder)
    command = words(folder, "--config", str(ini), f"http_port={port}", daemon=True)
    subprocess.run(
        [sys.executable, "-W", "ignore", *command],
        env={**os.environ, **environment(folder)},
        check=True,
        timeout=PROGRAM_WATCHDOG,
    )
    pidfile = folder / "pid"
    until(pidfile.exists, "it has a pid", PROGRAM_WATCHDOG)
    pid = int(pidfile.read_text())
    try:
        until(lambda: ask(port, "/") == (200, b"/"), "it answers", PROGRAM_WATCHDOG)
        watch = Stopwatch()
        os.kill(pid, signal.SIGTERM)
        until(lambda: not pidfile.exists() and not accepts(port), "it has ended", PROGRAM_WATCHDOG)
        assert watch.net() < 8
    finally:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    log = (folder / "log").read_text()
    assert f"serving on http://127.0.0.1:{port}" in log and "stopping: no request runs" in log


@pytest.mark.parametrize("daemon", [False, True], ids=["foreground", "daemon"])
def test_server_that_cannot_start_says_why(folder: Path, daemon: bool) -> None:
    """The command prints the sentence and no traceback, its status is not 0, and no pid file is left."""
    ini, _ = shop(folder)
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        command = words(folder, "--config", str(ini), f"http_port={port}", daemon=daemon)
        done = subprocess.run(
            [sys.executable, "-W", "ignore", *command],
            env={**os.environ, **environment(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PROGRAM_WATCHDOG,
            check=False,
        )
    assert done.returncode == 1 and f"cannot listen on 127.0.0.1:{port}: the port is taken" in done.stdout, done.stdout
    log = folder / "log"
    until(lambda: not daemon or "set another port." in log.read_text(), "the log has the sentence", PROGRAM_WATCHDOG)
    assert "Traceback" not in done.stdout + (log.read_text() if daemon else "")
    until(lambda: not (folder / "pid").exists(), "the pid file has gone", PROGRAM_WATCHDOG)
