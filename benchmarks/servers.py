"""
How each server is started: one process, ten threads, the same application, no access log.

Each rival gets the settings its own documentation recommends for many connections; the limits that would end a
measurement early (connections, keep-alive) are raised for all alike. Nothing else is tuned, for us neither.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.metadata
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from benchmarks.app import HELLO
from benchmarks.errors import ServerFailed

HOST = "127.0.0.1"
ROOT = Path(__file__).resolve().parent.parent
THREADS = 10
CONNECTIONS = 20_000
"""How many connections a server may hold; well above the idle ones and the load together."""
KEEP_ALIVE = 600
"""Seconds an idle connection is kept; longer than any measurement."""
START_WITHIN = 15.0
STOP_WITHIN = 5.0
APPLICATION = "benchmarks.app:app"


@dataclass(frozen=True)
class Server:
    """One rival. ``module`` must be importable for it to run, ``remedy`` says how to get it."""

    name: str
    module: str
    distribution: str
    remedy: str
    command: Callable[[int], list[str]]

    def missing(self) -> str:
        """Say in a sentence why it cannot run here; empty if it can."""
        try:
            found = importlib.util.find_spec(self.module)
        except ModuleNotFoundError:
            found = None
        return "" if found else f"{self.name} is left out: no module {self.module} here; {self.remedy}."

    def version(self) -> str:
        """Name the installed version, for the table's heading."""
        try:
            return importlib.metadata.version(self.distribution)
        except importlib.metadata.PackageNotFoundError:
            return "not installed"


@dataclass(frozen=True)
class Running:
    """A server that answers. ``session`` is what ``measure`` knows its process tree by."""

    port: int
    session: int


def _ours(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.{module}", *arguments]


def _gunicorn(port: int) -> list[str]:
    return [
        *(sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--workers", "1"),
        *("--threads", str(THREADS), "--worker-connections", str(CONNECTIONS), "--keep-alive", str(KEEP_ALIVE)),
        *("--backlog", "4096", "--no-control-socket", "--log-level", "error"),
        *("--bind", f"{HOST}:{port}", APPLICATION),
    ]


def _granian(port: int) -> list[str]:
    return [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--workers", "1", "--no-ws"),
        *("--blocking-threads", str(THREADS), "--backlog", "4096", "--backpressure", str(CONNECTIONS)),
        *("--http1-header-read-timeout", "60000", "--log-level", "error"),
        *("--host", HOST, "--port", str(port), APPLICATION),
    ]


def _uwsgi(port: int) -> list[str]:
    """
    Its plain HTTP socket closes after each answer; without the header that says so, wrk takes each close for an error.

    ``--http11-socket`` would keep connections, but gives each a thread: ten of 64 are served and the others never.
    """
    return [
        *(sys.executable, "-c", "import sys, pyuwsgi; pyuwsgi.run(sys.argv[1:])"),
        *("--http-socket", f"{HOST}:{port}", "--add-header", "Connection: close", "--listen", "1024"),
        *("--processes", "1", "--threads", str(THREADS), "--disable-logging", "--die-on-term", "--need-app"),
        *("--pythonpath", str(ROOT), "--virtualenv", sys.prefix, "--module", APPLICATION),
    ]


_EXTRA = "install the extra bench"

SERVERS: tuple[Server, ...] = (
    Server(
        name="pastepool",
        module="pastepool.entrypoints",
        distribution="pastepool",
        remedy="install pastepool itself",
        command=lambda port: _ours("serve_pastepool", str(port)),
    ),
    Server(
        name="granian",
        module="granian",
        distribution="granian",
        remedy=_EXTRA,
        command=_granian,
    ),
    Server(
        name="uwsgi",
        module="pyuwsgi",
        distribution="pyuwsgi",
        remedy=_EXTRA,
        command=_uwsgi,
    ),
    Server(
        name="bjoern",
        module="bjoern",
        distribution="bjoern",
        remedy="it is compiled on install and needs libev (Debian: apt-get install libev-dev), then pip install bjoern",
        command=lambda port: _ours("serve_peer", "bjoern", str(port)),
    ),
    Server(
        name="waitress",
        module="waitress",
        distribution="waitress",
        remedy=_EXTRA,
        command=lambda port: _ours("serve_peer", "waitress", str(port)),
    ),
    Server(
        name="cheroot",
        module="cheroot",
        distribution="cheroot",
        remedy=_EXTRA,
        command=lambda port: _ours("serve_peer", "cheroot", str(port)),
    ),
    Server(
        name="gthread",
        module="gunicorn",
        distribution="gunicorn",
        remedy=_EXTRA,
        command=_gunicorn,
    ),
)


def free_port() -> int:
    """Ask the kernel for a port nobody uses."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(server: Server) -> Iterator[Running]:
    """
    Start a server, hand it over once it answers, and end it with all it started.

    Raises:
        ServerFailed: it did not answer within START_WITHIN seconds, or ended; with its last words.
    """
    port = free_port()
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}
    with tempfile.TemporaryFile() as words, tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            server.command(port),
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_until_it_answers(server, process, port, words)
            yield Running(port=port, session=process.pid)
            if process.poll() is not None:
                raise ServerFailed(f"{server.name} ended while it was measured: {_last_words(words)}")
        finally:
            _end(process)


def _wait_until_it_answers(server: Server, process: subprocess.Popen[bytes], port: int, words: IO[bytes]) -> None:
    give_up_at = time.monotonic() + START_WITHIN
    while not _answers(port):
        if process.poll() is not None:
            raise ServerFailed(f"{server.name} ended with status {process.returncode}: {_last_words(words)}")
        if time.monotonic() >= give_up_at:
            raise ServerFailed(f"{server.name} did not answer within {START_WITHIN:g} s: {_last_words(words)}")
        time.sleep(0.02)


def _answers(port: int) -> bool:
    """Ask for hello: a listening socket alone may belong to a parent whose worker is not there yet."""
    asking = http.client.HTTPConnection(HOST, port, timeout=1.0)
    try:
        asking.request("GET", "/hello", headers={"Connection": "close"})
        return asking.getresponse().read() == HELLO
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asking.close()


def _last_words(words: IO[bytes]) -> str:
    """Give the end of what the server wrote, without this machine's folders: it may be printed in the manual."""
    words.seek(0)
    text = words.read().decode("utf-8", "replace")
    for folder in (sys.prefix, sys.base_prefix, str(ROOT)):
        text = text.replace(f"{folder}/", "")
    lines = text.split("\n")
    return " / ".join(line.strip() for line in lines if line.strip())[-300:] or "it said nothing"


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the whole group to end, wait, and make sure of it: a child may outlive its parent."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_WITHIN)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
