"""
The hand-over of baton and tasks under load: 100,000 requests with calls of random length, in pools of different sizes.

The lengths lie around every threshold the hand-over has: far below the price of a switch, around it, and long enough
for the caretaker to take the baton from a leader that may be coming back at that very moment.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.server.conftest import Serve
from tests.server.serving import WATCHDOG, Client, Environ, until

CLIENTS = 8
PIPELINED = 10

LENGTHS = (0.0,) * 120 + (0.00003,) * 40 + (0.0001,) * 20 + (0.0005,) * 8 + (0.001,) * 6 + (0.0011, 0.002, 0.004)
"""Seconds; most calls are as short as they come, or a hundred thousand of them would take an hour."""


class Counted:
    """An application that counts how often it is called for each number, and takes as long as the request says."""

    def __init__(self, requests: int) -> None:
        self.calls = [0] * requests
        self._lock = threading.Lock()

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        number = int(environ["PATH_INFO"][1:])
        length = float(environ["QUERY_STRING"])
        if length >= 0.0005:
            time.sleep(length)
        elif length:
            until = time.perf_counter() + length
            while time.perf_counter() < until:
                pass
        with self._lock:
            self.calls[number] += 1
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"%d" % number]


class Asking(threading.Thread):
    """One client: it sends some requests at once, reads their answers, and goes on. ``wrong``: what it got instead."""

    def __init__(self, client: Client, numbers: range) -> None:
        super().__init__(name=f"client of {numbers}", daemon=True)
        self.wrong: list[str] = []
        self._client = client
        self._numbers = numbers

    def run(self) -> None:
        dice = random.Random(self._numbers.start)
        left = self._numbers
        try:
            while left:
                at_once = dice.randint(1, PIPELINED)
                self._ask(left[:at_once], dice)
                left = left[at_once:]
        except Exception as error:
            self.wrong.append(repr(error))

    def _ask(self, numbers: range, dice: random.Random) -> None:
        lines = (f"GET /{number}?{dice.choice(LENGTHS)} HTTP/1.1\r\nHost: a.example\r\n\r\n" for number in numbers)
        self._client.send("".join(lines).encode())
        for number in numbers:
            response = self._client.response()
            if (response.status, response.body) != (200, b"%d" % number):
                self.wrong.append(f"{number}: {response}")


@pytest.mark.parametrize(("workers", "requests"), [(1, 10_000), (2, 30_000), (3, 30_000), (10, 30_000)])
def test_no_request_is_lost_and_none_answered_twice(workers: int, requests: int, serve: Serve) -> None:
    """Each request is run once and answered once, in its place, however the baton goes from hand to hand."""
    assert requests % CLIENTS == 0
    app = Counted(requests)
    run = serve(app, threadpool_workers=workers, queue_limit=CLIENTS * PIPELINED)
    share = requests // CLIENTS
    clients = [run.client() for _ in range(CLIENTS)]
    asking = [Asking(client, range(each * share, (each + 1) * share)) for each, client in enumerate(clients)]
    try:
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join(20 * WATCHDOG)
        assert not any(thread.is_alive() for thread in asking)
        assert [wrong for thread in asking for wrong in thread.wrong] == []
        assert set(app.calls) == {1}
        pool = run.server.parts.pool.workers.values()
        until(lambda: sum(worker.served for worker in pool) == requests, "the workers have counted them all")
        assert min(worker.served for worker in pool) > 0, "the baton went from hand to hand"
    finally:
        for client in clients:
            client.close()
