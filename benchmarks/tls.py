"""
What TLS costs, and what its hostile clients cost others: ``python -m benchmarks.tls``.

One server has a plain listener and one with TLS. All CPU times are those of the server's processes:

* a new connection with its handshake and one request, with a key of P-256 and one of RSA. Beside it stands a server of
  a few lines that accepts, does the handshake with the same library, answers and closes: the least that Python can do;
* a request on a kept connection, plain and over TLS;
* the 99th percentile of clients that ask over TLS, without and with three hundred others that do not finish a handshake:
  a third say nothing, a third send a byte a second, a third speak plain HTTP.
"""

from __future__ import annotations

import argparse
import contextlib
import selectors
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks import load, report
from benchmarks.app import HELLO, app
from benchmarks.errors import BenchError, ServerFailed
from benchmarks.measure import cpu_seconds
from benchmarks.servers import CONNECTIONS, HOST, KEEP_ALIVE, ROOT, THREADS, Server, free_port, running
from pastepool.entrypoints import http

HONEST = load.Load("/block-10ms", connections=8, scheme="https")
"""Fewer than threads: what one of them waits for beyond 10 ms is the server's doing, not the queue's."""
COME_WITHIN = 30.0
PATIENCE = 10.0
CLOSING = b"GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
KEEPING = b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(HELLO), HELLO)
STARTED = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)
"""The begin of a client's first message of TLS. The hostile clients that are slow send it byte by byte."""
OURS, BARE = "pastepool", "bare"


# --------------------------------------------------------------------------------------------------------- the servers


def serve_ours(port: int, tls_port: int, pem: str) -> None:
    """Serve until told to end."""
    http(
        {},
        listen=f"{HOST}:{port}\n{HOST}:{tls_port} tls",
        ssl_pem=pem,
        threadpool_workers=str(THREADS),
        connection_limit=str(CONNECTIONS),
        keep_alive_timeout=str(KEEP_ALIVE),
    )(app)


def serve_bare(port: int, tls_port: int, pem: str) -> None:
    """
    Serve one connection with one request after the other: the handshake and nothing that can be left out.

    Its plain listener only shows that it has started.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    plain, tls = (socket.create_server((HOST, number), backlog=100) for number in (port, tls_port))
    threading.Thread(target=_answer_each, args=(plain, lambda accepted: accepted), daemon=True).start()
    _answer_each(tls, lambda accepted: context.wrap_socket(accepted, server_side=True))


def _answer_each(listener: socket.socket, begin: Callable[[socket.socket], socket.socket]) -> None:
    while True:
        accepted, _ = listener.accept()
        with contextlib.suppress(OSError), begin(accepted) as sock:
            sock.recv(4096)
            sock.sendall(ANSWER)


SERVE = {OURS: serve_ours, BARE: serve_bare}


class Started(NamedTuple):
    """A server that answers: its ports, and the session of its processes."""

    plain: int
    tls: int
    session: int


@contextmanager
def served(name: str, pem: Path) -> Iterator[Started]:
    """Run one of ``SERVE`` while the block runs."""
    tls_port = free_port()
    words = [sys.executable, "-m", "benchmarks.tls", "--serve", name, str(tls_port), str(pem)]
    row = Server(name, "pastepool.entrypoints", "pastepool", "", lambda port: [*words, str(port)])
    with running(row) as started:
        yield Started(started.port, tls_port, started.session)


# --------------------------------------------------------------------------------------------------------- the clients


def trusting() -> ssl.SSLContext:
    """Return a client's context that takes every certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def ask(sock: socket.socket, request: bytes) -> None:
    """Send a request for ``/hello`` and read its response. Raises: ServerFailed: the server closes before its end."""
    sock.sendall(request)
    found = b""
    while not found.endswith(HELLO):
        part = sock.recv(4096)
        if not part:
            raise ServerFailed(f"the server closed after {found!r}")
        found += part


def new_connections(port: int, count: int) -> None:
    """Connect, do a whole handshake, ask once and close, so many times."""
    context = trusting()
    for _ in range(count):
        with context.wrap_socket(socket.create_connection((HOST, port), PATIENCE)) as sock:
            ask(sock, CLOSING)


def kept_connection(port: int, count: int, context: ssl.SSLContext | None) -> None:
    """Ask so many times on one connection; over TLS if there is a context."""
    sock = socket.create_connection((HOST, port), PATIENCE)
    with context.wrap_socket(sock) if context else sock as sock:
        for _ in range(count):
            ask(sock, KEEPING)


def cost(session: int, count: int, clients: Callable[[], None]) -> float:
    """Return the microseconds of CPU that the server uses for each of ``count``."""
    before = cpu_seconds(session)
    clients()
    return (cpu_seconds(session) - before) / count * 1e6


# ------------------------------------------------------------------------------------------------- the hostile clients


class Hostile:
    """Clients that do not finish a handshake. One that the server has closed comes again within a second."""

    def __init__(self, port: int, of_each_kind: int) -> None:
        self._port = port
        self._selector = selectors.DefaultSelector()
        self._sent: dict[socket.socket, tuple[bytes, int]] = {}
        self._closed: list[bytes] = []
        for text in [b"", STARTED, KEEPING] * of_each_kind:
            self._come(text)

    def _come(self, text: bytes) -> None:
        sock = socket.create_connection((HOST, self._port), PATIENCE)
        sock.setblocking(False)
        self._selector.register(sock, selectors.EVENT_READ)
        self._sent[sock] = (text, 0)
        if text is KEEPING:
            sock.send(text)

    def run(self) -> None:
        """Go on until the process is killed."""
        at = time.monotonic() + 1
        while True:
            for key, _ in self._selector.select(max(at - time.monotonic(), 0)):
                assert isinstance(key.fileobj, socket.socket)
                self._read(key.fileobj)
            if time.monotonic() >= at:
                at += 1
                self._act()

    def _read(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if sock.recv(4096):
                return
        self._selector.unregister(sock)
        sock.close()
        self._closed.append(self._sent.pop(sock)[0])

    def _act(self) -> None:
        while self._closed:
            self._come(self._closed.pop())
        for sock, (text, count) in list(self._sent.items()):
            if text is STARTED:
                with contextlib.suppress(OSError):
                    sock.send(text[count : count + 1])
                    self._sent[sock] = (text, count + 1)


@contextmanager
def hostile_clients(port: int, of_each_kind: int) -> Iterator[None]:
    """Let them come, in a process of their own, and go at the end of the block."""
    words = [sys.executable, "-m", "benchmarks.tls", "--hostile", str(port), str(of_each_kind)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        timer = threading.Timer(COME_WITHIN, process.kill)
        timer.start()
        try:
            if process.stdout.readline() != "there\n":
                raise ServerFailed(f"the hostile clients could not connect within {COME_WITHIN:g} s")
            timer.cancel()
            yield
        finally:
            timer.cancel()
            process.kill()


# ---------------------------------------------------------------------------------------------------------- the report


def certificate(folder: Path, kind: str) -> Path:
    """Write a certificate with its key, and return the file. ``kind``: ``ECDSA`` (P-256) or ``RSA`` (2048 bits)."""
    try:
        import trustme
    except ImportError:
        raise BenchError("trustme, which makes the certificates, is not installed; install the extra bench.") from None
    pem, key = folder / f"{kind}.pem", trustme.KeyType[kind]
    issued = trustme.CA(key_type=key).issue_cert("localhost", key_type=key)
    issued.private_key_and_cert_chain_pem.write_to_path(str(pem))
    return pem


def spread(values: Sequence[float]) -> str:
    """Write the median, and the least and the most, as cells of a table."""
    return f"{statistics.median(values):,.1f} | {min(values):,.1f} to {max(values):,.1f}"


def connections(pem: Path, options: argparse.Namespace) -> Iterator[str]:
    """Yield what a new connection costs, beside the bare server."""
    figures: dict[str, list[float]] = {OURS: [], BARE: []}
    for _ in range(options.rounds):
        for name, found in figures.items():
            with served(name, pem) as (_, port, session):
                new_connections(port, options.new)
                found.append(cost(session, options.new, lambda port=port: new_connections(port, options.new)))  # type: ignore[misc]
    for name, found in figures.items():
        each = f"{1e6 / statistics.median(found):,.0f} a second and core"
        yield f"| a new connection with one request, {pem.stem}, {name}, us of CPU ({each}) | {spread(found)} |"


def requests(pem: Path, options: argparse.Namespace) -> Iterator[str]:
    """Yield what a request on a kept connection costs, plain and over TLS."""
    plain: list[float] = []
    over_tls: list[float] = []
    count, context = options.kept, trusting()
    with served(OURS, pem) as server:
        for _ in range(options.rounds):
            plain.append(cost(server.session, count, lambda: kept_connection(server.plain, count, None)))
            over_tls.append(cost(server.session, count, lambda: kept_connection(server.tls, count, context)))
    more = [with_tls - without for with_tls, without in zip(over_tls, plain, strict=True)]
    for name, found in (("plain", plain), ("TLS", over_tls), ("what TLS adds", more)):
        yield f"| a request on a kept connection, {name}, us of CPU | {spread(found)} |"


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
    yield f"| p99 of honest clients, alone, ms | {spread(alone)} |"
    yield f"| p99 of honest clients, beside {3 * options.hostile_of_each} hostile ones, ms | {spread(beside)} |"
    yield f"| the ratio of the two in each round | {statistics.median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f} |"


HEADING = "| | median | least to most |\n| --- | --: | --: |"


def measured(options: argparse.Namespace) -> Iterator[str]:
    """Measure, and yield the lines of the table."""
    load.find_wrk()
    yield HEADING
    with tempfile.TemporaryDirectory() as name:
        pems = [certificate(Path(name), kind) for kind in ("ECDSA", "RSA")]
        for pem in pems:
            yield from connections(pem, options)
        yield from requests(pems[0], options)
        yield from crowd(pems[0], options)


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tls", description=(__doc__ or "").splitlines()[1])
    parser.add_argument("--rounds", type=int, default=5, help="repetitions of each measurement (%(default)s)")
    parser.add_argument("--new", type=int, default=1_000, help="new connections in a round (%(default)s)")
    parser.add_argument("--kept", type=int, default=20_000, help="requests on a kept connection (%(default)s)")
    parser.add_argument("--seconds", type=int, default=5, help="length of a load of honest clients (%(default)s)")
    parser.add_argument("--hostile-of-each", type=int, default=100, help="hostile clients of each kind (%(default)s)")
    parser.add_argument("--table", metavar="FILE", help="write the table here")
    parser.add_argument("--serve", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--hostile", nargs=2, type=int, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print. Returns the exit status: 1 when the measurement could not be made."""
    options = arguments(argv)
    if options.serve:
        name, tls_port, pem, port = options.serve
        SERVE[name](int(port), int(tls_port), pem)
        return 0
    if options.hostile:
        hostile = Hostile(*options.hostile)
        say("there")
        hostile.run()
    lines = []
    try:
        for line in measured(options):
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
