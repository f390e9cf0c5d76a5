"""More than the server can do: what waits, what is refused, and that it is said in time with every worker hung."""

from __future__ import annotations

import contextlib
import math
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from pastepool.errors import SettingsError
from pastepool.runtime.http.connection import Waiting
from pastepool.server import Server
from pastepool.settings import read
from tests.server.conftest import Serve
from tests.server.serving import Client, Environ, Held, Running, body_echo, path_echo
from tests.waiting import WATCHDOG, Stopwatch, until

pytestmark = pytest.mark.over_tls

LATE = 0.5
"""Seconds by which an answer that is due at once may be late on a busy machine."""


def held_path(environ: dict[str, object]) -> bool:
    """Which calls do not end by themselves."""
    return str(environ["PATH_INFO"]).startswith("/held")


@contextlib.contextmanager
def all_workers_hung(serve: Serve, workers: int = 2, **options: object) -> Iterator[tuple[Running, Held]]:
    """A server whose workers all run calls that do not end."""
    options = {"threadpool_workers": workers, "threadpool_max_workers": workers, **options}
    with contextlib.ExitStack() as stack:
        app = stack.enter_context(Held(path_echo, held_path))
        run = serve(app, **options)
        for number in range(workers):
            client = stack.enter_context(run.client())
            client.ask(f"/held/{number}")
            app.await_calls()
        yield run, app


def backlog(run: Running) -> int:
    """How many requests wait for a worker."""
    return len(run.server.parts.baton.backlog)


def test_request_waits_for_a_worker_and_is_answered(serve: Serve) -> None:
    """What finds no worker free waits in the order it came, and is answered when one is."""
    with all_workers_hung(serve, 1) as (run, app), contextlib.ExitStack() as stack:
        clients = [stack.enter_context(run.client()) for _ in range(5)]
        for number, client in enumerate(clients):
            client.ask(f"/{number}")
            until(lambda number=number: backlog(run) == number + 1, "the request waits")  # type: ignore[misc]
        app.release()
        assert [client.response().body for client in clients] == [b"/0", b"/1", b"/2", b"/3", b"/4"]
        assert app.paths[1:] == ["/0", "/1", "/2", "/3", "/4"]


def test_request_beyond_queue_limit_is_refused_at_once(serve: Serve) -> None:
    """``queue_limit`` requests wait; the next one is told so at once, with ``Retry-After`` and the connection's end."""
    with all_workers_hung(serve, queue_limit=2) as (run, app), run.client() as first, run.client() as second:
        first.ask("/first")
        second.ask("/second")
        until(lambda: backlog(run) == 2, "two requests wait")
        watch = Stopwatch()
        with run.client() as third:
            response = third.get("/third")
            assert watch.net() < LATE
            assert (response.status, response.fields["retry-after"], response.closes) == (503, "5", True)
            assert "date" in response.fields
            assert third.ended()
        app.release()
        assert (first.response().body, second.response().body) == (b"/first", b"/second")
        assert "/third" not in app.paths


def test_queue_limit_0_lets_nobody_wait(serve: Serve) -> None:
    """With ``queue_limit = 0`` a request is run now or refused now."""
    with all_workers_hung(serve, queue_limit=0) as (run, _):
        assert run.get("/now").status == 503


def test_queue_timeout_is_kept_with_all_workers_hung(serve: Serve) -> None:
    """Each request that has waited for ``queue_timeout`` is answered 503 then, not when somebody looks."""
    with all_workers_hung(serve, queue_timeout=0.4) as (run, app), run.client() as first, run.client() as second:
        asked = []
        for client in (first, second):
            client.ask("/late")
            asked.append(Stopwatch())
        for client, watch in zip((first, second), asked, strict=True):
            response = client.response()
            assert watch.elapsed() > 0.35 and watch.net() < 0.4 + LATE
            assert (response.status, response.fields["retry-after"], response.closes) == (503, "5", True)
            assert client.ended()
        app.release()
        assert run.get("/after").body == b"/after"
        assert "/late" not in app.paths


def test_health_is_answered_with_all_workers_hung(serve: Serve) -> None:
    """``health_path`` needs no worker: it is answered at once, also while the backlog is full."""
    with all_workers_hung(serve, health_path="/healthz", queue_limit=0) as (run, app), run.client() as client:
        for _ in range(3):
            watch = Stopwatch()
            response = client.get("/healthz")
            assert watch.net() < LATE
            assert (response.status, response.body, response.closes) == (200, b"ok\n", False)
            assert response.fields["cache-control"] == "no-store"
        assert run.get("/other").status == 503
        assert not {"/healthz"} & set(app.paths)


@pytest.mark.parametrize("target", ["/healthz?from=balancer", "http://host.example/healthz"])
def test_health_is_known_by_its_path(serve: Serve, target: str) -> None:
    """A query or the absolute form changes nothing; a longer path is the application's."""
    run = serve(path_echo, health_path="/healthz")
    assert run.get(target).body == b"ok\n"
    assert run.get("/healthz/more").body == b"/healthz/more"


@contextlib.contextmanager
def client_whose_socket_is_full(run: Running, takes: int) -> Iterator[Client]:
    """A client of which the server's socket takes no more than ``takes`` bytes of the next answer at once."""
    with run.client() as client:
        assert client.get("/first").status == 200
        make_full(run, takes)
        yield client


def make_full(run: Running, takes: int) -> None:
    """Let the socket of the only connection take no more than ``takes`` bytes of the next answer at once."""
    (connection,) = run.server.parts.poller.connections.values()
    real = connection.send

    def send(data: bytes) -> int:
        connection.send = real
        if takes == 0:
            raise BlockingIOError
        return real(data[:takes])

    connection.send = send  # type: ignore[assignment]


@pytest.mark.parametrize("takes", [0, 1, 30])
@pytest.mark.parametrize("closes", [False, True])
def test_health_that_the_socket_does_not_take_at_once(serve: Serve, takes: int, closes: bool) -> None:
    """The rest is sent when the socket takes it; what comes behind it is served then."""
    run = serve(path_echo, health_path="/healthz")
    with client_whose_socket_is_full(run, takes) as client:
        client.ask("/healthz", *(["Connection: close"] if closes else []))
        if not closes:
            client.ask("/behind")
        response = client.response()
        assert (response.status, response.body, response.closes) == (200, b"ok\n", closes)
        assert client.ended() if closes else client.response().body == b"/behind"


@pytest.mark.parametrize("takes", [0, 10])
def test_continue_that_the_socket_does_not_take_at_once(serve: Serve, takes: int) -> None:
    """A client that waits for 100 Continue gets it, late, and then its answer."""
    run = serve(body_echo)
    with client_whose_socket_is_full(run, takes) as client:
        client.ask("/", "Content-Length: 5", "Expect: 100-continue", method="POST")
        assert client.response().status == 100
        client.send(b"he")
        until(lambda: run.server.parts.poller._body_memory.taken == 2, "some of the content has come")
        client.send(b"llo")
        assert client.response().body == b"hello"
        assert client.get("/next", method="POST", body=b"next").body == b"next"


@pytest.mark.parametrize("takes", [0, 10])
def test_refusal_that_the_socket_does_not_take_at_once(serve: Serve, takes: int) -> None:
    """A client that breaks HTTP is told so, late, and its connection is closed."""
    run = serve(path_echo)
    with client_whose_socket_is_full(run, takes) as client:
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        response = client.response()
        assert (response.status, response.closes) == (400, True)
        assert client.ended()


def test_health_of_every_kind_of_client(serve: Serve) -> None:
    """HEAD gets no content, HTTP/1.0 its own manners, content that comes along is dropped; the connection goes on."""
    with serve(path_echo, health_path="/healthz", body_memory="1k").client() as client:
        assert client.get("/healthz", method="HEAD").fields["content-length"] == "3"
        assert client.get("/healthz", "Connection: keep-alive", version="1.0").fields["connection"] == "keep-alive"
        for size in (10, 5000):
            assert client.get("/healthz", method="POST", body=b"x" * size).body == b"ok\n"
        assert client.get("/app").body == b"/app"
        assert client.get("/healthz", "Connection: close").closes
        assert client.ended()


def test_connection_limit_closes_an_unused_connection_first(serve: Serve) -> None:
    """A new client gets the place of the one that has been idle; one that is being served keeps its own."""
    with Held(path_echo, held_path) as app:
        run = serve(app, connection_limit=3)
        with run.client() as busy, run.client() as idle, run.client() as other:
            busy.ask("/held")
            app.await_calls()
            assert idle.get("/").status == 200
            assert other.get("/").status == 200
            with run.client() as newcomer:
                assert newcomer.get("/new").body == b"/new"
                assert idle.ended()
                assert other.get("/still").body == b"/still"
                app.release()
                assert busy.response().body == b"/held"


def test_connection_limit_evicts_the_oldest_silent_or_unfinished_client(serve: Serve) -> None:
    """Those that say nothing, or only half of a request, do not shut anybody out; the longest wait ends first."""
    run = serve(path_echo, connection_limit=4)
    half_a_body = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n123"
    with contextlib.ExitStack() as stack:
        clients = []
        for number, sent in enumerate(("", "GET / HTTP/1.1\r\nHo", half_a_body, ""), start=1):
            client = stack.enter_context(run.client())
            client.send(sent.encode())
            await_newest(run, number, sent)
            clients.append(client)
        silent, half_head, half_body, last = clients
        newcomers = []
        for number in range(3):
            newcomers.append(stack.enter_context(run.client()))
            assert newcomers[-1].get(f"/{number}").status == 200
        assert silent.ended()
        for client in (half_head, half_body):
            response = client.response()
            assert (response.status, response.fields["retry-after"], response.closes) == (503, "5", True)
            assert b"limit of 4 connections" in response.body
            assert client.ended()
        assert last.get("/last").body == b"/last"
        assert [client.get("/again").status for client in newcomers] == [200] * 3
        assert run.connections == 4


def await_newest(run: Running, count: int, sent: str) -> None:
    """Wait until there are so many connections, and the newest has read what its client sent."""
    until(lambda: run.connections == count, "it is there")
    newest = list(run.server.parts.poller.connections.values())[-1]
    until(lambda: newest.engine.started == bool(sent), "its bytes are read")
    until(lambda: (newest.content is not None) == sent.endswith("123"), "its content is read")


def test_content_in_files_takes_the_places_of_connections(serve: Serve) -> None:
    """Each temporary file is a descriptor too: a file that is one too many closes the oldest; afterwards none is left."""
    run = serve(body_echo, connection_limit=3, body_memory=0)
    half = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\na"
    with run.client() as first, run.client() as second:
        first.send(half)
        until(lambda: len(run.received) == 1, "the first content is there")
        second.send(half)
        assert first.response().status == 503
        with run.client() as newcomer:
            assert newcomer.get("/").status == 200
            second.send(b"b")
            assert second.response().body == b"ab"
            assert newcomer.get("/", method="POST", body=b"cd").body == b"cd"
        until(lambda: not run.server.parts.shared.spool_room.files, "no file is left")


def test_client_that_moves_on_is_not_the_oldest(serve: Serve) -> None:
    """An upload that goes on outlives silent clients that came after it."""
    run = serve(body_echo, connection_limit=3)
    with run.client() as upload, run.client() as silent, run.client() as other:
        upload.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na")
        until(lambda: run.received == [1], "the upload has begun")
        until(lambda: run.connections == 3, "all are there")
        upload.send(b"b")
        until(lambda: run.received == [2], "it goes on")
        with run.client() as newcomer:
            assert newcomer.get("/").status == 200
            assert silent.ended()
            upload.send(b"c")
            assert upload.response().body == b"abc"
            assert other.is_silent()


def test_many_newcomers_each_get_a_place(serve: Serve) -> None:
    """A thousand silent clients, one after the other, shut nobody out: requests between them are answered."""
    run = serve(path_echo, connection_limit=50)
    with contextlib.ExitStack() as stack:
        for number in range(1000):
            stack.enter_context(run.client())
            if number % 100 == 99:
                assert run.get(f"/{number}").body == b"/%d" % number
        assert run.connections <= 50


@pytest.mark.plain_only("a client with TLS gets no answer before the handshake")
def test_connection_limit_per_address(serve: Serve) -> None:
    """One address has its own limit, another one is served, and a place that is left is given again."""
    run = serve(path_echo, connection_limit_per_address=2)
    with run.client() as first, run.client() as second:
        assert (first.get("/1").status, second.get("/2").status) == (200, 200)
        with run.client() as third:
            response = third.response()
            assert (response.status, response.fields["retry-after"], response.closes) == (503, "5", True)
            assert b"127.0.0.1 has its limit of 2 connections" in response.body
        with contextlib.closing(socket.create_connection(("127.0.0.1", run.port), WATCHDOG, ("127.0.0.2", 0))) as other:
            other.sendall(b"GET /other HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            assert other.recv(65536).startswith(b"HTTP/1.1 200")
        first.close()
        until(lambda: run.connections == 1, "one has left")
        assert run.get("/4").body == b"/4"
    until(lambda: run.connections == 0, "all have left")
    assert not run.server.parts.connections._by_address


@pytest.mark.plain_only("a client with TLS gets no answer before the handshake")
def test_connection_limit_refuses_when_nobody_is_idle(serve: Serve) -> None:
    """With every place in use a new client is told 503 at once; a place that is left is given again."""
    with all_workers_hung(serve, connection_limit=2) as (run, app):
        watch = Stopwatch()
        with run.client() as client:
            response = client.response()
            assert (response.status, response.fields["retry-after"], response.closes) == (503, "5", True)
            assert client.ended()
        assert watch.net() < LATE
        app.release()
        until(lambda: run.server.parts.baton.follower_count, "a worker is free")
        assert run.get("/again").body == b"/again"


@pytest.fixture
def unlimited() -> Iterator[tuple[Running, Held]]:
    """
    A server with one worker, which hangs, and no limit in time or number; told by a program, since a file must have one.
    """
    settings = read({"port": 0, "threadpool_workers": 1, "threadpool_max_workers": 1})
    overload = replace(settings.overload, queue_timeout=0.0, connection_limit=0)
    with Held(path_echo, held_path) as app:
        run = Running(app, {}, Server(replace(settings, overload=overload), app)).start()
        with contextlib.closing(run.client()) as client:
            client.ask("/held")
            app.await_calls()
            yield run, app
            app.release()
            run.stop()


def test_queue_timeout_0_lets_everybody_wait(unlimited: tuple[Running, Held]) -> None:
    """0 is no limit, as ``core.overload`` says: a request that waits is not given up when the next one comes."""
    run, app = unlimited
    with run.client() as first, run.client() as second:
        first.ask("/first")
        until(lambda: backlog(run) == 1, "one request waits")
        second.ask("/second")
        until(lambda: backlog(run) == 2, "two requests wait")
        app.release()
        assert (first.response().body, second.response().body) == (b"/first", b"/second")


def test_connection_limit_0_turns_nobody_away(unlimited: tuple[Running, Held]) -> None:
    """0 is no limit, as ``core.overload`` says: a client is let in, and none that is idle has to go for it."""
    run, app = unlimited
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(run.client()) for _ in range(5)]
        until(lambda: run.connections == 6, "all are in")
        app.release()
        assert [client.get("/in").body for client in clients] == [b"/in"] * 5


@pytest.mark.parametrize("name", ["queue_timeout", "connection_limit"])
def test_limit_that_a_file_must_have(name: str) -> None:
    """In a configuration file 0 is refused for the two limits that protect a server on a network."""
    with pytest.raises(SettingsError, match=name):
        read({"port": 0, name: 0})


def test_timeouts_of_0_wait_for_ever(serve: Serve) -> None:
    """``socket_timeout = 0``: no connection has a deadline, whatever its client is late with, and each is served."""
    big = b"x" * 4_000_000

    def app(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [])
        return [big if environ["PATH_INFO"] == "/big" else environ["wsgi.input"].read()]

    run = serve(app, socket_timeout=0, output_high_watermark="8m")
    connections = run.server.parts.connections.by_fd
    with run.client() as head, run.client() as body, run.client() as idle, run.client(receive_buffer=4096) as reader:
        head.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Le")
        body.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab")
        assert idle.get("/").status == 200
        reader.ask("/big")
        late = {Waiting.HEAD, Waiting.BODY, Waiting.NEXT, Waiting.READER}
        until(lambda: {one.waiting for one in list(connections.values())} == late, "each is late with something else")
        assert {one.deadline for one in connections.values()} == {math.inf}
        head.send(b"ngth: 4\r\n\r\nabcd")
        body.send(b"cd")
        assert (head.response().body, body.response().body) == (b"abcd", b"abcd")
        assert idle.get("/").status == 200
        assert reader.response().body == big


def test_client_that_goes_while_it_waits_is_dropped(serve: Serve) -> None:
    """Its request leaves the backlog, and no worker ever runs it."""
    with all_workers_hung(serve, 1) as (run, app), run.client() as stays:
        for leave in (Client.close, Client.reset):
            leaver = run.client()
            leaver.ask("/nobody-waits-for-this")
            until(lambda: backlog(run) == 1, "the request waits")
            leave(leaver)
            until(lambda: backlog(run) == 0, "the request is dropped")
        stays.ask("/stays")
        app.release()
        assert stays.response().body == b"/stays"
        assert app.paths == ["/held/0", "/stays"]


@pytest.mark.parametrize("leave", [Client.close, Client.reset])
def test_running_application_can_ask_whether_its_client_is_gone(serve: Serve, leave: Callable[[Client], None]) -> None:
    """``environ['pastepool.client_gone']()`` becomes true while the call runs, for a close and for a reset."""
    found: list[bool] = []

    def app(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        found.append(environ["pastepool.client_gone"]())
        until(environ["pastepool.client_gone"], "the client is gone")
        found.append(True)
        start_response("200 OK", [])
        return [b"to nobody"]

    run = serve(app)
    client = run.client()
    client.ask("/")
    until(lambda: found, "the call runs")
    leave(client)
    until(lambda: len(found) == 2, "the application knows")
    assert found == [False, True]
    until(lambda: run.connections == 0, "the connection is forgotten")


def test_client_that_has_sent_more_can_still_be_known_to_be_gone(serve: Serve) -> None:
    """Unread bytes in front of the farewell do not hide it."""
    with Held() as app:
        run = serve(app)
        client = run.client()
        client.ask("/one")
        app.await_calls()
        client.ask("/two")
        (connection,) = run.server.parts.poller.connections.values()
        client.close()
        until(lambda: connection.gone, "the server knows")
        app.release()
        until(lambda: run.connections == 0, "the connection is forgotten")


def test_client_that_resets_in_the_middle_of_a_request(serve: Serve) -> None:
    """Half a head or half a body and then a reset: nobody is called, and the server goes on."""
    with Held(path_echo, lambda environ: False) as app:
        run = serve(app)
        for sent in (b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n123"):
            client = run.client()
            client.send(sent)
            until(lambda: run.connections == 1, "the client is there")
            client.reset()
            until(lambda: run.connections == 0, "the client is forgotten")
        assert app.paths == []
        assert run.get("/after").body == b"/after"


def test_client_that_resets_in_the_middle_of_a_response(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """The application's iterable is closed, its worker goes on, and nobody calls it an application's failure."""
    closed: list[bool] = []

    def app(environ: Environ, start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        try:
            for _ in range(10_000):
                yield b"x" * 100_000
        finally:
            closed.append(True)

    run = serve(app, threadpool_workers=1)
    for leave in (Client.reset, Client.close):
        client = run.client(receive_buffer=4096)
        client.ask("/")
        client.read_exactly(1000)
        leave(client)
        until(lambda: closed.pop() if closed else False, "the iterable is closed")
        until(lambda: run.connections == 0, "the client is forgotten")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_500_requests_at_once_with_10_workers(serve: Serve) -> None:
    """Nobody is lost: each of 500 clients that ask at the same moment gets its own answer, once."""
    run = serve(path_echo, request_queue_size=1024)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(run.client()) for _ in range(500)]
        for number, client in enumerate(clients):
            client.ask(f"/{number}")
        deadline = time.monotonic() + WATCHDOG
        assert [client.response().body for client in clients] == [b"/%d" % number for number in range(500)]
        assert all(client.is_silent() for client in clients)
        assert time.monotonic() < deadline
