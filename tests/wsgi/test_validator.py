"""A second opinion: the standard library's validator stands between every kind of application and the server."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from typing import Any
from wsgiref.validate import validator

import pytest

from pastepool.demo import make_app
from pastepool.testing import converse
from tests.wsgi.recording import Environ, StartResponse, dechunked

PLAIN = [("Content-Type", "text/plain")]

REQUESTS = {
    "get": b"GET /a%C3%A9/b?c=d HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nX-A: 2\r\nConnection: close\r\n\r\n",
    "head": b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "old": b"GET / HTTP/1.0\r\n\r\n",
    "absolute form": b"GET http://b:81/c?d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "post": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
    "chunked": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "upgrade": b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade, close\r\n\r\n",
}


def as_list(environ: Environ, start_response: StartResponse) -> list[bytes]:
    """Content known to its last byte."""
    start_response("200 OK", PLAIN)
    return [b"hel", b"lo"]


def as_generator(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """Content in pieces, one of them empty."""
    start_response("200 OK", PLAIN)
    yield b"hel"
    yield b""
    yield b"lo"


def by_write(environ: Environ, start_response: StartResponse) -> list[bytes]:
    """Content both ways."""
    write = start_response("200 OK", PLAIN)
    write(b"hel")
    return [b"lo"]


def by_file(environ: Environ, start_response: StartResponse) -> Any:
    """Content from a file."""
    start_response("200 OK", PLAIN)
    return environ["wsgi.file_wrapper"](io.BytesIO(b"hello"), 2)


def after_an_error(environ: Environ, start_response: StartResponse) -> list[bytes]:
    """An answer changed in time."""
    start_response("200 OK", PLAIN)
    try:
        raise ValueError("late")
    except ValueError:
        start_response("500 Sorry", PLAIN, sys.exc_info())
    return [b"hello"]


def after_reading(environ: Environ, start_response: StartResponse) -> list[bytes]:
    """An answer after reading the content in every way."""
    stream = environ["wsgi.input"]
    read = [stream.read(1), stream.readline(), *stream.readlines(), *stream]
    start_response("200 OK", [*PLAIN, ("Content-Length", "5")])
    environ["wsgi.errors"].write("")
    return [(b"".join(read) + b"hello")[-5:]]


@pytest.mark.parametrize("request_data", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("app", [as_list, as_generator, by_write, by_file, after_an_error, after_reading])
def test_validator_finds_nothing(app: Any, request_data: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    """Environ, calls, iteration and closing are as PEP 3333 says, for every form of application and request."""
    head, _, content = converse(validator(app), request_data).partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 500 Sorry\r\n"))
    if b"Transfer-Encoding" in head:
        content = b"".join(dechunked(content))
    assert content == (b"" if request_data.startswith(b"HEAD") else b"hello")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_validator_finds_nothing_where_there_is_no_content(status: str) -> None:
    """Responses without content pass as well."""

    def application(environ: Environ, start_response: StartResponse) -> list[bytes]:
        start_response(status, [])
        return []

    answer = converse(validator(application), REQUESTS["get"])  # type: ignore[arg-type]
    assert answer.startswith(b"HTTP/1.1 " + status.encode())
    assert answer.endswith(b"Connection: close\r\n\r\n")


@pytest.mark.parametrize("dribble", [0, 1])
def test_validator_finds_nothing_in_the_demonstration(dribble: int) -> None:
    """The demonstration's front page is served through the validator, whole and byte by byte."""
    answer = converse(validator(make_app({})), REQUESTS["get"].replace(b"/a%C3%A9/b", b"/"), dribble=dribble)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"</html>" in answer


def test_validator_would_have_found_something() -> None:
    """The validator is awake: an application that breaks the rules gets 500."""

    def application(environ: Environ, start_response: StartResponse) -> list[bytes]:
        start_response("200", PLAIN)
        return []

    answer = converse(validator(application), REQUESTS["get"])  # type: ignore[arg-type]
    assert answer.startswith(b"HTTP/1.1 500 ")
