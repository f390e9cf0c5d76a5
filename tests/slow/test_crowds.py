"""Crowds of slow clients beside ten workers: honest clients are served as if they were not there."""

from __future__ import annotations

import contextlib
import resource
import socket
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from pastepool.runtime.http.connection import Connection
from tests.server.serving import Client, Environ, Running, running
from tests.waiting import Stopwatch, until

pytestmark = pytest.mark.slow

CROWD = 500
HONEST = 1.0
"""Seconds an honest request may take beside them; alone it takes a millisecond."""

LARGE = b"x" * 8_000_000


PIECE = b"x" * 16_384
PIECES = 192
"""A response of 3 MB in pieces; the kernel takes some 2.5 MB of it."""

P99 = 0.1
"""Seconds within which 99 of 100 honest requests are answered beside readers of pieces."""


def app(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """A small answer, a large one, one in pieces, or the size of what was sent."""
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/large":
        return [LARGE]
    if environ["PATH_INFO"] == "/pieces":
        return (PIECE for _ in range(PIECES))
    return [str(len(environ["wsgi.input"].read())).encode()]


def idle(client: Client) -> None:
    """Connects and says nothing."""


def half_a_head(client: Client) -> None:
    """Begins a request."""
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\nX-Slow: ")


def half_a_body(client: Client) -> None:
    """Announces more content than it sends."""
    client.ask("/", "Content-Length: 100000", method="POST")
    client.send(b"x" * 2000)


def does_not_read(client: Client) -> None:
    """Asks for 8 MB and reads none of it."""
    client.ask("/large")


def does_not_read_pieces(client: Client) -> None:
    """The same for 3 MB in pieces."""
    client.ask("/pieces")


def reads_a_little(run: Running, clients: list[Client], turn: int) -> None:
    """A tenth of the clients read 2 KB each."""
    for client in clients[turn % 10 :: 10]:
        with contextlib.suppress(BlockingIOError):
            client.sock.recv(2048, socket.MSG_DONTWAIT)


def leaves(run: Running, clients: list[Client], turn: int) -> None:
    """One client leaves, and another one comes in its place."""
    clients[turn].close()
    clients[turn] = run.client(receive_buffer=4096)
    does_not_read_pieces(clients[turn])


def does_nothing(run: Running, clients: list[Client], turn: int) -> None:
    """Nobody reads."""


def dribble(client: Client) -> None:
    """One more byte of whatever it is."""
    with contextlib.suppress(OSError):
        client.send(b"y")


KINDS = [idle, half_a_head, half_a_body, does_not_read, does_not_read_pieces]
READERS = (does_not_read, does_not_read_pieces)


@pytest.fixture(autouse=True)
def many_descriptors() -> Iterator[None]:
    """Room for both ends of every connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 14 * CROWD
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"the hard limit on open files is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def crowd(run: Running, *kinds: Callable[[Client], None]) -> Iterator[list[Client]]:
    """So many clients of each kind, all connected."""
    with contextlib.ExitStack() as stack:
        clients = []
        for kind in kinds:
            for _ in range(CROWD):
                clients.append(stack.enter_context(run.client(receive_buffer=4096)))
                kind(clients[-1])
        yield clients


def settle(run: Running, clients: int, readers: int) -> None:
    """Wait until all have been taken in: filling the kernel's buffers for 500 readers is a gigabyte of work."""

    def settled() -> bool:
        return len(there(run)) == clients and sum(1 for connection in there(run) if connection.output) == readers

    until(settled, "the crowd is there", 60)


def honest_request(run: Running) -> float:
    """How long a new client waits for his answer, content and all."""
    began = time.monotonic()
    with run.client() as client:
        assert client.get("/", method="POST", body=b"x" * 10_000).body == b"10000"
    return time.monotonic() - began


@pytest.mark.parametrize("kind", KINDS)
def test_500_slow_clients_delay_nobody(kind: Callable[[Client], None]) -> None:
    """500 of a kind occupy no worker: honest requests are answered at once, also while they dribble."""
    with running(app, threadpool_workers=10) as run, crowd(run, kind) as clients:
        settle(run, CROWD, CROWD if kind in READERS else 0)
        slowest = 0.0
        for number in range(100):
            if kind in (half_a_head, half_a_body):
                for client in clients[number::20]:
                    dribble(client)
            slowest = max(slowest, honest_request(run))
        assert slowest < HONEST
        until(lambda: run.connections == CROWD, "only the crowd is left, and all of it")


def test_500_slow_clients_of_each_kind_at_once_delay_nobody() -> None:
    """The same with all of them."""
    with running(app, threadpool_workers=10) as run, crowd(run, *KINDS):
        settle(run, len(KINDS) * CROWD, len(READERS) * CROWD)
        assert max(honest_request(run) for _ in range(100)) < HONEST


@pytest.mark.parametrize("kind", [idle, half_a_head, half_a_body])
def test_500_slow_clients_are_gone_at_their_deadline(kind: Callable[[Client], None]) -> None:
    """Each ends at its own absolute deadline, however it dribbles; nobody is delayed while they are shown the door."""
    options = {"header_timeout": 1.5, "body_timeout": 0.5}
    with running(app, threadpool_workers=10, **options) as run, crowd(run, kind) as clients:
        slowest = honest_request(run)
        deadline = time.monotonic() + 20
        while run.connections:
            assert time.monotonic() < deadline, f"{run.connections} are left"
            if kind in (half_a_head, half_a_body):
                for client in clients[::10]:
                    dribble(client)
            slowest = max(slowest, honest_request(run))
        assert slowest < HONEST


@pytest.mark.parametrize("act", [does_nothing, reads_a_little, leaves])
def test_honest_requests_beside_500_readers_of_pieces(act: Callable[[Running, list[Client], int], None]) -> None:
    """99 of 100 are answered within a tenth of a second, and no worker waits for any of the readers."""
    with running(app, threadpool_workers=10) as run, crowd(run, does_not_read_pieces) as clients:
        settle(run, CROWD, CROWD)
        until(lambda: all(one.output and one.output.finished for one in there(run)), "every response is made", 60)
        took = []
        for turn in range(300):
            act(run, clients, turn)
            watch = Stopwatch()
            honest_request(run)
            took.append(max(0.0, watch.net()))
        assert statistics.quantiles(took, n=100)[98] < P99
        assert len(run.server.parts.pool.workers) == 10
        for client in clients:
            client.close()  # those that came later too


def there(run: Running) -> list[Connection]:
    """The connections that are open."""
    return list(run.server.parts.poller.connections.values())


@pytest.mark.parametrize("reader", READERS)
def test_500_clients_that_do_not_read_are_gone_at_their_deadline(reader: Callable[[Client], None]) -> None:
    """The same for those; what their responses held is let go."""
    with running(app, threadpool_workers=10, send_timeout=1) as run, crowd(run, reader):
        honest_request(run)  # it is accepted behind all of them
        until(lambda: run.connections == 0, "all are gone", 30)
        assert run.server.parts.shared.spool_room.taken == 0
        assert honest_request(run) < HONEST
