"""What answers clients when no worker serves: after a while, on every kind of listener, and only then."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pastepool.desk.deputy import AT_ONCE, LOOK_EVERY, PATIENCE, Deputy
from pastepool.runtime.sockets.listener import Listener, open_all
from pastepool.runtime.system.threads import spawn_thread
from pastepool.settings import read
from pastepool.testing import FakeClock
from tests.certificates import NAME, server_pem, trusting
from tests.waiting import WATCHDOG, until

ASKS = b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"


class Stage:
    """Listeners without workers, a clock that stands still, and the deputy, which looks when the test says so."""

    def __init__(self, **options: Any) -> None:
        self.needed = True
        self.clock = FakeClock()
        settings = read({**options, **({"ssl_pem": server_pem()} if "ssl_pem" in options else {})})
        self.listeners = open_all(settings.listen, 128)
        self.deputy = Deputy(self.listeners, settings, lambda: self.needed, self.clock, spawn_thread)

    def client(self, listener: Listener | None = None) -> socket.socket:
        """Connect; the kernel accepts at once."""
        endpoint = (listener or self.listeners[0]).endpoint
        if endpoint.path:
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(endpoint.path)
        else:
            sock = socket.create_connection((endpoint.host, endpoint.port))
        sock.settimeout(WATCHDOG)
        return sock

    def pass_time(self, seconds: float) -> None:
        """Look again and again, as the thread does."""
        for _ in range(round(seconds / LOOK_EVERY)):
            self.clock.advance(LOOK_EVERY)
            self.deputy.look()

    def close(self) -> None:
        """Close the listeners."""
        for listener in self.listeners:
            listener.close()


@pytest.fixture
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A stage with the options of the test."""
    made = Stage(**{"listen": "127.0.0.1:0", **getattr(request, "param", {})})
    yield made
    made.close()


def whole(sock: socket.socket) -> bytes:
    """Read up to the end."""
    with sock:
        return b"".join(iter(lambda: sock.recv(65536), b""))


def is_silent(sock: socket.socket) -> bool:
    """Whether nothing has come."""
    sock.setblocking(False)
    try:
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    finally:
        sock.settimeout(WATCHDOG)
    return False


def test_client_that_has_waited_is_answered(stage: Stage) -> None:
    """With 503, when to come again and a short text; not before its time."""
    stage.deputy.look()
    with stage.client() as client:
        client.sendall(ASKS)
        stage.pass_time(PATIENCE - LOOK_EVERY)
        assert is_silent(client)
        stage.pass_time(2 * LOOK_EVERY)
        answer = whole(client)
    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"\r\nRetry-After: 5\r\n" in answer and b"\r\nConnection: close\r\n" in answer
    assert answer.endswith(b"\r\n\r\nThe service starts, and cannot answer yet. Please try again.\n")


def test_client_that_came_later_waits_as_long(stage: Stage) -> None:
    """The first is answered, the second not yet."""
    with stage.client() as first, stage.client() as second:
        first.sendall(ASKS)
        stage.pass_time(3.0)
        third = stage.client()
        third.sendall(ASKS)
        second.sendall(ASKS)
        stage.pass_time(PATIENCE - 3.0 + LOOK_EVERY)
        assert b" 503 " in whole(first)
        assert b" 503 " in whole(second)
        stage.pass_time(1.0)
        assert is_silent(third)
        stage.pass_time(3.0)
        assert b" 503 " in whole(third)


def test_queue_is_not_touched_while_a_worker_serves(stage: Stage) -> None:
    """Nor are those who wait then answered later for the time before."""
    with stage.client() as client:
        client.sendall(ASKS)
        stage.pass_time(PATIENCE - LOOK_EVERY)
        stage.needed = False
        stage.pass_time(10.0)
        assert is_silent(client)
        stage.needed = True
        stage.pass_time(PATIENCE - LOOK_EVERY)
        assert is_silent(client)
        accepted, _ = stage.listeners[0].socket.accept()
        accepted.close()


def test_many_are_answered(stage: Stage) -> None:
    """More than at once."""
    clients = [stage.client() for _ in range(AT_ONCE + 20)]
    for client in clients:
        client.sendall(ASKS)
    stage.pass_time(PATIENCE + LOOK_EVERY)
    answered = 0
    for client in clients[:AT_ONCE]:
        answered += b" 503 " in whole(client)
    for client in clients[AT_ONCE:]:
        until(partial(_has_turn, stage, client), "it has its turn")
        answered += b" 503 " in whole(client)
    assert answered == len(clients)


def _has_turn(stage: Stage, client: socket.socket) -> bool:
    stage.deputy.look()
    return not is_silent(client)


def test_client_without_a_request_is_closed_without_an_answer(stage: Stage) -> None:
    """A browser opens connections in advance, and takes what comes on one for the answer to its next request."""
    with stage.client() as client:
        client.shutdown(socket.SHUT_WR)
        stage.pass_time(PATIENCE + LOOK_EVERY)
        assert whole(client) == b""


def test_head_is_answered_without_a_body(stage: Stage) -> None:
    """With the fields of one."""
    with stage.client() as client:
        client.sendall(ASKS.replace(b"GET", b"HEAD"))
        stage.pass_time(PATIENCE + LOOK_EVERY)
        assert whole(client).endswith(b"\r\n\r\n")


@pytest.mark.parametrize("stage", [{"listen": "127.0.0.1:0 tls", "ssl_pem": None}], indirect=True)
def test_tls_is_answered_in_tls(stage: Stage) -> None:
    """With the certificate of the server."""
    raw = stage.client()
    stage.pass_time(PATIENCE + LOOK_EVERY)
    with trusting().wrap_socket(raw, server_hostname=NAME) as client:
        client.sendall(ASKS)
        data = b""
        try:
            while more := client.recv(65536):
                data += more
        except ssl.SSLError:  # the end without a closing alert
            pass
    assert data.startswith(b"HTTP/1.1 503 ")


@pytest.mark.parametrize("stage", [{"listen": "127.0.0.1:0 proxy", "proxy_from": "127.0.0.1"}], indirect=True)
def test_header_of_the_proxy_protocol_is_skipped(stage: Stage) -> None:
    """Also if it comes in pieces; a client without one gets nothing."""
    with stage.client() as client, stage.client() as other:
        client.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 ")
        other.sendall(ASKS)
        stage.pass_time(PATIENCE + LOOK_EVERY)
        client.sendall(b"4711 80\r\n" + ASKS)
        assert whole(client).startswith(b"HTTP/1.1 503 ")
        try:
            assert whole(other) == b""
        except ConnectionResetError:
            pass  # its bytes were not read


def test_unix_socket_is_answered(tmp_path: Path) -> None:
    """The kernel does not say how many wait there: those who came later are answered with the first."""
    stage = Stage(listen=f"unix:{tmp_path}/s")
    with stage.client() as first:
        first.sendall(ASKS)
        stage.pass_time(PATIENCE)
        with stage.client() as second:
            second.sendall(ASKS)
            stage.pass_time(2 * LOOK_EVERY)
            assert b" 503 " in whole(first)
            assert b" 503 " in whole(second)
        with stage.client() as third:
            third.sendall(ASKS)
            stage.pass_time(3.0)
            assert is_silent(third)
    stage.close()


def test_thread_of_it_ends_when_told() -> None:
    """And it answers by itself before."""
    stage = Stage(listen="127.0.0.1:0")
    stage.deputy.start()
    with stage.client() as client:
        client.sendall(ASKS)

        def is_answered() -> bool:
            stage.clock.advance(1.0)
            return not is_silent(client)

        until(is_answered, "it is answered")
        assert b" 503 " in whole(client)
    stage.deputy.close(WATCHDOG)
    stage.close()
