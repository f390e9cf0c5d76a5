"""
What TLS costs, beside other servers, and what its hostile clients cost others: ``python -m benchmarks.tls``.

All CPU times are those of all processes of a server. The servers are pastepool, granian, gunicorn's gthread, and nginx
that terminates TLS in front of a plain pastepool:

* a request on a kept connection, and on 64 of them with the load of wrk, over TLS, and for pastepool also plain;
* a new connection with its handshake and one request, with a key of P-256 and one of RSA. Beside them stands a server of
  a few lines that accepts, does the handshake with the same library, answers and closes: the least that Python can do;
* the 99th percentile of clients that ask pastepool over TLS, without and with three hundred others that do not finish a
  handshake.

The servers take turns within a round. Each measurement has a new server, which first gets a quarter of the load.
"""

from __future__ import annotations

import argparse
import socket
import ssl
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import load, report
from benchmarks.app import HELLO
from benchmarks.errors import BenchError, ServerFailed
from benchmarks.measure import cpu_seconds, interpreter, machine
from benchmarks.serve_tls import BARE, OURS
from benchmarks.servers import HOST
from benchmarks.tls_hostile import hostile_clients
from benchmarks.tls_peers import COMMANDS, Started, certificate, missing, served, trusting, version

HONEST = load.Load("/block-10ms", connections=8, scheme="https")
"""Fewer than threads: what one of them waits for beyond 10 ms is the server's doing, not the queue's."""
CONNECTIONS = 64
PATIENCE = 10.0
CLOSING = b"GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
KEEPING = b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"
KEYS = {"ECDSA": "P-256", "RSA": "RSA 2048"}
"""The kinds of keys, and how the tables call them."""
PLAIN = f"{OURS}, plain"


# --------------------------------------------------------------------------------------------------------- the clients


def amiss(version: str | None, is_resumed: bool, has_its_certificate: bool) -> str:
    """Say why a handshake cannot be compared with those of other servers. Empty if it can."""
    if version != "TLSv1.3":
        return f"the handshake was of {version}, not of TLSv1.3"
    if is_resumed:
        return "the handshake resumed a session"
    return "" if has_its_certificate else "the server has another certificate than it was given"


def connected(server: Started, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Connect over TLS. Raises: ServerFailed: the handshake was not a whole one of TLS 1.3 with our certificate."""
    sock = context.wrap_socket(socket.create_connection((HOST, server.tls), PATIENCE))
    problem = amiss(sock.version(), bool(sock.session_reused), sock.getpeercert(binary_form=True) == server.certificate)
    if problem:
        sock.close()
        raise ServerFailed(problem)
    return sock


def ask(sock: socket.socket, request: bytes) -> None:
    """Send a request for ``/hello`` and read its response. Raises: ServerFailed: the server closes before its end."""
    sock.sendall(request)
    found = b""
    while not found.endswith(HELLO):
        part = sock.recv(4096)
        if not part:
            raise ServerFailed(f"the server closed after {found!r}")
        found += part


def new_connections(server: Started, count: int) -> int:
    """Connect, do a whole handshake, ask once and close, so many times. Returns how many answers came."""
    context = trusting()
    for _ in range(count):
        with connected(server, context) as sock:
            ask(sock, CLOSING)
    return count


def kept_over_tls(server: Started, count: int) -> int:
    """Ask so many times on one connection. Returns how many answers came."""
    with connected(server, trusting()) as sock:
        for _ in range(count):
            ask(sock, KEEPING)
    return count


def kept_plain(server: Started, count: int) -> int:
    """Ask so many times on one connection without TLS. Returns how many answers came."""
    with socket.create_connection((HOST, server.plain), PATIENCE) as sock:
        for _ in range(count):
            ask(sock, KEEPING)
    return count


def many_over_tls(server: Started, seconds: int) -> int:
    """Let wrk ask on many connections at once. Returns how many answers came."""
    return _by_wrk("https", server.tls, seconds)


def many_plain(server: Started, seconds: int) -> int:
    """Do the same without TLS."""
    return _by_wrk("http", server.plain, seconds)


def _by_wrk(scheme: str, port: int, seconds: int) -> int:
    answered = load.run(load.Load("/hello", CONNECTIONS, scheme=scheme), port, seconds)
    if answered.errors:
        raise ServerFailed(f"{answered.errors} of {answered.requests} requests failed")
    return answered.requests


# ------------------------------------------------------------------------------------------------------------ the costs


class Row(NamedTuple):
    """
    A row of a table: a server, and the clients that ask it.

    ``clients``: gets how many times it asks, or for how many seconds, and returns how many answers came.
    """

    label: str
    server: str
    clients: Callable[[Started, int], int]

    def cost(self, pem: Path, amount: int) -> float:
        """Return the microseconds of CPU that the server uses for each answer."""
        with served(self.server, pem) as server:
            self.clients(server, max(amount // 4, 1))
            before = cpu_seconds(server.session)
            answers = self.clients(server, amount)
            return (cpu_seconds(server.session) - before) / answers * 1e6


def in_turns(rows: Sequence[Row], pem: Path, amount: int, rounds: int) -> dict[str, list[float]]:
    """Measure each row in each round, in every second round in reverse order. Returns the figures by label."""
    figures: dict[str, list[float]] = {row.label: [] for row in rows}
    for number in range(rounds):
        for row in rows if number % 2 == 0 else rows[::-1]:
            figures[row.label].append(row.cost(pem, amount))
    return figures


def spread(values: Sequence[float]) -> str:
    """Write the median, and the least and the most, as cells of a table."""
    return f"{statistics.median(values):,.1f} | {min(values):,.1f} to {max(values):,.1f}"


def costs(title: str, figures: Mapping[str, Sequence[float]]) -> Iterator[str]:
    """Yield the lines of a table. The last column is the median of the ratios within each round."""
    yield f"| {title} | CPU, us | least to most | a second and core | times {OURS}'s |"
    yield "| --- | --: | --: | --: | --: |"
    for label, found in figures.items():
        ratio = statistics.median(one / ours for one, ours in zip(found, figures[OURS], strict=True))
        yield f"| {label} | {spread(found)} | {1e6 / statistics.median(found):,.0f} | {ratio:.2f} |"


def requests(names: Sequence[str], pem: Path, options: argparse.Namespace) -> Iterator[str]:
    """Yield what a request on a kept connection costs, on one and on many. The bare server keeps none."""
    keeping = [name for name in names if name != BARE]
    one = [Row(PLAIN, OURS, kept_plain), *(Row(name, name, kept_over_tls) for name in keeping)]
    yield from costs("a request, one kept connection", in_turns(one, pem, options.kept, options.rounds))
    yield ""
    many = [Row(PLAIN, OURS, many_plain), *(Row(name, name, many_over_tls) for name in keeping)]
    title = f"a request, {CONNECTIONS} kept connections"
    yield from costs(title, in_turns(many, pem, options.seconds, options.rounds))


def connections(names: Sequence[str], pem: Path, options: argparse.Namespace) -> Iterator[str]:
    """Yield what a new connection costs."""
    rows = [Row(name, name, new_connections) for name in names]
    title = f"a new connection with one request, {KEYS[pem.stem]}"
    yield from costs(title, in_turns(rows, pem, options.new, options.rounds))


def crowd(pem: Path, options: argparse.Namespace) -> Iterator[str]:
    """Yield the 99th percentile of honest clients without and with hostile ones, in turns."""
    alone: list[float] = []
    beside: list[float] = []
    with served(OURS, pem) as server:
        for _ in range(options.rounds):
            alone.append(load.run(HONEST, server.tls, options.seconds).p99_ms)
            with hostile_clients(server.tls, options.hostile_of_each):
                beside.append(load.run(HONEST, server.tls, options.seconds).p99_ms)
    ratios = [with_them / without for with_them, without in zip(beside, alone, strict=True)]
    yield f"| p99 of {HONEST.connections} honest clients of {OURS} | median | least to most |\n| --- | --: | --: |"
    yield f"| alone, ms | {spread(alone)} |"
    yield f"| beside {3 * options.hostile_of_each} hostile ones, ms | {spread(beside)} |"
    yield f"| the ratio of the two in each round | {statistics.median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f} |"


# ----------------------------------------------------------------------------------------------------------- the report


def present() -> list[str]:
    """Return the servers that can run here. For each other one, print why it is left out and how to install it."""
    absent = {name: missing(name) for name in COMMANDS}
    for sentence in filter(None, absent.values()):
        say(sentence)
    return [name for name, sentence in absent.items() if not sentence]


def about(names: Sequence[str], options: argparse.Namespace) -> str:
    """Describe the run: a reader needs it to judge the figures."""
    run = (
        f"rounds: {options.rounds}; new connections: {options.new:,}; requests on a kept one: {options.kept:,}; "
        f"seconds of a load: {options.seconds}"
    )
    return (
        "<!-- Written by `python -m benchmarks.tls --table`. Not edited by hand. -->\n\n"
        f"- interpreter: {interpreter()}\n- machine: {machine()}\n"
        f"- servers: {', '.join(map(version, names))}\n- run: {run}"
    )


def measured(names: Sequence[str], options: argparse.Namespace) -> Iterator[str]:
    """Measure, and yield the lines of the tables."""
    load.find_wrk()
    yield about(names, options) + "\n"
    with tempfile.TemporaryDirectory() as folder:
        pems = [certificate(Path(folder), kind) for kind in KEYS]
        yield from requests(names, pems[0], options)
        for pem in pems:
            yield ""
            yield from connections(names, pem, options)
        yield ""
        yield from crowd(pems[0], options)


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tls", description=(__doc__ or "").splitlines()[1])
    parser.add_argument("--rounds", type=int, default=5, help="repetitions of each measurement (%(default)s)")
    parser.add_argument("--new", type=int, default=1_000, help="new connections in a round (%(default)s)")
    parser.add_argument("--kept", type=int, default=20_000, help="requests on a kept connection (%(default)s)")
    parser.add_argument("--seconds", type=int, default=5, help="length of a load of wrk (%(default)s)")
    parser.add_argument("--hostile-of-each", type=int, default=100, help="hostile clients of each kind (%(default)s)")
    parser.add_argument("--table", metavar="FILE", help="write the tables here")
    return parser.parse_args(argv)


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print. Returns the exit status: 1 when the measurement could not be made."""
    options = arguments(argv)
    lines = []
    try:
        for line in measured(present(), options):
            say(line)
            lines.append(line)
    except (BenchError, ServerFailed) as failure:
        sys.stderr.write(f"{failure}\n")
        return 1
    if options.table:
        report.write(options.table, "\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
