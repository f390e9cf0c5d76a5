"""
Clients of every kind at once, in threads of this process, while the page is read and the server stops: each gets its own
response, whole.

With the GIL this finds little that other tests do not. It is for a Python without the GIL, where threads run at the same time.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import random
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tests.server.serving import Client, Environ
from tests.waiting import WATCHDOG
from tests.watch.watching import Watched, watched

pytestmark = pytest.mark.slow

CLIENTS = 16
ROUNDS = 5
SECONDS = 3.0
"""How many clients, how many servers one after the other, and for how long each runs."""


def app(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Say the token of the request first, then what came with it: its digest."""
    token = environ["QUERY_STRING"].encode()
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Token", token.decode())])
    path = environ["PATH_INFO"]
    if path == "/slow":
        time.sleep(0.002)
    if path == "/pieces":
        return (b"%b %d\n" % (token, number) for number in range(50))
    if path == "/large":
        return [token, b"x" * 300_000]
    return [token, b" ", hashlib.sha256(body).hexdigest().encode()]


class Visitor:
    """
    One client, which does all kinds of things in an order of its own. ``answers``: how many responses it has checked.
    ``failure``: the first thing that was not as it must be.
    """

    def __init__(self, number: int, port: int, stopping: threading.Event) -> None:
        self.answers = 0
        self.failure: BaseException | None = None
        self.thread = threading.Thread(target=self._run, name=f"client {number}")
        self._name = f"{number}"
        self._port = port
        self._stopping = stopping
        self._random = random.Random(number)
        self._asked = 0

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._converse()
        except BaseException as error:
            self.failure = error

    def _converse(self) -> None:
        """Open a connection and do some things on it. A server that stops may end it between two responses."""
        try:
            with contextlib.closing(Client(self._port)) as client:
                for _ in range(self._random.randrange(1, 30)):
                    self._random.choice((self._ask, self._ask, self._pipeline, self._upload, self._leave))(client)
        except (EOFError, ConnectionError, OSError) as error:
            if not self._stopping.is_set() and not isinstance(error, _Left):
                raise

    def _token(self) -> str:
        self._asked += 1
        return f"client-{self._name}-{self._asked}"

    def _check(self, client: Client, token: str, body: bytes = b"") -> None:
        response = client.response()
        if self._stopping.is_set() and response.status == 503:
            raise EOFError("the server stops")
        assert (response.status, response.fields["x-token"]) == (200, token), response
        assert response.body.startswith(token.encode())
        if len(response.body) == len(token) + 65:
            assert response.body.endswith(hashlib.sha256(body).hexdigest().encode())
        self.answers += 1
        if response.closes:
            raise _Left

    def _ask(self, client: Client) -> None:
        token = self._token()
        client.ask(f"/{self._random.choice(('fast', 'fast', 'fast', 'slow', 'pieces', 'large'))}?{token}")
        self._check(client, token)

    def _pipeline(self, client: Client) -> None:
        tokens = [self._token() for _ in range(5)]
        client.send(b"".join(b"GET /fast?%b HTTP/1.1\r\nHost: h\r\n\r\n" % token.encode() for token in tokens))
        for token in tokens:
            self._check(client, token)

    def _upload(self, client: Client) -> None:
        token, body = self._token(), self._random.randbytes(self._random.choice((10, 3_000, 70_000, 700_000)))
        client.ask(f"/upload?{token}", method="POST", body=body)
        self._check(client, token, body)

    def _leave(self, client: Client) -> None:
        """Hang up in the middle of a request or of a response, some of the time."""
        if self._random.random() < 0.2:
            client.ask(f"/large?{self._token()}")
            if self._random.random() < 0.5:
                client.reset()
            raise _Left


class _Left(ConnectionError):
    """This client has ended the conversation, or was told that it is over."""


def look_at_the_page(run: Watched, stopping: threading.Event, failures: list[BaseException]) -> None:
    """Read everything that the page shows, again and again."""
    while not stopping.is_set():
        try:
            state = run.state()
            assert state["pool"]["size"] >= 1 and state["events"] is not None
        except (EOFError, ConnectionError, OSError) as error:
            if not stopping.is_set():
                failures.append(error)
                return
        except BaseException as error:
            failures.append(error)
            return


@pytest.mark.timeout(600)
def test_each_client_gets_its_own_response_whole(caplog: pytest.LogCaptureFixture) -> None:
    """Keep-alive, pipelining, uploads, downloads, hang-ups; the page is read meanwhile, and then the server stops."""
    caplog.set_level(logging.WARNING)
    answers = 0
    for round_number in range(ROUNDS):
        stopping = threading.Event()
        failures: list[BaseException] = []
        with watched(app, threadpool_workers=6, shutdown_timeout=20) as run:
            visitors = [Visitor(100 * round_number + n, run.port, stopping) for n in range(CLIENTS)]
            page = threading.Thread(target=look_at_the_page, args=(run, stopping, failures))
            for thread in (page, *(visitor.thread for visitor in visitors)):
                thread.start()
            stopping.wait(SECONDS)
            stopping.set()
            run.server.stop()
            for thread in (page, *(visitor.thread for visitor in visitors)):
                thread.join(3 * WATCHDOG)
                assert not thread.is_alive(), f"{thread.name} still waits"
            run.thread.join(3 * WATCHDOG)
            served = sum(run.server.parts.paste_pool.server_view.totals().calls)  # type: ignore[union-attr]
        checked = sum(visitor.answers for visitor in visitors)
        assert [visitor.failure for visitor in visitors if visitor.failure] == []
        assert failures == []
        assert served >= checked
        answers += checked
    assert answers > 100 * ROUNDS
    wrong = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert wrong == []
