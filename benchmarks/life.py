"""
What a reload, a recycled process, a death and a deadlock cost the clients: ``python -m benchmarks.life``.

Each server runs two processes with ten threads, and an application that takes a second to load. Two loads ask for 10 ms
of work each: one on kept connections, one with a new connection for each request. They are measured for a while without
any event, and then for as long with one event in it: so the 99th percentile has something to be compared with. Then:

* the parent is killed while eight requests run: how many of them are answered, and when the port can be bound again;
* requests a second with two processes, divided by those with one. Each request computes for a millisecond.

The other servers are in the extra ``bench``.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import signal
import socket
import statistics
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks import load, report
from benchmarks.errors import BenchError, ServerFailed
from benchmarks.load import Answered, Load
from benchmarks.servers import HOST, ROOT, SERVERS, THREADS, Running, Server, running

APPLICATION = "benchmarks.life_app:app"
PASTER = Path(sysconfig.get_path("scripts"), "paster")
KEPT = Load("/block-10ms", connections=8)
NEW = Load("/block-10ms", connections=4, headers=(("Connection", "close"),))
COMPUTING = Load("/spin-1ms", connections=16)
STANDS_STILL_FOR = 3
"""Seconds after which a server that notices it replaces a process that stands still."""
RECYCLE_AFTER = 3_000
"""Requests of one process. The two loads ask for at most 1,200 a second."""
AT_ONCE = 8
BEGUN_WITHIN = 0.3
SETTLES_IN = 3.0
"""Seconds after which all processes of a server are ready, if one is: each takes one to load the application."""
FREE_WITHIN = 10.0
PATIENCE = 5.0
RELOAD, RECYCLE, KILL, DEADLOCK = "reload", "recycle", "worker killed", "deadlock"
TIMES = {RECYCLE: 3, DEADLOCK: 2}
"""How many times as long as usual an event is measured: pastepool recycles no process in its first ten seconds."""


@dataclass(frozen=True)
class Fleet:
    """
    How to run one server with several processes. ``name``: that of its row in ``servers.SERVERS``.

    ``command``: makes the command for a port, a number of processes, and a number of requests after which a process is
    replaced (0 for never). ``reload``: asks for new code; gets the pid of the parent. ``cannot``: the events that the
    server has no means for, each with a sentence.
    """

    name: str
    command: Callable[[int, int, int], list[str]]
    reload: Callable[[int], None]
    cannot: dict[str, str] = field(default_factory=dict)

    def server(self, processes: int = 2, recycle_after: int = 0) -> Server:
        """Return the row for this number of processes."""
        row = next(row for row in SERVERS if row.name == self.name)
        return replace(row, command=lambda port: self.command(port, processes, recycle_after))


def _hup(pid: int) -> None:
    os.kill(pid, signal.SIGHUP)


def _pastepool(port: int, processes: int, recycle_after: int) -> list[str]:
    values = {"http_port": port, "fleet": processes, "recycle": recycle_after, "patience": STANDS_STILL_FOR}
    return [
        *(str(PASTER), "serve", str(ROOT / "benchmarks" / "life.ini")),
        *(f"{name}={value}" for name, value in values.items()),
    ]


def _gunicorn(port: int, processes: int, recycle_after: int) -> list[str]:
    return [
        *(sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--workers", str(processes)),
        *("--threads", str(THREADS), "--no-control-socket", "--log-level", "error"),
        *("--timeout", str(STANDS_STILL_FOR), "--max-requests", str(recycle_after)),
        *("--bind", f"{HOST}:{port}", APPLICATION),
    ]


def _granian(port: int, processes: int, recycle_after: int) -> list[str]:
    return [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--workers", str(processes), "--no-ws"),
        *("--blocking-threads", str(THREADS), "--respawn-failed-workers", "--log-level", "error"),
        *("--host", HOST, "--port", str(port), APPLICATION),
    ]


_CHAIN = Path(tempfile.gettempdir(), f"pastepool-bench-{os.getpid()}")
"""The file that uWSGI watches: when it changes, the processes are replaced one after the other."""


def _uwsgi(port: int, processes: int, recycle_after: int) -> list[str]:
    _CHAIN.touch()
    return [
        *(sys.executable, "-c", "import sys, pyuwsgi; pyuwsgi.run(sys.argv[1:])", "--master", "--lazy-apps"),
        *("--http-socket", f"{HOST}:{port}", "--add-header", "Connection: close", "--listen", "128"),
        *("--processes", str(processes), "--threads", str(THREADS), "--disable-logging", "--die-on-term", "--need-app"),
        *("--max-requests", str(recycle_after), "--harakiri", str(STANDS_STILL_FOR)),
        *("--touch-chain-reload", str(_CHAIN)),
        *("--pythonpath", str(ROOT), "--virtualenv", sys.prefix, "--module", APPLICATION),
    ]


FLEETS: tuple[Fleet, ...] = (
    Fleet("pastepool", _pastepool, _hup),
    Fleet("gthread", _gunicorn, _hup),
    Fleet(
        "granian",
        _granian,
        _hup,
        {RECYCLE: "has no limit on requests", DEADLOCK: "does not notice it"},
    ),
    Fleet("uwsgi", _uwsgi, lambda pid: os.utime(_CHAIN)),
)


# ---------------------------------------------------------------------------------------------------------- the events


def ask(port: int, path: str, patience: float = PATIENCE) -> bytes:
    """Ask once on a new connection. Raises: OSError or HTTPException: there was no answer."""
    asking = http.client.HTTPConnection(HOST, port, timeout=patience)
    try:
        asking.request("GET", path, headers={"Connection": "close"})
        return asking.getresponse().read()
    finally:
        asking.close()


def kill_a_worker(port: int) -> None:
    """Kill the process that answers."""
    os.kill(int(ask(port, "/pid")), signal.SIGKILL)


def stop_a_worker(port: int) -> None:
    """Let a process stand still. The request gets no answer."""

    def stuck() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            ask(port, "/stuck", FREE_WITHIN)

    threading.Thread(target=stuck, daemon=True).start()


@dataclass(frozen=True)
class Cost:
    """
    What the clients saw in both loads: of the 99th percentiles and the worst answers the larger one counts.

    ``ratio``: the 99th percentile, divided by that of the quiet time before; 0 if it was not compared.
    """

    errors: int
    p99_ms: float
    worst_ms: float
    ratio: float = 0.0

    @classmethod
    def of(cls, both: Sequence[Answered]) -> Cost:
        """Put both loads together."""
        errors = sum(each.errors for each in both)
        return cls(errors, max(each.p99_ms for each in both), max(each.max_ms for each in both))

    def beside(self, quiet: Cost) -> Cost:
        """Compare with the time before."""
        return replace(self, ratio=self.p99_ms / quiet.p99_ms)


def cells(rounds: Sequence[Cost]) -> str:
    """Write what several rounds have shown: the medians of the 99th percentiles and ratios, the worst of the rest."""
    p99, ratio = (statistics.median(getattr(each, name) for each in rounds) for name in ("p99_ms", "ratio"))
    errors, worst = (max(getattr(each, name) for each in rounds) for name in ("errors", "worst_ms"))
    return f"{errors:,} | {p99:,.1f} | {ratio:.2f} | {worst:,.0f}"


def loaded(port: int, seconds: int, happen: Callable[[], None] = lambda: None) -> Cost:
    """Send both loads for ``seconds``, and let something happen after a quarter of them."""
    with load.started(KEPT, port, seconds) as kept, load.started(NEW, port, seconds) as new:
        time.sleep(seconds / 4)
        happen()
        return Cost.of([load.finish(kept, seconds), load.finish(new, seconds)])


def happening(fleet: Fleet, event: str, started: Running) -> Callable[[], None]:
    """Return what makes the event happen."""
    return {
        RELOAD: lambda: fleet.reload(started.session),
        RECYCLE: lambda: None,
        KILL: lambda: kill_a_worker(started.port),
        DEADLOCK: lambda: stop_a_worker(started.port),
    }[event]


@contextlib.contextmanager
def settled(server: Server) -> Iterator[Running]:
    """Run a server while the block runs, from when all of its processes are ready."""
    with running(server) as started:
        time.sleep(SETTLES_IN)
        yield started


def disturbed(fleet: Fleet, event: str, options: argparse.Namespace) -> str:
    """Measure one event. Returns a row of the table."""
    if event in fleet.cannot:
        return f"| {event} | {fleet.name} | {fleet.cannot[event]} | | | |"
    rounds = []
    for _ in range(options.rounds):
        with settled(fleet.server(recycle_after=RECYCLE_AFTER if event == RECYCLE else 0)) as started:
            loaded(started.port, 1)
            quiet = loaded(started.port, options.seconds)
            seconds = options.seconds * TIMES.get(event, 1)
            rounds.append(loaded(started.port, seconds, happening(fleet, event, started)).beside(quiet))
    return f"| {event} | {fleet.name} | {cells(rounds)} |"


class Begun(threading.Thread):
    """A request of a second that has begun. ``answered``: whether it got its whole answer."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.answered = False
        self._port = port

    def run(self) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            self.answered = bool(ask(self._port, "/second"))


def free_after(port: int) -> float:
    """Return after how many seconds the port can be bound; infinity if it cannot within ``FREE_WITHIN``."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < FREE_WITHIN:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            probe.listen()
            return passed
        time.sleep(0.01)
    return float("inf")


def orphaned(fleet: Fleet) -> str:
    """Kill the parent while requests run. Returns a row of the table."""
    row = ""
    try:
        with settled(fleet.server()) as started:
            requests = [Begun(started.port) for _ in range(AT_ONCE)]
            for request in requests:
                request.start()
            time.sleep(BEGUN_WITHIN)
            os.kill(started.session, signal.SIGKILL)
            free = free_after(started.port)
            for request in requests:
                request.join(PATIENCE)
            when = f"{free:.2f} s" if free < FREE_WITHIN else f"not within {FREE_WITHIN:g} s"
            row = f"| {fleet.name} | {sum(request.answered for request in requests)} of {AT_ONCE} | {when} |"
    except ServerFailed:
        if not row:
            raise
    return row


def throughput(fleet: Fleet, options: argparse.Namespace) -> str:
    """Compare two processes with one. Returns a row of the table."""
    rates = []
    for processes in (1, 2):
        with settled(fleet.server(processes)) as started:
            load.run(COMPUTING, started.port, 1)
            rates.append(load.run(COMPUTING, started.port, options.seconds).rate)
    return f"| {fleet.name} | {rates[0]:,.0f} | {rates[1]:,.0f} | {rates[1] / rates[0]:.2f} |"


# ---------------------------------------------------------------------------------------------------------- the report


EVENTS = (
    "| event | server | errors | p99, ms | p99 beside that without the event | worst answer, ms |\n"
    "| --- | --- | --: | --: | --: | --: |"
)
ORPHANS = "| parent killed | requests in progress that were answered | port free after |\n| --- | --- | --- |"
SPEED = "| requests a second | 1 process | 2 processes | ratio |\n| --- | --: | --: | --: |"


def tables(fleets: Sequence[Fleet], options: argparse.Namespace) -> Iterator[str]:
    """Measure, and yield the lines of the tables. A server that fails gets a line that says so."""
    yield EVENTS
    for event in (RELOAD, RECYCLE, KILL, DEADLOCK):
        for fleet in fleets:
            yield _row(lambda fleet=fleet, event=event: disturbed(fleet, event, options), f"{event} | {fleet.name}")  # type: ignore[misc]
    yield "\n" + ORPHANS
    for fleet in fleets:
        yield _row(lambda fleet=fleet: orphaned(fleet), fleet.name)  # type: ignore[misc]
    yield "\n" + SPEED
    for fleet in fleets:
        yield _row(lambda fleet=fleet: throughput(fleet, options), fleet.name)  # type: ignore[misc]


def _row(measure: Callable[[], str], name: str) -> str:
    try:
        return measure()
    except (ServerFailed, OSError, http.client.HTTPException) as failure:
        return f"| {name} | failed: {failure} |"


def present(names: str | None) -> list[Fleet]:
    """Return the fleets that are asked for and whose servers are installed. Raises: BenchError: there is none."""
    wanted = names.split(",") if names else [fleet.name for fleet in FLEETS]
    unknown = set(wanted) - {fleet.name for fleet in FLEETS}
    if unknown:
        known = ", ".join(fleet.name for fleet in FLEETS)
        raise BenchError(f"{', '.join(sorted(unknown))}: not one of {known}.")
    found = []
    for fleet in FLEETS:
        missing = fleet.server().missing() if fleet.name in wanted else ""
        if missing:
            say(missing)
        elif fleet.name in wanted:
            found.append(fleet)
    if not found:
        raise BenchError("None of the servers asked for is installed here; install the extra bench.")
    return found


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.life", description=(__doc__ or "").splitlines()[1])
    parser.add_argument("--servers", metavar="NAME,...", help=", ".join(fleet.name for fleet in FLEETS))
    parser.add_argument("--rounds", type=int, default=1, help="repetitions of each event (%(default)s)")
    parser.add_argument("--seconds", type=int, default=8, help="length of one load (%(default)s)")
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
        load.find_wrk()
        for line in tables(present(options.servers), options):
            say(line)
            lines.append(line)
    except BenchError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        _CHAIN.unlink(missing_ok=True)
    if options.table:
        report.write(options.table, "\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
