"""Work ends soon after nothing more can be sent: the response is complete, or its client has left."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.server.conftest import Serve
from tests.server.serving import Environ
from tests.waiting import WATCHDOG, until

pytestmark = pytest.mark.over_tls


class Endless:
    """
    An application whose iterable never ends by itself. It yields a piece about a hundred times a second.

    ``began``: is set with the first piece. ``closed``: is set when the iterable is closed.
    """

    def __init__(self, piece: bytes, status: str = "200 OK", *fields: tuple[str, str], first: bytes = b"") -> None:
        self.began = threading.Event()
        self.closed = threading.Event()
        self._piece = piece
        self._status = status
        self._fields = list(fields)
        self._first = first

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response(self._status, self._fields)
        return self.pieces()

    def pieces(self) -> Iterator[bytes]:
        never = threading.Event()
        try:
            if self._first:
                yield self._first
            while True:
                self.began.set()
                never.wait(0.01)
                yield self._piece
        finally:
            self.closed.set()


COMPLETE = [
    pytest.param("HEAD", Endless(b"x" * 1000), id="HEAD"),
    pytest.param("HEAD", Endless(b""), id="HEAD of nothing"),
    pytest.param("HEAD", Endless(b"x", "200 OK", ("Content-Length", "5")), id="HEAD with a length"),
    pytest.param("GET", Endless(b"x", "204 No Content"), id="204"),
    pytest.param("GET", Endless(b"", "204 No Content"), id="204 of nothing"),
    pytest.param("GET", Endless(b"x", "304 Not Modified"), id="304"),
    pytest.param("GET", Endless(b"", "200 OK", ("Content-Length", "0")), id="length 0"),
    pytest.param("GET", Endless(b"", "200 OK", ("Content-Length", "5"), first=b"hello"), id="behind its length"),
]


@pytest.mark.parametrize(("method", "app"), COMPLETE)
def test_iterable_is_closed_when_the_response_is_complete(serve: Serve, method: str, app: Endless) -> None:
    """The client stays, has its answer, and its connection serves the next request: nothing runs on for nobody."""
    app.closed.clear()
    run = serve(app, threadpool_workers=1)
    with run.client() as client:
        for _ in range(2):
            client.get("/", method=method)
            assert app.closed.wait(WATCHDOG)
            app.closed.clear()
    until(lambda: run.connections == 0, "the connection is closed")


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("piece", [b"", b"x", b"x" * 100_000])
def test_iterable_is_closed_when_its_client_has_left(serve: Serve, piece: bytes, version: str, reset: bool) -> None:
    """Whether it yields much, little or nothing, and whether the client closes or resets the connection."""
    app = Endless(piece)
    run = serve(app, threadpool_workers=1)
    with run.client() as client:
        client.ask("/", version=version)
        assert app.began.wait(WATCHDOG)
        client.reset() if reset else client.close()
    assert app.closed.wait(WATCHDOG)
    until(lambda: run.connections == 0, "the connection is closed")


def test_iterable_is_closed_when_its_client_leaves_in_the_middle(serve: Serve) -> None:
    """The application has sent some content and yields only empty pieces from then on."""
    app = Endless(b"", first=b"hello")
    run = serve(app)
    with run.client() as client:
        client.ask("/")
        client.read_until(b"hello\r\n")
    assert app.closed.wait(WATCHDOG)


def test_iterable_that_never_calls_start_response_is_closed(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """Empty pieces before ``start_response`` are allowed, and do not keep the worker once the client has left."""
    app = Endless(b"")
    run = serve(lambda environ, start_response: app.pieces())
    with run.client() as client:
        client.ask("/")
        assert app.began.wait(WATCHDOG)
    assert app.closed.wait(WATCHDOG)
    assert "the application failed" not in caplog.text


@pytest.mark.parametrize(("method", "piece"), [("GET", b""), ("HEAD", b"x"), ("GET", b"x")])
def test_write_raises_when_the_client_has_left(serve: Serve, method: str, piece: bytes) -> None:
    """``write()`` cannot be closed, so it raises: also where it would send nothing."""
    raised = threading.Event()
    began = threading.Event()

    def app(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        write = start_response("200 OK", [])
        try:
            while True:
                write(piece)
                began.set()
                threading.Event().wait(0.01)
        except ConnectionError:
            raised.set()
            raise

    with serve(app).client() as client:
        client.ask("/", method=method)
        assert began.wait(WATCHDOG)
    assert raised.wait(WATCHDOG)


def test_client_that_closes_its_half_gets_content_behind_empty_pieces(serve: Serve) -> None:
    """Such a client looks as if it had left. It still gets what comes within a second (docs/adr/0010)."""

    def app(environ: Environ, start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        for _ in range(10):
            threading.Event().wait(0.01)
            yield b""
        yield b"content"

    with serve(app).client() as client:
        client.ask("/")
        client.sock.shutdown(socket.SHUT_WR)
        assert client.response().body == b"content"


def test_short_iterable_of_head_comes_to_its_end(serve: Serve) -> None:
    """Code behind the last ``yield`` runs for HEAD as for GET, if the iterable has no more than two pieces."""
    ran: list[str] = []

    def app(environ: Environ, start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"one"
        yield b"two"
        ran.append(environ["REQUEST_METHOD"])

    with serve(app).client() as client:
        client.get("/", method="HEAD")
        assert client.get("/").body == b"onetwo"
    assert ran == ["HEAD", "GET"]


def test_long_iterable_of_head_is_not_run(serve: Serve) -> None:
    """A HEAD of a large export costs no more than its first pieces."""
    asked: list[int] = []

    def app(environ: Environ, start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        for number in itertools.count():
            asked.append(number)
            yield b"x"

    with serve(app).client() as client:
        client.get("/", method="HEAD")
        client.get("/", method="HEAD")
    until(lambda: len(asked) == 6, "both iterables gave three pieces")
