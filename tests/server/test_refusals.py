"""What a client is told that breaks HTTP or a limit: a status, a short text, and the end of the connection."""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.server.conftest import Serve
from tests.server.serving import Client, Environ, Response, Running, body_echo, path_echo, plain
from tests.waiting import Stopwatch, until

pytestmark = pytest.mark.over_tls

HEAD = b"GET / HTTP/1.1\r\nHost: h\r\n"

BROKEN = [
    pytest.param(400, b"GET / HTTP/1.1\r\n\r\n", id="no Host"),
    pytest.param(400, HEAD + b"Host: i\r\n\r\n", id="two Hosts"),
    pytest.param(400, b"GET nonsense HTTP/1.1\r\nHost: h\r\n\r\n", id="no path"),
    pytest.param(400, HEAD + b"Bad Field: 1\r\n\r\n", id="space in a field name"),
    pytest.param(400, HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", id="both framings"),
    pytest.param(400, HEAD + b"Content-Length: +3\r\n\r\n", id="signed length"),
    pytest.param(400, HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n", id="bad chunk size"),
    pytest.param(400, b"GET /\x00 HTTP/1.1\r\nHost: h\r\n\r\n", id="NUL in the target"),
    pytest.param(400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="TLS handshake"),
    pytest.param(413, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n", id="content announced too large"),
    pytest.param(
        413,
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n",
        id="chunked content too large",
    ),
    pytest.param(414, b"GET /" + b"x" * 500 + b" HTTP/1.1\r\nHost: h\r\n\r\n", id="target too long"),
    pytest.param(417, HEAD + b"Expect: a-miracle\r\n\r\n", id="unknown expectation"),
    pytest.param(431, HEAD + b"X: 1\r\n" * 20 + b"\r\n", id="too many fields"),
    pytest.param(431, HEAD + b"X: " + b"x" * 2000 + b"\r\n\r\n", id="head too large"),
    pytest.param(431, HEAD + b"X: " + b"x" * 2000, id="head too large and unfinished"),
    pytest.param(400, b"BR{W /pot HTTP/1.1\r\nHost: h\r\n\r\n", id="method that is no token"),
    pytest.param(501, b"X" * 33 + b" /pot HTTP/1.1\r\nHost: h\r\n\r\n", id="method that is too long"),
    pytest.param(501, b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", id="CONNECT"),
    pytest.param(501, HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n", id="unknown transfer coding"),
    pytest.param(505, b"GET / HTTP/2.0\r\nHost: h\r\n\r\n", id="HTTP/2.0"),
    pytest.param(505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2 preface"),
]

LIMITS = {"max_body_bytes": 1000, "max_request_target": 200, "max_header_bytes": 1500, "max_header_count": 15}


def check_refusal(response: Response) -> None:
    """A refusal is a short text with the fields every response carries, and the last one."""
    assert re.fullmatch(rb"[^\n]{10,200}\n", response.body), response.body
    assert response.fields["content-type"].startswith("text/plain")
    assert response.fields["server"] == "pastepool"
    assert "GMT" in response.fields["date"]
    assert response.closes


@pytest.mark.parametrize(("status", "request_bytes"), BROKEN)
def test_broken_request_is_refused(serve: Serve, status: int, request_bytes: bytes) -> None:
    """Each breach has its status; the connection ends after the answer, and the server goes on."""
    run = serve(body_echo, **LIMITS)
    with run.client() as client:
        client.send(request_bytes)
        response = client.response()
        check_refusal(response)
        assert (response.status, response.version) == (status, "HTTP/1.1")
        assert client.ended()
    assert run.get("/", method="POST", body=b"still here").body == b"still here"


def test_refusal_behind_an_answer_keeps_its_place(serve: Serve) -> None:
    """A good request is answered before the bad one behind it in the same packet is refused; nothing after that is."""
    with serve(path_echo).client() as client:
        good = b"GET /good HTTP/1.1\r\nHost: h\r\n\r\n"
        client.send(good + b"GET / HTTP/1.1\r\n\r\n" + good)
        assert client.response().body == b"/good"
        assert client.response().status == 400
        assert client.ended()


def test_refusal_reaches_a_client_that_goes_on_sending(serve: Serve) -> None:
    """Content that is on its way is read and dropped for a moment, so that no reset overtakes the answer."""
    with serve(body_echo, max_body_bytes=1000).client() as client:
        client.ask("/", "Content-Length: 500000", method="POST")
        client.send(b"x" * 500_000)
        check_refusal(client.response())


def test_refusals_are_logged_for_the_operator_on_one_line(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """``pastepool.http`` says at INFO who was refused and why; nothing the client sent can begin a line of its own."""
    with serve(path_echo).client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\nX: \x01\n2026-01-01 forged\r\n\r\n")
        assert client.response().status == 400
    records = [record for record in caplog.records if record.name == "pastepool.http"]
    assert [record.levelno for record in records] == [logging.INFO]
    assert re.fullmatch(r"127\.0\.0\.1: refused with 400: [^\n]+", records[0].getMessage())


def test_header_dribble_ends_at_an_absolute_deadline(serve: Serve) -> None:
    """A byte now and then does not put ``header_timeout`` off."""
    run = serve(path_echo, header_timeout=0.3)
    with run.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\nX: ")
        response = dribble(run, client, 0.3)
        assert response.status == 408
        check_refusal(response)
        assert client.ended()


def test_header_timeout_counts_for_each_request_of_a_connection(serve: Serve) -> None:
    """The second request has its own deadline, from its first byte."""
    run = serve(path_echo, header_timeout=0.3, keep_alive_timeout=60)
    with run.client() as client:
        client.get("/first")
        client.send(b"GET /sec")
        assert dribble(run, client, 0.3).status == 408


def test_client_that_says_nothing_is_left_without_a_word(serve: Serve) -> None:
    """A connection on which no request has begun is closed at ``header_timeout``; there is nothing to answer."""
    with serve(path_echo, header_timeout=0.3).client() as client:
        assert client.rest() == b""


def test_body_dribble_ends_at_its_deadline(serve: Serve) -> None:
    """Content slower than the minimum rate is given up at ``body_timeout``, however steadily it drips."""
    run = serve(body_echo, body_timeout=0.3)
    with run.client() as client:
        client.ask("/", "Content-Length: 1000000", method="POST")
        response = dribble(run, client, 0.3)
        assert response.status == 408
        check_refusal(response)


def test_chunked_body_dribble_ends_at_its_deadline(serve: Serve) -> None:
    """The same for chunks of one byte."""
    run = serve(body_echo, body_timeout=0.3)
    with run.client() as client:
        client.ask("/", "Transfer-Encoding: chunked", method="POST")
        assert dribble(run, client, 0.3, b"1\r\nx\r\n").status == 408


def test_slow_but_honest_content_outlives_the_timeout(serve: Serve) -> None:
    """What has come buys time while more comes: content that takes three times the timeout arrives."""
    run = serve(body_echo, body_timeout=0.5)
    now = run.server.parts.clock.now
    with run.client() as client:
        client.ask("/", "Content-Length: 1000000", method="POST")
        began, sent = now(), 0
        while now() < began + 1.5:
            client.send(b"x" * 10_000)
            sent += 10_000
            threading.Event().wait(0.05)
        client.send(b"x" * (1_000_000 - sent))
        assert len(client.response().body) == 1_000_000


@pytest.mark.parametrize("framing", ["Content-Length: 4000001", "Transfer-Encoding: chunked"])
def test_content_that_stops_ends_at_its_timeout(serve: Serve, framing: str) -> None:
    """Four megabytes that came quickly are worth a quarter of an hour at the minimum rate, and buy none of it."""
    run = serve(body_echo, body_timeout=0.5)
    with run.client() as client:
        client.ask("/", framing, method="POST")
        client.send(b"3d0900\r\n" * framing.endswith("chunked") + b"x" * 4_000_000)
        watch = Stopwatch()
        response = client.response()
        check_refusal(response)
        assert response.status == 408
        assert watch.elapsed() > 0.3 and watch.net() < 2.5


def read_for(client: Client, run: Running, seconds: float, at_once: int, pause: float) -> int:
    """Read a response slowly for so long; says how much."""
    now = run.server.parts.clock.now
    began, read = now(), 0
    while now() < began + seconds:
        read += len(client.sock.recv(at_once))
        threading.Event().wait(pause)
    return read


def test_slow_but_honest_reader_outlives_the_timeout(serve: Serve) -> None:
    """
    A client that reads all the time, at a third of a megabyte a second, gets its response.

    The kernel has taken megabytes for it and reports room again only after seconds, so the server asks the kernel. It
    hears of 95 kB at a time: they take 0.3 s here, and have five times as long.
    """
    run = serve(plain(b"x" * 12_000_000), send_timeout=1.5)
    with run.client(receive_buffer=65536) as client:
        client.ask("/")
        head = len(client.read_until(b"\r\n\r\n"))
        read = len(client.read_exactly(1000)) + read_for(client, run, 4.0, 10_000, 0.03)
        assert head
        assert len(client.read_exactly(12_000_000 - read)) == 12_000_000 - read


def test_reader_that_stops_ends_at_its_timeout(serve: Serve) -> None:
    """What it has read quickly buys no time, once it reads nothing any more."""
    run = serve(plain(b"x" * 30_000_000), send_timeout=0.5)
    with run.client(receive_buffer=65536) as client:
        client.ask("/")
        client.read_exactly(15_000_000)
        watch = Stopwatch()
        until(lambda: run.connections == 0, "the connection is given up")
        assert watch.elapsed() > 0.3 and watch.net() < 2.5


def test_reader_of_a_byte_now_and_then_ends_at_its_deadline(serve: Serve) -> None:
    """A little progress all the time puts the deadline off as far as the minimum rate allows, and no further."""
    run = serve(plain(b"x" * 30_000_000), send_timeout=0.5)
    with run.client(receive_buffer=4096) as client:
        client.ask("/")
        watch = Stopwatch()
        with contextlib.suppress(ConnectionError):
            while run.connections and watch.net() < 10:
                client.sock.recv(10)
                threading.Event().wait(0.01)
        assert run.connections == 0
        assert watch.net() < 5


def test_idle_connection_ends_after_keep_alive_timeout(serve: Serve) -> None:
    """A client that asks nothing more is closed without a word."""
    with serve(path_echo, keep_alive_timeout=0.3).client() as client:
        assert client.get("/").status == 200
        assert client.rest() == b""


def test_keep_alive_timeout_begins_anew_with_each_response(serve: Serve) -> None:
    """It counts from the end of a response; requests that keep coming keep the connection."""
    run = serve(path_echo, keep_alive_timeout=0.5)
    with run.client() as client:
        began = run.server.parts.clock.now()
        while run.server.parts.clock.now() < began + 1.2:
            assert client.get("/").status == 200


@pytest.mark.parametrize("size", [4_000_000, 300_000_000])
def test_client_that_does_not_read_ends_at_send_timeout(serve: Serve, size: int) -> None:
    """An answer nobody reads is given up, whether its worker is free already or waits beyond the bounds."""
    done: list[object] = []

    def app(environ: Environ, start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", str(size))])
        try:
            for _ in range(size // 100_000):
                yield b"x" * 100_000
        finally:
            done.append(environ["PATH_INFO"])

    run = serve(app, send_timeout=0.3)
    with run.client(receive_buffer=4096) as client:
        client.ask("/large")
        until(lambda: run.connections == 1, "the client is there")
        until(lambda: run.connections == 0, "the connection is given up")
        until(lambda: done, "the application's iterable is closed")
        assert len(swallow(client)) < size


def swallow(client: Client) -> bytes:
    """Read what is left, a reset included."""
    try:
        return client.rest()
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n1"])
def test_socket_timeout_is_the_patience_of_everything(serve: Serve, sent: bytes) -> None:
    """Paste's ``socket_timeout`` (contract P18) works here: it is each of the four timeouts that is not set itself."""
    run = serve(body_echo, socket_timeout=0.3)
    watch = Stopwatch()
    with run.client() as client:
        client.send(sent)
        client.rest()
        assert watch.elapsed() > 0.25 and watch.net() < 5
    with run.client() as client:
        client.get("/")
        assert client.rest() == b""


def test_socket_timeout_of_a_client_that_does_not_read(serve: Serve) -> None:
    """The fourth: an answer nobody reads."""
    run = serve(plain(b"x" * 8_000_000), socket_timeout=0.3)
    with run.client(receive_buffer=4096) as client:
        client.ask("/")
        until(lambda: run.connections == 1, "the client is there")
        until(lambda: run.connections == 0, "the connection is given up")


def test_own_timeout_goes_before_socket_timeout(serve: Serve) -> None:
    """``socket_timeout`` leaves alone what is set itself."""
    timeouts = serve(path_echo, socket_timeout=7, body_timeout=9).server.settings.timeouts
    assert (timeouts.header, timeouts.body, timeouts.keep_alive, timeouts.send) == (7, 9, 7, 7)


def dribble(run: Running, client: Client, timeout: float, drop: bytes = b"x") -> Response:
    """Send a drop as often as we can look, until the server answers; it must not do so before its time."""
    now = run.server.parts.clock.now
    began = now()
    client.sock.settimeout(0.01)
    while True:
        try:
            client.send(drop)
            answer = client.response()
        except TimeoutError:
            assert now() < began + timeout + 5, "the deadline was put off"
            continue
        assert now() >= began + timeout - 0.05
        return answer
