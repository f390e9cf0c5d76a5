"""What an application gets wrong before its first byte: 500, one record in the log, and the connection goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.server.conftest import Serve
from tests.server.serving import Environ, body_echo

pytestmark = pytest.mark.over_tls

Start = Callable[..., Any]


def raises(environ: Environ, start: Start) -> Any:
    """Raises."""
    raise ValueError("before anything")


def exits(environ: Environ, start: Start) -> Any:
    """Exits."""
    raise SystemExit(1)


def forgets_start_response(environ: Environ, start: Start) -> Any:
    """Forgets start response."""
    return [b"x"]


def forgets_it_in_a_generator(environ: Environ, start: Start) -> Any:
    """Forgets it in a generator."""
    yield b"x"


def starts_twice(environ: Environ, start: Start) -> Any:
    """Starts twice."""
    start("200 OK", [])
    start("200 OK", [])
    return [b"x"]


def sends_a_hop_by_hop_field(environ: Environ, start: Start) -> Any:
    """Sends a hop by hop field."""
    start("200 OK", [("Connection", "close")])
    return [b"x"]


def sends_a_line_break(environ: Environ, start: Start) -> Any:
    """Sends a line break."""
    start("200 OK", [("X", "a\r\nb")])
    return [b"x"]


def sends_a_number_as_status(environ: Environ, start: Start) -> Any:
    """Sends a number as status."""
    start(200, [])
    return [b"x"]


def sends_an_interim_status(environ: Environ, start: Start) -> Any:
    """Sends an interim status."""
    start("100 Continue", [])
    return []


def returns_none(environ: Environ, start: Start) -> Any:
    """Returns none."""
    start("200 OK", [])


def returns_text(environ: Environ, start: Start) -> Any:
    """Returns text."""
    start("200 OK", [])
    return ["x"]


def yields_text(environ: Environ, start: Start) -> Any:
    """Yields text."""
    start("200 OK", [])
    yield "x"


def raises_in_its_first_step(environ: Environ, start: Start) -> Iterator[bytes]:
    """Raises in its first step."""
    start("200 OK", [])
    yield b""
    raise ValueError("before the first byte")


def returns_less_than_announced(environ: Environ, start: Start) -> Any:
    """Returns less than announced."""
    start("200 OK", [("Content-Length", "5")])
    return [b"x"]


def returns_more_than_announced(environ: Environ, start: Start) -> Any:
    """Returns more than announced."""
    start("200 OK", [("Content-Length", "1")])
    return [b"xyz"]


def yields_nothing_of_what_it_announced(environ: Environ, start: Start) -> Any:
    """Yields nothing of what it announced."""
    start("200 OK", [("Content-Length", "5")])
    yield b""


def sends_a_file_shorter_than_announced(environ: Environ, start: Start) -> Any:
    """Sends a file shorter than announced."""
    start("200 OK", [("Content-Length", "9999999")])
    return environ["wsgi.file_wrapper"](open(__file__, "rb"))


def raises_in_close(environ: Environ, start: Start) -> Any:
    """Raises in close."""
    start("200 OK", [])

    class Strange:
        def __iter__(self) -> Iterator[bytes]:
            raise ValueError("before the first byte")

        def close(self) -> None:
            raise KeyError("and again")

    return Strange()


FAULTS = [
    raises, exits, forgets_start_response, forgets_it_in_a_generator, starts_twice, sends_a_hop_by_hop_field,
    sends_a_line_break, sends_a_number_as_status, sends_an_interim_status, returns_none, returns_text, yields_text,
    raises_in_its_first_step, returns_less_than_announced, returns_more_than_announced,
    yields_nothing_of_what_it_announced, sends_a_file_shorter_than_announced, raises_in_close,
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_fault_before_the_first_byte_costs_no_connection(
    fault: Any, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """500 with a text, the error in the log, and the next request on the same connection is answered as ever."""

    def app(environ: Environ, start: Start) -> Any:
        return body_echo(environ, start) if environ["PATH_INFO"] == "/right" else fault(environ, start)

    with serve(app).client() as client:
        for method in ("GET", "POST"):
            client.ask("/wrong", method=method, body=b"content" if method == "POST" else b"")
            wrong = client.response()
            assert (wrong.status, wrong.closes) == (500, False)
            client.ask("/right", method="POST", body=b"right")
            right = client.response()
            assert (right.status, right.body, right.closes) == (200, b"right", False)
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 2
    assert all("the application failed; the client is told 500" in record.getMessage() for record in errors)
