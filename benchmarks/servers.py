"""
Start each server: ten threads, the same application, no access log; one process, if the command line asks for no more.

Each server gets the settings that its documentation recommends for many connections. The limits that would end a
measurement early (connections, keep-alive) are raised for all servers. Nothing else is tuned, not for pastepool either.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.metadata
import importlib.util
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from benchmarks.app import HELLO
from benchmarks.errors import BenchError, ServerFailed

HOST = "127.0.0.1"
ROOT = Path(__file__).resolve().parent.parent
THREADS = 10
CONNECTIONS = 20_000
"""How many connections a server may hold. More than the idle ones and those of the load together."""
KEEP_ALIVE = 600
"""Seconds that an idle connection is kept. Longer than any measurement."""
START_WITHIN = 15.0
STOP_WITHIN = 5.0
APPLICATION = "benchmarks.app:app"


@dataclass(frozen=True)
class Server:
    """
    One server. ``module``: must be importable if the server is to run. ``remedy``: how to install it.

    ``command``: starts it on a port. ``in_processes``: the same with a number of worker processes, each with all threads;
    None if it has only one.
    """

    name: str
    module: str
    distribution: str
    remedy: str
    command: Callable[[int], list[str]]
    in_processes: Callable[[int, int], list[str]] | None = None

    def with_processes(self, count: int) -> Server:
        """Return the row of the same server with several processes. Raises: BenchError: it has only one."""
        in_processes = self.in_processes
        if in_processes is None:
            raise BenchError(f"{self.name} cannot serve with {count} processes here; leave it out (--servers).")
        return replace(self, command=lambda port: in_processes(port, count))

    def missing(self) -> str:
        """Return a sentence that says why the server cannot run here. Empty if it can."""
        try:
            found = importlib.util.find_spec(self.module)
        except ModuleNotFoundError:
            found = None
        return "" if found else f"{self.name} is left out: no module {self.module} here; {self.remedy}."

    def version(self) -> str:
        """Return the installed version, for the description of the run."""
        try:
            return importlib.metadata.version(self.distribution)
        except importlib.metadata.PackageNotFoundError:
            return "not installed"


@dataclass(frozen=True)
class Running:
    """A server that answers. ``session``: the session of its processes, by which ``measure`` finds them."""

    port: int
    session: int


def _ours(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.{module}", *arguments]


def _gunicorn(port: int, processes: int = 1) -> list[str]:
    return [
        *(sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--workers", str(processes)),
        *("--threads", str(THREADS), "--worker-connections", str(CONNECTIONS), "--keep-alive", str(KEEP_ALIVE)),
        *("--backlog", "4096", "--no-control-socket", "--log-level", "error"),
        *("--bind", f"{HOST}:{port}", APPLICATION),
    ]


def _granian(port: int, processes: int = 1) -> list[str]:
    return [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--workers", str(processes), "--no-ws"),
        *("--blocking-threads", str(THREADS), "--backlog", "4096", "--backpressure", str(CONNECTIONS)),
        *("--http1-header-read-timeout", "60000", "--log-level", "error"),
        *("--host", HOST, "--port", str(port), APPLICATION),
    ]


def _uwsgi(port: int) -> list[str]:
    """
    Return the command of uWSGI with its plain HTTP socket, which closes the connection after each answer.

    The header ``Connection: close`` is added, because wrk would otherwise count each close as an error. The option
    ``--http11-socket`` would keep connections open, but each would occupy a thread: of 64 only ten would be served.
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
        in_processes=lambda port, count: _ours("serve_pastepool", str(port), str(count)),
    ),
    Server(
        name="granian",
        module="granian",
        distribution="granian",
        remedy=_EXTRA,
        command=_granian,
        in_processes=_granian,
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
        in_processes=_gunicorn,
    ),
)


def free_port() -> int:
    """Return a free port, chosen by the kernel."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(server: Server, context: ssl.SSLContext | None = None) -> Iterator[Running]:
    """
    Start a server, wait until it answers, and run the block. Then end it and all processes it started.

    ``context``: if there is one, the server is asked over TLS.

    Raises:
        ServerFailed: the server did not answer within START_WITHIN seconds, or it ended. The error has the end of its
            output.
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
            _wait_until_it_answers(server, process, lambda: _answers(port, context), words)
            yield Running(port=port, session=process.pid)
            if process.poll() is not None:
                raise ServerFailed(f"{server.name} ended while it was measured: {_last_words(words)}")
        finally:
            _end(process)


def _wait_until_it_answers(
    server: Server, process: subprocess.Popen[bytes], answers: Callable[[], bool], words: IO[bytes]
) -> None:
    give_up_at = time.monotonic() + START_WITHIN
    while not answers():
        if process.poll() is not None:
            raise ServerFailed(f"{server.name} ended with status {process.returncode}: {_last_words(words)}")
        if time.monotonic() >= give_up_at:
            raise ServerFailed(f"{server.name} did not answer within {START_WITHIN:g} s: {_last_words(words)}")
        time.sleep(0.02)


def _answers(port: int, context: ssl.SSLContext | None) -> bool:
    """
    Say whether the server answers a request for /hello.

    A connection alone proves nothing: the parent process may listen before its worker process has started.
    """
    if context:
        asking: http.client.HTTPConnection = http.client.HTTPSConnection(HOST, port, timeout=1.0, context=context)
    else:
        asking = http.client.HTTPConnection(HOST, port, timeout=1.0)
    try:
        asking.request("GET", "/hello", headers={"Connection": "close"})
        return asking.getresponse().read() == HELLO
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asking.close()


def _last_words(words: IO[bytes]) -> str:
    """Return the end of the server's output, without folders of this machine: it may be printed in the manual."""
    words.seek(0)
    text = words.read().decode("utf-8", "replace")
    for folder in (sys.prefix, sys.base_prefix, str(ROOT)):
        text = text.replace(f"{folder}/", "")
    lines = text.split("\n")
    return " / ".join(line.strip() for line in lines if line.strip())[-300:] or "it said nothing"


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the whole process group to end, wait, and then kill the group: a child may live longer than its parent."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_WITHIN)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
