"""
Count the instructions that pastepool executes for one request: ``python -m benchmarks.instructions [SCENARIO ...]``.

Other figures change with the load and the temperature of the machine. This one hardly does, so a change of a few
percent can be seen, and held by a test. It does not see what a request costs in the kernel, and no waiting.

Valgrind's callgrind counts. The server is warmed up, and then the counts before and after some requests are written to
files. Threads that only look from time to time are left out: their counts depend on how long the run takes.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.errors import BenchError, ServerFailed
from benchmarks.load import Load
from benchmarks.scenarios import SCENARIOS
from benchmarks.servers import HOST, ROOT, free_port

COUNTED = ("hello", "browser", "close", "large", "stream", "upload")
"""Scenarios without a pause in the application. In the others the number of instructions depends on the scheduler."""

REQUESTS = {"stream": 100, "upload": 300}
USUAL_REQUESTS = 1000
"""How many requests are counted. Those of a response of many pieces take longer, and their counts differ less."""

WARM_UP = 2
"""How many times as many come before. The interpreter needs them to specialise its code."""

COUNTS = 3
"""How often they are counted. The median is taken."""

SERVES = 0.25
"""
A thread with fewer instructions than this part of those of the busiest one has served nothing. It looks from time to
time, as the main thread does, and on a busy machine it looks more often in the time of one count.
"""

START_WITHIN = 180.0
PATIENCE = 120.0
"""Seconds for one answer. The server is slow under valgrind, and the machine may be busy."""

_TOTALS = re.compile(rb"^totals: (\d+)$", re.MULTILINE)
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instructions", description=__doc__.split("\n")[1])
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"all if none is named: {', '.join(COUNTED)}")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that runs the server (%(default)s)")
    return parser.parse_args(argv)


def request(load: Load, port: int) -> bytes:
    """Return the bytes of one request of a load."""
    method = "POST" if load.body else "GET"
    fields = [("Host", f"{HOST}:{port}"), *load.headers]
    if load.body:
        fields.append(("Content-Length", str(load.body)))
    lines = [f"{method} {load.path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + b"x" * load.body


def read_answer(client: socket.socket) -> None:
    """
    Read one response, framed by its length or in chunks.

    Raises:
        ServerFailed: it is no 200, or the connection ended first.
    """
    data = b""
    while not _is_whole(data):
        more = client.recv(1 << 18)
        if not more:
            raise ServerFailed(f"the connection ended after {data[-200:]!r}")
        data += more
    if not data.startswith(b"HTTP/1.1 200 "):
        raise ServerFailed(f"the answer is {data[:200]!r}")


def _is_whole(data: bytes) -> bool:
    head, end, content = data.partition(b"\r\n\r\n")
    if not end:
        return False
    length = _LENGTH.search(head + b"\r\n")
    return len(content) >= int(length[1]) if length else content.endswith(b"\r\n0\r\n\r\n")


class Client:
    """
    Sends a request, reads its answer, and then sends the next one, on one connection as long as that stays open.

    With several clients the number of requests in a batch of events would depend on the scheduler.
    """

    def __init__(self, load: Load, port: int) -> None:
        self._port = port
        self._request = request(load, port)
        self._closes = ("Connection", "close") in load.headers
        self._connection: socket.socket | None = None

    def ask(self, times: int) -> None:
        """Send requests and read their answers. Raises: ServerFailed, OSError."""
        for _ in range(times):
            if self._connection is None:
                self._connection = socket.create_connection((HOST, self._port), PATIENCE)
            self._connection.sendall(self._request)
            read_answer(self._connection)
            if self._closes:
                self.close()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Counted:
    """
    A server under valgrind. ``count`` returns the instructions of the threads that served, since the last count.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
        self.port = port
        self._process = process
        self._folder = folder
        self._counts = 0

    def count(self) -> int:
        """
        Return the instructions since the last count.

        Raises:
            ServerFailed: callgrind has written none.
        """
        self._counts += 1
        command = ["callgrind_control", f"--dump=count-{self._counts}", str(self._process.pid)]
        subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
        files = sorted(self._folder.glob(f"counts.{self._counts}-*"))
        totals = [_TOTALS.search(file.read_bytes()) for file in files[1:]]
        if not totals or None in totals:
            raise ServerFailed(f"callgrind wrote no counts into {self._folder}; found {[file.name for file in files]}")
        counts = [int(total[1]) for total in totals if total]
        return sum(count for count in counts if count >= max(counts) * SERVES)


@contextmanager
def listening(command: Sequence[str], port: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """
    Start pastepool under another program, run the block when it listens, and end it.

    Raises:
        ServerFailed: it ended, or does not listen after START_WITHIN seconds.
    """
    with ExitStack() as last:
        words = last.enter_context(folder.joinpath("words").open("w+b"))
        process = subprocess.Popen(command, cwd=ROOT, stdout=words, stderr=words, start_new_session=True)
        last.callback(process.wait)
        last.callback(os.killpg, process.pid, signal.SIGKILL)  # the other program and the server
        give_up_at = time.monotonic() + START_WITHIN
        while not _listens(port):
            if process.poll() is not None or time.monotonic() >= give_up_at:
                words.seek(0)
                raise ServerFailed(
                    f"pastepool does not listen under {command[0]}: {words.read()[-500:].decode('utf-8', 'replace')}"
                )
            time.sleep(0.1)
        yield process


@contextmanager
def counted(python: str) -> Iterator[Counted]:
    """Start pastepool under valgrind and run the block when it listens. Raises: ServerFailed, as ``listening``."""
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        valgrind = ["valgrind", "-q", "--tool=callgrind", "--separate-threads=yes"]
        valgrind.append(f"--callgrind-out-file={name}/counts")
        command = [*valgrind, python, "-m", "benchmarks.serve_counted", str(port)]
        with listening(command, port, Path(name)) as process:
            yield Counted(process, port, Path(name))


def _listens(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), 1.0).close()
    except OSError:
        return False
    return True


def per_request(server: Counted, name: str, load: Load) -> int:
    """Return the instructions for one request of a scenario. Raises: ServerFailed, OSError."""
    requests = REQUESTS.get(name, USUAL_REQUESTS)
    client = Client(load, server.port)
    try:
        client.ask(requests * WARM_UP)
        counts = []
        for _ in range(COUNTS):
            server.count()
            client.ask(requests)
            counts.append(server.count())
        return round(statistics.median(counts) / requests)
    finally:
        client.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Count, and print one line for each scenario. Returns the exit status: 1 if nothing could be counted."""
    options = arguments(argv)
    loads = {row.name: row.load for row in SCENARIOS if row.name in COUNTED}
    try:
        unknown = sorted({*options.scenarios} - {*COUNTED})
        if unknown:
            raise BenchError(f"{', '.join(unknown)}: not one of {', '.join(COUNTED)}.")
        for tool in ("valgrind", "callgrind_control"):
            if shutil.which(tool) is None:
                raise BenchError(f"There is no {tool} here; install valgrind.")
        with counted(options.python) as server:
            for name in options.scenarios or COUNTED:
                sys.stdout.write(f"{name:<10} {per_request(server, name, loads[name]):>9,}\n")
                sys.stdout.flush()
    except (BenchError, ServerFailed, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
