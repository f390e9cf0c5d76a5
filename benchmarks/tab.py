"""
Measure what an open browser tab of watch_threads costs the server: ``python -m benchmarks.tab``.

Two servers answer ``hello``: one without ``admin_listen`` and one with it. The second one is measured twice: without a
tab, and with a tab that receives the stream of states. So there are three measurements. Each one is the CPU time of the
whole process for the same number of requests, from the exact clock of the kernel.

Each round makes the three measurements one after the other. The rounds use all six orders in turn. So other work of the
machine, and the effect of the measurement just before, are spread over all three. The ratios are computed within each
round. The CPU time of the thread that serves the tab is shown as well: other work of the machine hardly changes it.

After that, a server is watched whose workers all hang. It does nothing else, so its CPU time is the cost of the tab
alone. This is shown for several numbers of workers.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import load, measure, report
from benchmarks.app import app
from benchmarks.errors import BenchError, ServerFailed
from benchmarks.servers import CONNECTIONS, HOST, KEEP_ALIVE, Running, Server, free_port, running
from pastepool.core.wording import counted
from pastepool.entrypoints import http

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

NO_LISTENER, NO_TAB, ONE_TAB = "no admin_listen", "admin_listen, no tab", "admin_listen, one tab"
OWN_THREAD = "the thread that serves the tab"
LIMIT = 1.02
"""The highest ratio that is allowed: CPU time per request of hello with one tab, divided by that without a tab."""

HANG = "/hang"
HANG_FOR = 600.0
PATIENCE = 10.0
SETTLE = 1.0
"""Seconds after which the server has started completely and its workers have the requests that hang."""
READ_AT_ONCE = 262_144


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer like the application of all benchmarks; one more path hangs until the server ends."""
    if environ["PATH_INFO"] == HANG:
        threading.Event().wait(HANG_FOR)
    return app(environ, start_response)


def serve(port: int, admin_port: int, workers: int) -> None:
    """Serve until told to end. With ``admin_port`` 0 there is no admin listener."""
    admin = {"admin_listen": f"{HOST}:{admin_port}"} if admin_port else {}
    http(
        {},
        host=HOST,
        port=str(port),
        threadpool_workers=str(workers),
        threadpool_max_workers=str(workers + 10),
        queue_limit=str(CONNECTIONS),
        connection_limit=str(CONNECTIONS),
        keep_alive_timeout=str(KEEP_ALIVE),
        shutdown_timeout="1",
        **admin,
    )(application)


def server(admin_port: int, workers: int) -> Server:
    """Return the row for a server that runs ``serve``, as ``benchmarks.servers`` has rows for its servers."""
    arguments = ("--serve", str(admin_port), str(workers))
    return Server(
        name="pastepool",
        module="pastepool",
        distribution="pastepool",
        remedy="",
        command=lambda port: [sys.executable, "-m", "benchmarks.tab", *arguments, str(port)],
    )


class Tab:
    """Acts like a browser tab: it reads the stream of states as fast as it comes, and counts states and bytes."""

    def __init__(self, admin_port: int) -> None:
        self.states = 0
        self.received = 0
        self._socket = socket.create_connection((HOST, admin_port), PATIENCE)
        self._socket.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self._first = threading.Event()
        self._thread = threading.Thread(target=self._read, name="tab")

    def __enter__(self) -> Tab:
        self._thread.start()
        if not self._first.wait(PATIENCE):
            raise ServerFailed("the admin listener sent no state")
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._socket.recv(READ_AT_ONCE):
                self.received += len(data)
                self.states += data.count(b"event: state")
                if self.states:
                    self._first.set()


def cost(measured: Running, hello: load.Load) -> float:
    """Make one measurement. Returns microseconds of CPU time per request."""
    before = measure.cpu_seconds(measured.session)
    load.count(hello, measured.port)
    return (measure.cpu_seconds(measured.session) - before) / hello.requests * 1e6


def thread_seconds(pid: int) -> dict[int, float]:
    """Return the CPU seconds of each thread of a process, exact to a nanosecond (schedstat, first field)."""
    found = {}
    for entry in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            found[int(entry.name)] = int((entry / "schedstat").read_text().split()[0]) / 1e9
    return found


def rounds(number: int, requests: int) -> list[dict[str, float]]:
    """Make the three measurements ``number`` times. Returns for each round the microseconds per request by name."""
    hello, admin_port = load.Load("/hello", requests=requests), free_port()
    with running(server(0, 10)) as without, running(server(admin_port, 10)) as watched:

        def with_tab() -> dict[str, float]:
            others = thread_seconds(watched.session)
            with Tab(admin_port):
                before = thread_seconds(watched.session)
                whole = cost(watched, hello)
                after = thread_seconds(watched.session)
            own = sum(after[thread] - before[thread] for thread in (after.keys() & before.keys()) - others.keys())
            return {ONE_TAB: whole, OWN_THREAD: own / requests * 1e6}

        measures: list[Callable[[], dict[str, float]]] = [
            lambda: {NO_LISTENER: cost(without, hello)},
            lambda: {NO_TAB: cost(watched, hello)},
            with_tab,
        ]
        for measuring in measures:
            measuring()  # warm up: the first measurement of each kind does not count
        orders = itertools.islice(itertools.cycle(itertools.permutations(measures)), number)
        return [{name: each for measuring in order for name, each in measuring().items()} for order in orders]


def ratios(found: Sequence[dict[str, float]], name: str, base: str) -> list[float]:
    """Return the ratio of two costs for each round."""
    return [one[name] / one[base] for one in found]


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the median of several values, and the first and third quartile."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return middle, low, high


def tables(found: Sequence[dict[str, float]]) -> str:
    """Write the tables of costs and ratios over all rounds."""
    costs = [
        [name, f"{middle:.2f}", f"{low:.2f} to {high:.2f}"]
        for name in (NO_LISTENER, NO_TAB, ONE_TAB, OWN_THREAD)
        for middle, low, high in [spread([one[name] for one in found])]
    ]
    beside = [
        [f"{name} / {base}", f"{middle:.4f}", f"{low:.4f} to {high:.4f}"]
        for name, base in ((NO_TAB, NO_LISTENER), (ONE_TAB, NO_TAB), (OWN_THREAD, ONE_TAB))
        for middle, low, high in [spread(ratios(found, name, base))]
    ]
    return "\n\n".join(
        [
            report.markdown(["hello", "CPU per request, us (median)", "middle half"], costs),
            report.markdown(["beside each other", "ratio (median)", "middle half"], beside),
        ]
    )


@contextmanager
def hanging(port: int, number: int) -> Iterator[None]:
    """Keep ``number`` requests hanging while the block runs, one for each worker."""
    with contextlib.ExitStack() as stack:
        for _ in range(number):
            client = stack.enter_context(socket.create_connection((HOST, port), PATIENCE))
            client.sendall(f"GET {HANG} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        yield


def alone(workers: int, seconds: float) -> list[str]:
    """Watch a server whose ``workers`` all hang. Returns one row of the second table."""
    admin_port = free_port()
    with running(server(admin_port, workers)) as watched, hanging(watched.port, workers):
        time.sleep(SETTLE)
        before, began = measure.cpu_seconds(watched.session), time.monotonic()
        time.sleep(seconds)
        idle = (measure.cpu_seconds(watched.session) - before) / (time.monotonic() - began)
        with Tab(admin_port) as tab:
            states, received = tab.states, tab.received
            before, began = measure.cpu_seconds(watched.session), time.monotonic()
            time.sleep(seconds)
            lasted = time.monotonic() - began
            watching = (measure.cpu_seconds(watched.session) - before) / lasted
            states, received = tab.states - states, tab.received - received
    size = received / max(1, states) / 1024
    return [f"{workers}", f"{idle:.2%}", f"{watching:.2%}", f"{states / lasted:.2f}", f"{size:.0f} KiB"]


def main(arguments: Sequence[str]) -> int:
    """Measure and print. Returns the exit status: 1 if a tab costs more than LIMIT allows, or if measuring failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tab", description=__doc__)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--requests", type=int, default=200_000, help="of each measurement")
    parser.add_argument("--workers", default="10,100,500", help="of the servers that hang; empty for none")
    parser.add_argument("--seconds", type=float, default=10.0, help="that each of these is watched")
    parser.add_argument("--serve", nargs=3, type=int, metavar=("ADMIN", "WORKERS", "PORT"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.serve:
        admin_port, workers, port = given.serve
        serve(port, admin_port, workers)
        return 0
    try:
        found = rounds(given.rounds, given.requests)
        print(f"{counted(given.rounds, 'round')} of {given.requests} requests each.\n\n{tables(found)}\n")
        numbers = [int(word) for word in given.workers.split(",") if word]
        if numbers:
            heads = ["workers, all hung", "CPU without a tab", "CPU with one", "states a second", "size of one"]
            print(report.markdown(heads, [alone(number, given.seconds) for number in numbers]))
    except (BenchError, ServerFailed) as error:
        print(error, file=sys.stderr)
        return 1
    return int(spread(ratios(found, ONE_TAB, NO_TAB))[0] >= LIMIT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
