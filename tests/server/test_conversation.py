"""HTTP/1.1 as a client meets it on a real socket: persistence, pipelining, framing, expectations, targets."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from pastepool.core.dispatch import LONG, PASS_ABOVE
from pastepool.runtime.http import transmitting
from pastepool.runtime.http.connection import NEVER, Connection, Waiting
from pastepool.runtime.sockets import readiness
from pastepool.runtime.sockets.readiness import READ
from tests.server.conftest import Serve
from tests.server.serving import Environ, Held, Running, body_echo, path_echo, plain
from tests.waiting import until

pytestmark = pytest.mark.over_tls

HTTP_DATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")


def only_connection(run: Running) -> Connection:
    """What the server knows of its one client."""
    (connection,) = run.server.parts.poller.connections.values()
    return connection


def pieces(environ: Environ, start_response: Callable[..., Any]) -> Iterator[bytes]:
    """A response of unknown length, in pieces."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return iter([b"one ", b"", b"two ", b"three"])


def test_keep_alive_is_the_default_of_http_1_1(serve: Serve) -> None:
    """Many requests are answered on one connection, each with Date, Server and its length."""
    run = serve(path_echo)
    with run.client() as client:
        for number in range(50):
            response = client.get(f"/{number}")
            assert (response.status, response.body) == (200, b"/%d" % number)
            assert HTTP_DATE.fullmatch(response.fields["date"])
            assert response.fields["server"] == "pastepool"
            assert not response.closes
        assert run.connections == 1


def test_connection_close_is_obeyed(serve: Serve) -> None:
    """A client that asks for the end of the connection is told of it and gets it."""
    with serve(path_echo).client() as client:
        assert client.get("/a", "Connection: close").closes
        assert client.ended()


def test_16_requests_in_one_packet_are_answered_in_order(serve: Serve) -> None:
    """Pipelined requests are answered one after the other, none twice and none left out."""
    with serve(path_echo).client() as client:
        client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number for number in range(16)))
        assert [client.response().body for _ in range(16)] == [b"/%d" % number for number in range(16)]
        assert client.is_silent()


def test_pipelined_requests_with_content_are_told_apart(serve: Serve) -> None:
    """Content-Length, chunked content and no content may follow each other in one packet."""
    with serve(body_echo).client() as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nfirst"
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nsec\r\n3\r\nond\r\n0\r\n\r\n"
            b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nfourth"
        )
        assert [client.response().body for _ in range(4)] == [b"first", b"second", b"", b"fourth"]


@pytest.mark.parametrize("workers", [1, 4])
def test_slow_pipelined_requests_are_answered_in_order(serve: Serve, workers: int) -> None:
    """The order holds also where calls are so slow that each is run by another worker."""
    delay = threading.Event()

    def slow(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        delay.wait(0.02)
        start_response("200 OK", [])
        return [b"%s %s" % (environ["PATH_INFO"].encode(), threading.current_thread().name.encode())]

    with serve(slow, threadpool_workers=workers).client() as client:
        client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number for number in range(16)))
        bodies = [client.response().body for _ in range(16)]
    assert [body.split()[0] for body in bodies] == [b"/%d" % number for number in range(16)]
    if workers > 1:
        assert len({body.split(b" ", 1)[1] for body in bodies}) > 1


def test_request_cut_in_two_by_packets_while_the_one_before_runs(serve: Serve) -> None:
    """The end of a pipelined request that arrives while a worker has the connection is read when the worker is done."""
    with Held(path_echo, lambda environ: environ["PATH_INFO"] == "/first") as app:
        run = serve(app)
        with run.client() as client:
            client.send(b"GET /first HTTP/1.1\r\nHost: h\r\n\r\nGET /second HTTP/1.1\r\nHo")
            app.await_calls()
            client.send(b"st: h\r\n")
            until(lambda: only_connection(run).watched != READ, "the server knows that more has come")
            app.release()
            assert client.response().body == b"/first"
            client.send(b"\r\n")
            assert client.response().body == b"/second"


def test_content_cut_in_two_by_packets_while_the_request_before_runs(serve: Serve) -> None:
    """The same for content."""
    with Held(body_echo, lambda environ: environ["PATH_INFO"] == "/first") as app:
        run = serve(app)
        with run.client() as client:
            client.send(
                b"GET /first HTTP/1.1\r\nHost: h\r\n\r\nPOST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n01"
            )
            app.await_calls()
            client.send(b"234")
            until(lambda: only_connection(run).watched != READ, "the server knows that more has come")
            app.release()
            assert client.response().body == b""
            client.send(b"56789")
            assert client.response().body == b"0123456789"


def test_request_byte_by_byte(serve: Serve) -> None:
    """However a request is cut by the network, it is the same request."""
    with serve(body_echo).client() as client:
        for byte in b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwiki\r\n0\r\n\r\n":
            client.send(bytes([byte]))
        assert client.response().body == b"wiki"


def test_chunked_content_is_decoded_and_its_trailers_dropped(serve: Serve) -> None:
    """The application reads plain content with its length; chunk extensions and trailers never reach it."""
    seen: dict[str, Any] = {}

    def app(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        seen.update(environ)
        return list(body_echo(environ, start_response))

    with serve(app).client() as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5;name=value\r\nhello\r\n6\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n"
        )
        assert client.response().body == b"hello world"
        assert seen["CONTENT_LENGTH"] == "11"
        assert not {"HTTP_X_TRAILER", "HTTP_TRANSFER_ENCODING"} & set(seen)
        assert client.get("/again").status == 200


def test_response_of_unknown_length_is_chunked_and_the_connection_lives(serve: Serve) -> None:
    """HTTP/1.1 gets chunks, and its next answer on the same connection."""
    with serve(pieces).client() as client:
        for _ in range(3):
            response = client.get()
            assert (response.chunked, response.body) == (True, b"one two three")
            assert not response.closes


def test_expectation_is_met_once_and_before_the_content(serve: Serve) -> None:
    """``100 Continue`` comes when the head has come, once, and only then does the client send."""
    with serve(body_echo).client() as client:
        client.ask("/", "Expect: 100-continue", "Content-Length: 8", method="POST")
        assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"1234")
        client.send(b"5678")
        assert client.response().body == b"12345678"
        assert client.get("/again", body=b"next", method="POST").body == b"next"


def test_expectation_of_chunked_content(serve: Serve) -> None:
    """The same for content whose length is not known beforehand."""
    with serve(body_echo).client() as client:
        client.ask("/", "Expect: 100-continue", "Transfer-Encoding: chunked", method="PUT")
        assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"3\r\nabc\r\n0\r\n\r\n")
        assert client.response().body == b"abc"


def test_expectation_of_content_that_has_come_is_not_answered(serve: Serve) -> None:
    """A client that sends the content without waiting gets the final answer alone."""
    with serve(body_echo).client() as client:
        client.ask("/", "Expect: 100-continue", method="POST", body=b"impatient")
        assert client.response().body == b"impatient"
        assert client.is_silent()


def test_expectation_of_http_1_0_is_ignored(serve: Serve) -> None:
    """An HTTP/1.0 client would not understand an interim answer."""
    with serve(body_echo).client() as client:
        client.ask("/", "Expect: 100-continue", "Content-Length: 2", method="POST", version="1.0")
        client.send(b"ab")
        assert client.rest().startswith(b"HTTP/1.1 200 ")


def test_refused_expectation_ends_before_the_content(serve: Serve) -> None:
    """Content too large is refused at its announcement: no ``100 Continue``."""
    with serve(body_echo, max_body_bytes=10).client() as client:
        client.ask("/", "Expect: 100-continue", "Content-Length: 11", method="POST")
        response = client.response()
        assert (response.status, response.closes) == (413, True)


@pytest.mark.parametrize("app", [plain(b"twelve bytes"), pieces])
def test_head_is_answered_without_content(serve: Serve, app: Callable[..., Any]) -> None:
    """HEAD gets the head alone, and the connection goes on after it."""
    with serve(app).client() as client:
        whole = client.get("/")
        head = client.get("/", method="HEAD")
        assert (head.status, head.body) == (200, b"")
        assert head.fields.get("content-length") == whole.fields.get("content-length")
        assert client.get("/").body == whole.body


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("body", [[], [b""], [b"must not be sent"], [b"in ", b"pieces"]])
def test_status_without_content_has_none(serve: Serve, status: str, body: list[bytes]) -> None:
    """Whatever the application returns, 204 and 304 end with their heads."""

    def app(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/after":
            return path_echo(environ, start_response)
        start_response(status, [])
        return body if len(body) < 2 else iter(body)

    with serve(app).client() as client:
        response = client.get("/")
        assert (response.status, response.body) == (int(status[:3]), b"")
        assert "transfer-encoding" not in response.fields
        assert client.get("/after").body == b"/after"


def test_http_1_0_closes_unless_asked_not_to(serve: Serve) -> None:
    """Without ``Connection: keep-alive`` the old protocol ends after one answer; with it, it goes on and says so."""
    run = serve(path_echo)
    with run.client() as client:
        assert client.get("/a", version="1.0").closes
        assert client.ended()
    with run.client() as client:
        for _ in range(3):
            response = client.get("/a", "Connection: keep-alive", version="1.0")
            assert response.fields["connection"].lower() == "keep-alive"
            assert response.body == b"/a"
        assert client.get("/a", version="1.0").closes
        assert client.ended()


def test_http_1_0_never_gets_chunks(serve: Serve) -> None:
    """Content of unknown length ends with the connection there, even if keep-alive was asked for."""
    with serve(pieces).client() as client:
        response = client.get("/", "Connection: keep-alive", version="1.0")
        assert (response.chunked, response.body, response.closes) == (False, b"one two three", True)


def test_protocol_version_1_0_answers_in_it_and_closes(serve: Serve) -> None:
    """``protocol_version = HTTP/1.0`` answers every client in the old protocol, whatever the application returns."""
    for app in (plain(b"whole"), pieces):
        run = serve(app, protocol_version="HTTP/1.0", health_path="/health")
        with run.client() as client:
            response = client.get("/", "Connection: keep-alive")
            assert (response.version, response.chunked, response.closes) == ("HTTP/1.0", False, True)
            assert client.ended()


def test_absolute_form_names_host_and_path(serve: Serve) -> None:
    """A target that is a whole URL is taken apart, and its host replaces the field's (RFC 9112 3.2.2)."""

    def app(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [])
        parts = (environ[key] for key in ("HTTP_HOST", "PATH_INFO", "QUERY_STRING", "REQUEST_URI"))
        return [" ".join(parts).encode("latin-1")]

    response = serve(app).get("http://other.example:81/a%20b?q=1")
    assert response.body == b"other.example:81 /a b q=1 http://other.example:81/a%20b?q=1"


def test_options_of_the_server_itself_needs_no_application(serve: Serve) -> None:
    """``OPTIONS *`` asks about the server, which answers itself and goes on with the connection (RFC 9110 9.3.7)."""

    def never(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        raise AssertionError("the application was asked")

    with serve(never).client() as client:
        for _ in range(2):
            response = client.get("*", method="OPTIONS")
            assert (response.status, response.body, response.closes) == (200, b"", False)
            assert "date" in response.fields


def test_options_among_pipelined_requests_keep_their_place(serve: Serve) -> None:
    """What the server answers itself is answered in order, too."""
    with serve(path_echo, health_path="/health").client() as client:
        order = [b"GET /1", b"OPTIONS *", b"GET /2", b"GET /health", b"GET /health", b"GET /3"]
        client.send(b"".join(line + b" HTTP/1.1\r\nHost: h\r\n\r\n" for line in order))
        bodies = [client.response().body for _ in order]
        assert bodies == [b"/1", b"", b"/2", b"ok\n", b"ok\n", b"/3"]


def test_upgrade_is_declined_and_the_request_answered(serve: Serve) -> None:
    """A client that offers HTTP/2 or WebSocket is answered in HTTP/1.1 (RFC 9110 7.8), content and all."""
    with serve(body_echo).client() as client:
        fields = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")
        for body in (b"", b"abc"):
            assert client.get("/", *fields, method="POST", body=body).body == body


def test_client_that_closes_its_half_gets_its_answer(serve: Serve) -> None:
    """``SHUT_WR`` behind a request means "no more from me", not "I am gone": the answer still comes, then the end."""
    with Held() as app:
        run = serve(app)
        for release_at_once in (True, False):
            with run.client() as client:
                client.ask("/half")
                client.sock.shutdown(socket.SHUT_WR)
                app.await_calls()
                if release_at_once:
                    app.release()
                assert client.response().body == b"/half"
                assert client.ended()


def test_client_that_closes_its_half_gets_all_its_answers(serve: Serve) -> None:
    """The same for 16 requests in one packet, as ``printf ... | nc`` sends them."""
    with serve(path_echo).client() as client:
        client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number for number in range(16)))
        client.sock.shutdown(socket.SHUT_WR)
        assert [client.response().body for _ in range(16)] == [b"/%d" % number for number in range(16)]
        assert client.ended()


def test_client_that_closes_its_half_gets_a_large_answer(serve: Serve) -> None:
    """Also an answer that the socket cannot take at once, and one that begins when the server knows of it already."""
    body = b"x" * 8_000_000
    with Held(plain(body), lambda environ: environ["PATH_INFO"] == "/held") as app:
        run = serve(app)
        for path in ("/", "/held"):
            with run.client(receive_buffer=65536) as client:
                client.ask(path)
                client.sock.shutdown(socket.SHUT_WR)
                if path == "/held":
                    app.await_calls()
                    until(lambda: only_connection(run).gone, "the server knows of the half-close")
                    app.release()
                assert client.response().body == body
                assert client.ended()


def test_request_left_to_the_backlog_by_a_leader_is_run_by_it(serve: Serve) -> None:
    """Requests that arrive together where calls are slow are shared out; with nobody to share, none is stranded."""
    run = serve(path_echo, threadpool_workers=1)
    with run.client() as first, run.client() as second:
        first.get("/warm")
        second.get("/warm")

        def both_at_once() -> None:
            run.server.parts.pool.expected_wait = 0.01
            first.ask("/first")
            second.ask("/second")

        run.server.parts.waker.ask(both_at_once)
        assert first.response().body == b"/first"
        assert second.response().body == b"/second"


def test_sending_makes_no_call_long(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A send waits for the GIL while many workers are about, and calls that look long keep many workers about. So only the
    application's own time decides whether the leader passes the baton: a server came out of that state in seconds, or
    not at all, at half its requests a second.
    """
    monkeypatch.setattr(transmitting, "held_send", lambda sock, data: 0)
    run = serve(path_echo)
    with run.client() as client:
        client.get("/first")
        connection = only_connection(run)
        send = connection.send

        def send_late(data: bytes) -> int:
            began = time.monotonic()
            until(lambda: time.monotonic() > began + LONG, "another thread gives the GIL back")
            return send(data)

        connection.send = send_late
        pool = run.server.parts.pool
        pool.expected_wait = 10 * PASS_ABOVE
        for each in range(50):
            assert client.get(f"/{each}").body == b"/%d" % each
        assert pool.expected_wait < PASS_ABOVE
        assert not pool.long_kinds.names


def test_server_without_epoll(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no epoll everything but the knowledge that a client has hung up works the same."""
    monkeypatch.delattr(readiness.select, "epoll", raising=False)
    large = b"x" * 3_000_000
    with Held(path_echo, lambda environ: environ["PATH_INFO"] == "/held") as app:

        def either(environ: Environ, start_response: Callable[..., Any]) -> Any:
            return (plain(large) if environ["PATH_INFO"] == "/large" else app)(environ, start_response)

        run = serve(either)
        for _ in range(30):
            with run.client() as short:
                assert short.get("/short", "Connection: close").body == b"/short"
        with run.client(receive_buffer=4096) as client:
            client.send(b"GET /held HTTP/1.1\r\nHost: h\r\n\r\nGET /two HTTP/1.1\r\nHost: h\r\n")
            app.await_calls()
            client.send(b"\r\nGET /large HTTP/1.1\r\nHost: h\r\n\r\n")
            assert run.get("/other").body == b"/other"
            app.release()
            assert [client.response().body for _ in range(3)] == [b"/held", b"/two", large]


def test_connection_given_back_always_has_a_deadline(serve: Serve) -> None:
    """
    A worker may give a connection back while the poller still takes it for the worker's and clears its deadline: who
    takes it back sets it, or it would never end.
    """
    run = serve(path_echo)
    with run.client() as client:
        client.get("/")
        server, connection = run.server, only_connection(run)

        def take_back() -> None:
            connection.waiting, connection.deadline = Waiting.WORKER, NEVER
            server.parts.shared.returning.give_back(connection)

        server.parts.waker.ask(take_back)
        until(lambda: connection.waiting is Waiting.NEXT, "it is taken back")
        assert connection.deadline < NEVER
        assert client.get("/again").body == b"/again"
