"""
Kill requests that write to a database, at random moments, and count what they leave.

A server runs in this process, with several clients. A part of the requests sets its own kill limit to a random time
within what it takes. The automatic garbage collector is off meanwhile: it would end by chance what a kill has left.
"""

from __future__ import annotations

import gc
import json
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from tests.server.serving import Client, Environ, Running
from tests.waiting import until

CLIENTS = 4
ROWS = 12
"""How many rows one request writes, one after the other, in one transaction."""

CLEARED_WITHIN = 20.0
"""How long the last collection may be put off, with a large heap on a busy machine."""


class Application(Protocol):
    """An application with a database. ``name``: of the library."""

    name: str

    def write(self, number: int) -> None:
        """Write ``ROWS`` rows with this number, in one transaction."""

    def left(self) -> Mapping[str, int]:
        """Count what is left taken, while nothing runs: connections, transactions, locks. All are to be 0."""

    def written(self) -> Mapping[int, int]:
        """Return how many rows there are of each number."""


@dataclass
class Account:
    """
    The result of a run.

    ``left_at_first``: what was left when the last request had ended; ``left``: and after the garbage was collected.
    ``failed``: requests that were not killed, and did not succeed. ``half``: numbers with some of their rows, or with
    none although the client was told 200.
    """

    name: str
    python: str = sys.version.split()[0]
    requests: int = 0
    kills: int = 0
    failed: list[str] = field(default_factory=list)
    half: list[int] = field(default_factory=list)
    killed_but_written: int = 0
    left_at_first: dict[str, int] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    cleared_after: float = 0.0
    longest: float = 0.0


class _Served:
    """The application as the server sees it: every other request is killed within its usual time."""

    def __init__(self, application: Application, usual: float, seed: int) -> None:
        self._application = application
        self._usual = usual
        self._random = random.Random(seed)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["QUERY_STRING"] == "kill":
            environ["pastepool.kill_after"](self._random.uniform(0.0005, self._usual))
        self._application.write(int(environ["PATH_INFO"][1:]))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"written"]


def usual_time(application: Application) -> float:
    """Return how long a request takes that is alone: the median of some."""
    times = []
    for number in range(10**8, 10**8 + 10):
        began = time.perf_counter()
        application.write(number)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def kill_many(application: Application, kills: int, seed: int = 0) -> Account:
    """Write until so many requests were killed, and count what is left."""
    account = Account(application.name)
    usual = usual_time(application) * CLIENTS
    options: dict[str, object] = {
        "threadpool_workers": CLIENTS,
        "threadpool_max_workers": 8 * CLIENTS,
        "queue_timeout": 60,
    }
    gc.collect()
    gc.disable()
    run = Running(_Served(application, usual, seed), options).start()
    try:
        told = _write(run, kills, account)
        until(lambda: not any(worker.task for worker in _workers(run)), "all killed calls have ended", CLEARED_WITHIN)
        account.left_at_first = dict(application.left())
        began = time.perf_counter()
        try:
            until(lambda: not any(application.left().values()), "nothing is left", CLEARED_WITHIN)
        except AssertionError:
            pass  # the account says what it is
        account.cleared_after = round(time.perf_counter() - began, 3)
        account.left = dict(application.left())
    finally:
        run.stop()
        gc.enable()
    _compare(application.written(), told, account)
    return account


def _workers(run: Running) -> list[Any]:
    return list(run.server.parts.pool.workers.values())


def _write(run: Running, kills: int, account: Account) -> dict[int, int]:
    """Send requests from several clients, and return the status of each by its number."""
    told: dict[int, int] = {}
    lock = threading.Lock()
    numbers = iter(range(10**9))

    def ask() -> None:
        while True:
            with lock:
                if account.kills >= kills:
                    return
                number = next(numbers)
            victim = number % 2 == 0
            began = time.perf_counter()
            with Client(run.port) as client:
                client.sock.settimeout(60)
                try:
                    status = client.get(f"/{number}?{'kill' if victim else 'live'}").status
                except (EOFError, OSError):
                    status = 0
            took = time.perf_counter() - began
            with lock:
                told[number] = status
                account.requests += 1
                account.kills += status == 504
                if not victim:
                    account.longest = round(max(account.longest, took), 3)
                if status != 200 and (not victim or status != 504):
                    account.failed.append(f"{number}: {status}")

    threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


def _compare(written: Mapping[int, int], told: Mapping[int, int], account: Account) -> None:
    for number, status in told.items():
        rows = written.get(number, 0)
        if rows not in (0, ROWS) or (status == 200 and not rows):
            account.half.append(number)
        account.killed_but_written += status == 504 and rows == ROWS


def report(account: Account) -> str:
    """Return the account as one line of JSON."""
    return json.dumps(asdict(account))
