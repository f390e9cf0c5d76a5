"""The admin listener: there when nothing else is, and never in the way."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pastepool.errors import StartError
from pastepool.runtime.watching import admin_listener
from pastepool.server import Server
from pastepool.settings import read
from pastepool.testing import FakeClock
from pastepool.watch.app import WatchApp
from pastepool.watch.options import WatchOptions
from tests.server.commands import Command, arguments, configuration, get
from tests.server.serving import Client, Response, plain
from tests.waiting import WATCHDOG, until
from tests.watch.watching import Held, watched

FULL: dict[str, Any] = {
    "threadpool_workers": 2,
    "threadpool_max_workers": 2,
    "threadpool_spawn_if_under": 0,
    "threadpool_hung_thread_limit": "20ms",
    "queue_limit": 1,
}


def assert_guarded(response: Response) -> None:
    """The headers that keep a browser from doing anything with an answer but show it."""
    assert response.fields["content-security-policy"].startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in response.fields["content-security-policy"]
    assert response.fields["x-content-type-options"] == "nosniff"
    assert response.fields["cache-control"] == "no-store"


def test_page_answers_when_everything_hangs() -> None:
    """Every worker hung, the cap reached, the backlog full: the page still comes in every kind, and health says so."""
    with Held() as held, watched(held, **FULL) as run, contextlib.ExitStack() as clients:
        for number in range(3):
            clients.enter_context(run.client()).ask(f"/{number}")
        held.await_calls(2)
        until(lambda: run.state()["backlog"]["length"] == 1, "the backlog is full")
        with run.client() as late:
            assert late.get("/late").status == 503
        until(lambda: run.state()["pool"]["counts"]["hung"] == 2, "all are hung")
        assert b"GET /0" in run.ask("/").body
        text = run.ask("/", "Accept: text/plain").body.decode()
        assert "2 hung" in text and max(map(len, text.splitlines())) <= 100
        health = run.ask("/health")
        assert (health.status, json.loads(health.body)) == (503, {"status": "hung"})
        assert json.loads(run.ask("/api/v1/counters").body)["pastepool_workers_hung"] == 2
        held.release()


def test_health_is_good_when_somebody_can_serve() -> None:
    """200 and a word."""
    with watched(plain()) as run:
        until(lambda: run.ask("/health").status == 200, "a worker is ready")
        assert json.loads(run.ask("/health").body) == {"status": "ok"}


def test_events_stream_without_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """An open stream sends state after state on one connection, and every worker stays idle."""
    monkeypatch.setattr("pastepool.watch.showing.POLL_EVERY", 0.01)
    with watched(plain()) as run, contextlib.closing(Client(run.admin_port)) as client:
        client.ask("/api/v1/events", "Host: localhost", version="1.0")
        assert b"text/event-stream" in client.read_until(b"\r\n\r\n")
        for _ in range(3):
            event = client.read_until(b"\n\n")
            assert event.startswith(b"event: state\ndata: {")
        state = json.loads(event.split(b"data: ", 1)[1])
        assert state["transport"]["stream"] and not [row for row in state["workers"] if row["serial"]]


def test_streams_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit a stream is one event that ends, and a stream that is left makes room again."""
    monkeypatch.setattr("pastepool.watch.app.STREAM_LIMIT", 1)
    monkeypatch.setattr("pastepool.watch.showing.POLL_EVERY", 0.01)
    with watched(plain()) as run:
        with contextlib.closing(Client(run.admin_port)) as client:
            client.ask("/api/v1/events", "Host: localhost", version="1.0")
            client.read_until(b"\n\n")
            assert run.ask("/api/v1/events").body.startswith(b"retry: ")

        def streams() -> bool:
            with contextlib.closing(Client(run.admin_port)) as another:
                another.ask("/api/v1/events", "Host: localhost", version="1.0")
                another.read_until(b"\r\n\r\n")
                return another.read_until(b"\n\n").startswith(b"event: ")

        until(streams, "the place is free again")


def test_connection_is_kept_and_pipelined_requests_are_answered() -> None:
    """Several requests on one connection, also sent at once, each with its own answer."""
    with watched(plain()) as run, contextlib.closing(Client(run.admin_port)) as client:
        request = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
        client.send(request * 3)
        assert [json.loads(client.response().body)["status"] for _ in range(3)][1:] in (["ok"] * 2, ["hung"] * 2)
        client.send(
            b"POST /api/v1/dump HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        )
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 100")
        client.send(b"a=1")
        assert client.response().status == 403


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET rubbish\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n", 413),
        (b"GET /" + b"x" * 10000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    ],
)
def test_what_is_no_request_is_refused(sent: bytes, status: int) -> None:
    """The same parser, the same limits, the same refusals as in the main server."""
    with watched(plain()) as run, contextlib.closing(Client(run.admin_port)) as client:
        client.send(sent)
        response = client.response()
        assert response.status == status and response.closes
        assert_guarded(response)


def test_idle_connections_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the limit the connection that has been idle longest goes, so that an operator always gets in."""
    monkeypatch.setattr(admin_listener, "CONNECTION_LIMIT", 3)
    with watched(plain()) as run, contextlib.ExitStack() as stack:
        idle = [stack.enter_context(contextlib.closing(Client(run.admin_port))) for _ in range(3)]
        assert idle[2].get("/health", version="1.0").status in (200, 503)
        for _ in range(5):
            assert run.ask("/api/v1/state").status == 200


def test_connections_that_all_work_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """When none is idle the next one is told 503 and turned away."""
    monkeypatch.setattr(admin_listener, "CONNECTION_LIMIT", 1)
    with watched(plain()) as run, contextlib.closing(Client(run.admin_port)) as streaming:
        streaming.ask("/api/v1/events", "Host: localhost", version="1.0")
        streaming.read_until(b"\n\n")
        refused = run.ask("/health")
        assert refused.status == 503 and b"limit of 1 connections" in refused.body
        assert_guarded(refused)


@pytest.mark.parametrize("sent", [b"", b"G", b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n12"])
def test_silent_and_unfinished_clients_do_not_lock_the_operator_out(sent: bytes) -> None:
    """Of more clients than there may be, each with its first byte or half of a request, the oldest make room."""
    limit = admin_listener.CONNECTION_LIMIT
    with watched(plain()) as run, contextlib.ExitStack() as stack:
        clients = []
        for _ in range(limit + 2):
            clients.append(stack.enter_context(contextlib.closing(Client(run.admin_port))))
            clients[-1].send(sent)
        for _ in range(3):
            assert run.ask("/api/v1/state").status == 200
        assert all(client.ended() for client in clients[:3])
        assert clients[-1].is_silent()


class _Pieces:
    """A socket that gives one piece at a time, nine seconds after it was asked. ``waits``: how long each might take."""

    def __init__(self, clock: FakeClock, *pieces: bytes) -> None:
        self._clock = clock
        self._pieces = list(pieces)
        self.waits: list[float] = []

    def settimeout(self, seconds: float) -> None:
        self.waits.append(seconds)

    def recv(self, size: int) -> bytes:
        self._clock.advance(9.0)
        return self._pieces.pop(0)


def test_request_that_began_behind_another_has_no_more_time() -> None:
    """Its limit counts from the look that found its first bytes, not from the first byte that comes after that."""
    clock = FakeClock()
    sock = _Pieces(clock, b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HT", b"TP/1.1\r\n", b"Host: a\r\n\r\n")
    admin: Any = SimpleNamespace(clock=clock)
    conversation = admin_listener._Conversation(admin, sock, {})  # type: ignore[arg-type]
    assert conversation._read() is not None
    conversation._engine.next_request()
    assert conversation._read() is not None
    assert sock.waits == [admin_listener.IDLE_FOR, admin_listener.REQUEST_WITHIN, admin_listener.REQUEST_WITHIN - 9]
    conversation._engine.close()


def test_address_that_is_not_admitted_gets_no_thread(caplog: pytest.LogCaptureFixture) -> None:
    """It is refused when it connects, before it has sent anything, and told why; the log says so once."""
    with watched(plain(), admin_allow_from="127.0.0.1") as run:
        for _ in range(3):
            stranger = socket.create_connection(("127.0.0.1", run.admin_port), WATCHDOG, ("127.0.0.2", 0))
            with contextlib.closing(stranger):
                answer = stranger.makefile("rb").read()
            assert answer.startswith(b"HTTP/1.1 403 ")
            assert b"127.0.0.2 is not let in" in answer
        assert not run.server.parts.admin._conversations  # type: ignore[union-attr]
        assert run.ask("/health").status == 200
    assert caplog.text.count("127.0.0.2: refused by the admin listener") == 1


def test_turned_away_client_leaves_no_parser_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parser and engine refer to each other. Where a client is turned away, they are taken apart."""
    made: list[Any] = []

    class Noted(admin_listener._Conversation):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(admin_listener, "CONNECTION_LIMIT", 1)
    monkeypatch.setattr(admin_listener, "_Conversation", Noted)
    with watched(plain()) as run, contextlib.closing(Client(run.admin_port)) as streaming:
        streaming.ask("/api/v1/events", "Host: localhost", version="1.0")
        streaming.read_until(b"\n\n")
        assert run.ask("/health").status == 503
        assert run.ask("/health").status == 503
        until(lambda: all(each._engine._parser is None for each in made[1:]), "the parsers are dropped")
        assert len(made) == 3


def test_close_hangs_up_even_if_accepting_does_not_end() -> None:
    """A thread that accepts and is stuck does not keep the connections open."""
    with watched(plain()) as run, contextlib.closing(Client(run.admin_port)) as client:
        listener = run.server.parts.admin
        assert listener is not None
        client.ask("/health", "Host: localhost", "Connection: keep-alive", version="1.0")
        assert client.response().status in (200, 503)
        listener._finished = _Never()  # type: ignore[assignment]
        listener.close(0.01)
        assert client.ended()


class _Never:
    """An event that never comes."""

    def wait(self, seconds: float) -> bool:
        return False

    def set(self) -> None: ...


def test_page_that_fails_is_answered_500(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake of ours costs one answer and a line in the log, not the listener."""
    with watched(plain()) as run:
        with monkeypatch.context() as patch:
            patch.setattr("pastepool.watch.showing.text_table", lambda state: 1 / 0)
            failed = run.ask("/", "Accept: text/plain")
            assert failed.status == 500
            assert_guarded(failed)
        assert run.ask("/", "Accept: text/plain").status == 200
    assert "the page of the admin listener failed" in caplog.text


def test_port_that_is_taken_is_told_and_nothing_stays_open() -> None:
    """One sentence, and the main port is free again."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = read({"port": 0, "admin_listen": f"127.0.0.1:{taken.getsockname()[1]}"})
        server = Server(settings, plain(), WatchApp(WatchOptions()))
        with pytest.raises(StartError, match="the port is taken"):
            server.bind()
        assert server.listeners == ()


def test_token_guards_the_admin_listener() -> None:
    """The same rules as for the mounted page."""
    with watched(plain(), token="correct-horse-battery") as run:
        assert run.ask("/api/v1/state").status == 401
        assert run.ask("/api/v1/state", "Authorization: Bearer correct-horse-battery").status == 200
        assert run.ask("/api/v1/dump", "X-Pastepool-Token: correct-horse-battery", method="POST").status == 200


def test_listener_answers_until_the_drain_is_over() -> None:
    """While the server waits for a hung request to end, the page still shows which."""
    with (
        Held() as held,
        watched(held, threadpool_workers=1, threadpool_spawn_if_under=1) as run,
        run.client() as client,
    ):
        client.ask("/last")
        held.await_calls()
        run.server.stop()
        until(lambda: run.state()["pool"]["draining"], "the server stops")
        assert [row["title"] for row in run.busy()] == ["GET /last"]
        assert json.loads(run.ask("/health").body) == {"status": "stopping"}
        held.release()
        assert client.response().status == 200
        run.thread.join(WATCHDOG)


def test_no_listener_without_the_option() -> None:
    """Off by default: no socket, no thread."""
    server = Server(read({"port": 0}), plain())
    server.bind()[0].close()
    assert server.admin_listeners == ()


def test_demonstration_opens_it_from_the_command_line(tmp_path: Path) -> None:
    """``paster serve development.ini admin_listen=...`` is all it takes to follow the manual."""
    ini = configuration("development.ini", tmp_path)
    given = ("http_port=0", "admin_listen=127.0.0.1:0", "admin_allow_kill=true")
    with Command(arguments("paster", ini, *given), tmp_path) as command:
        port = int(command.read_until(re.compile(r"threads are shown on http://127\.0\.0\.1:(\d+)"))[1])
        status, body = get(port, "/api/v1/state")
        assert status == 200 and json.loads(body)["actions"]["kill"]


def test_two_pages_share_one_look() -> None:
    """The mounted page and the admin listener look at the same pool through the same observer."""
    with watched(plain()) as run:
        server_view = run.server.parts.paste_pool.server_view
        assert server_view is not None
        run.state(admin=True)
        shared = server_view.common["watch"]
        run.state(admin=False)
        assert server_view.common == {"watch": shared}
