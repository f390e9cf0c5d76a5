"""
Measure honest requests beside clients that do not read: ``python -m benchmarks.readers``.

Each of these clients asks for a response of many pieces, and reads nothing or reads slowly. The server runs with its
defaults and ten workers. The honest requests begin before the crowd comes, and go on for a while after it is there.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import logging
import os
import socket
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import measure, report
from benchmarks.app import HELLO
from benchmarks.errors import ServerFailed
from benchmarks.hostile.sending import until_quiet
from benchmarks.servers import HOST, THREADS, Running, Server, running
from pastepool.entrypoints import http as serve_http

PATIENCE = 60.0
RECEIVE_BUFFER = 4096
PIECE = 16384
READ_AT_ONCE = 2048
LOOKS = 5
KINDS = ("silent", "slow", "leaving")
"""``silent``: reads nothing. ``slow``: reads a little now and then. ``leaving``: reads nothing and leaves, then comes back."""


def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    """Answer ``/pieces/N`` with N pieces, and everything else with a few bytes."""
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    first, _, number = environ["PATH_INFO"].strip("/").partition("/")
    if first != "pieces":
        return iter([HELLO])
    return (b"x" * PIECE for _ in range(int(number)))


def server(options: Sequence[str]) -> Server:
    """Return the row of the server that is measured."""
    return Server(
        name="pastepool",
        module="pastepool.entrypoints",
        distribution="pastepool",
        remedy="install pastepool itself",
        command=lambda port: [sys.executable, "-m", "benchmarks.readers", "--serve", str(port), *options],
    )


@dataclass
class Crowd:
    """Clients that have asked and do not read. ``refused``: how many could not ask."""

    port: int
    pieces: int
    kind: str
    clients: list[socket.socket]
    refused: int = 0

    def come(self, count: int) -> None:
        """Connect so many clients and let each ask."""
        for _ in range(count):
            try:
                self.clients.append(self._ask())
            except OSError:
                self.refused += 1

    def act(self, turn: int) -> None:
        """Let a tenth of the slow clients read a little, or one client leave and come back."""
        count = len(self.clients)
        if self.kind == "slow":
            for number in range(turn % 10, count, 10):
                with contextlib.suppress(OSError):
                    self.clients[number].recv(READ_AT_ONCE, socket.MSG_DONTWAIT)
        elif self.kind == "leaving":
            self.clients[turn % count].close()
            self.clients[turn % count] = self._ask()

    def _ask(self) -> socket.socket:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sock.settimeout(PATIENCE)
        sock.connect((HOST, self.port))
        sock.sendall(f"GET /pieces/{self.pieces} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        return sock


class Honest(threading.Thread):
    """Sends one honest request after the other, and keeps how long each took, with the time of its begin."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.took: list[tuple[float, float]] = []
        self.failures = 0
        self._port = port
        self._over = threading.Event()

    def run(self) -> None:
        """Ask until ``end``. A request that gets no answer in ``PATIENCE`` counts as so long."""
        connection = http.client.HTTPConnection(HOST, self._port, timeout=PATIENCE)
        while not self._over.wait(0.005):
            began = time.monotonic()
            try:
                connection.request("GET", "/")
                self.failures += connection.getresponse().read() != HELLO
            except (OSError, http.client.HTTPException):
                connection.close()
                self.failures += 1
            self.took.append((began, time.monotonic() - began))

    def end(self) -> None:
        """Stop, and wait until the last request has ended."""
        self._over.set()
        self.join()


def milliseconds(times: Sequence[float]) -> str:
    """Write the median, the 99th percentile and the longest of some durations."""
    if len(times) < 2:
        return f"{1000 * max(times, default=0.0):,.1f} | | "
    p99 = statistics.quantiles(times, n=100)[98]
    return f"{1000 * statistics.median(times):,.1f} | {1000 * p99:,.1f} | {1000 * max(times):,.1f}"


def measured(started: Running, options: argparse.Namespace) -> str:
    """Measure one kind of crowd. Returns a row of the table."""
    honest = Honest(started.port)
    honest.start()
    time.sleep(1.0)
    crowd = Crowd(started.port, options.pieces, options.kind, [])
    came_at = time.monotonic()
    crowd.come(options.count)
    for _ in range(LOOKS):
        time.sleep(1.0)  # on a busy machine the server may get no processor for a moment, and then looks quiet
        with contextlib.suppress(ServerFailed):
            until_quiet(started.session)
    there_at = time.monotonic()
    turn = 0
    while time.monotonic() < there_at + options.seconds:
        crowd.act(turn)
        turn += 1
        time.sleep(0.05)
    honest.end()
    resident = measure.rss_kib(started.session) / 1024
    for each in crowd.clients:
        each.close()
    coming = [took for began, took in honest.took if came_at <= began + took and began < there_at]
    later = [took for began, took in honest.took if began >= there_at]
    return (
        f"| {options.count} {options.kind} | {milliseconds(coming)} | {milliseconds(later)} | {honest.failures} |"
        f" {resident:,.0f} |"
    )


HEADING = (
    "| readers | while their responses are made: p50, ms | p99 | max | afterwards: p50, ms | p99 | max | failed |"
    " memory, MiB |\n"
    "| --- | --: | --: | --: | --: | --: | --: | --: | --: |"
)


def arguments(argv: Sequence[str] | None = None) -> tuple[argparse.Namespace, list[str]]:
    """Read the command line. Returns the options, and those of the server: ``name=value``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.readers", description=__doc__.splitlines()[1])
    parser.add_argument("--count", type=int, default=500, help="how many clients do not read (%(default)s)")
    parser.add_argument("--pieces", type=int, default=192, help=f"of {PIECE} bytes in a response (%(default)s)")
    parser.add_argument("--kind", choices=KINDS, help="what they do; all kinds, one after the other, if not given")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to measure beside them (%(default)s)")
    parser.add_argument("--table", metavar="FILE", help="write the table here")
    parser.add_argument("--serve", metavar="PORT", help=argparse.SUPPRESS)
    parser.add_argument("settings", nargs="*", metavar="NAME=VALUE", help="options of the server")
    options = parser.parse_args(argv)
    return options, options.settings


def serve(port: str, settings: Sequence[str]) -> None:
    """Run the server."""
    logging.basicConfig(level=logging.INFO, filename=os.environ.get("READERS_LOG", os.devnull))
    given = dict(setting.split("=", 1) for setting in settings)
    serve_http({}, **{"host": HOST, "port": port, "threadpool_workers": str(THREADS), **given})(app)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print. Returns the exit status."""
    options, settings = arguments(argv)
    if options.serve:
        serve(options.serve, settings)
        return 0
    rows = [HEADING]
    for kind in [options.kind] if options.kind else KINDS:
        options.kind = kind
        try:
            with running(server(settings)) as started:
                rows.append(measured(started, options))
        except ServerFailed as failure:
            rows.append(f"| {options.count} {kind} | failed: {failure} |")
        sys.stderr.write(f"{rows[-1]}\n")
    text = "\n".join(rows) + "\n"
    sys.stdout.write(text)
    if options.table:
        report.write(options.table, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
