"""start_response and write, to the letter of PEP 3333."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pastepool.errors import AppError, ClientGone, WorkerKilled
from tests.wsgi.recording import (
    GET,
    HEAD,
    Environ,
    RecordingWindow,
    StartResponse,
    answered,
    dechunked,
    fixed,
    parsed,
    run,
)


def test_response_has_what_the_application_and_the_server_say() -> None:
    """Status and fields of the application, Date and Server of ours, framing, then the content."""
    call = answered(fixed([b"hello"], "404 Not Found", ("Content-Type", "text/plain"), ("Content-Length", "5")))
    assert call.wire == (
        b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nDate: D\r\nServer: S\r\nContent-Length: 5\r\n\r\nhello"
    )
    assert call.code == 404


@pytest.mark.parametrize(
    ("field", "expected"),
    [("Date", b"Date: mine\r\nServer: S\r\n"), ("Server", b"Server: mine\r\nDate: D\r\n")],
)
def test_date_and_server_of_the_application_stand(field: str, expected: bytes) -> None:
    """A field of the application's own is not sent a second time by the server."""
    wire = answered(fixed([b""], "200 OK", (field, "mine"))).wire
    assert wire == b"HTTP/1.1 200 OK\r\n" + expected + b"Content-Length: 0\r\n\r\n"
    both = answered(fixed([b""], "200 OK", ("date", "a"), ("server", "b"))).wire
    assert both == b"HTTP/1.1 200 OK\r\ndate: a\r\nserver: b\r\nContent-Length: 0\r\n\r\n"


def test_code_is_zero_until_there_is_one() -> None:
    """A call that never came to start_response has no status."""
    assert run(lambda environ, start_response: []).call.code == 0


def test_start_response_twice_is_refused() -> None:
    """A second start_response without exc_info is the application's mistake; nothing was sent."""

    def application(environ: Environ, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [])
        start_response("200 OK", [])
        return [b"x"]

    ran = run(application)
    assert isinstance(ran.error, AppError)
    assert "second time without exc_info" in str(ran.error)
    assert not ran.call.sent


def test_exc_info_before_the_first_byte_replaces_the_head() -> None:
    """An application that fails before its first byte may answer something else instead."""

    def application(environ: Environ, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [("X-A", "1")])
        try:
            raise ValueError("late")
        except ValueError:
            start_response("500 Sorry", [("X-B", "2")], sys.exc_info())
        return [b"sorry"]

    response = parsed(answered(application).wire)
    assert response.status_line == b"HTTP/1.1 500 Sorry"
    assert b"X-B: 2" in response.fields
    assert b"X-A: 1" not in response.fields
    assert response.rest == b"sorry"


def test_exc_info_without_an_earlier_call_is_an_ordinary_call() -> None:
    """start_response may be called with exc_info the first time."""

    def application(environ: Environ, start_response: StartResponse) -> list[bytes]:
        try:
            raise ValueError("early")
        except ValueError:
            start_response("500 Sorry", [], sys.exc_info())
        return [b"x"]

    assert parsed(answered(application).wire).status_line == b"HTTP/1.1 500 Sorry"


@pytest.mark.parametrize("by_write", [False, True])
def test_exc_info_after_the_first_byte_raises_it_again(by_write: bool) -> None:
    """Once a byte is sent the exception comes back with its own traceback, and what follows is not sent."""
    failure = ValueError("too late")

    def fails() -> None:
        raise failure

    def application(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        write = start_response("200 OK", [])
        if by_write:
            write(b"first")
        else:
            yield b"first"
        try:
            fails()
        except ValueError:
            start_response("500 Sorry", [], sys.exc_info())
        yield b"never"

    ran = run(application)
    assert ran.error is failure
    assert "fails" in [frame.name for frame in traceback.extract_tb(failure.__traceback__)]
    assert dechunked(parsed(ran.call.wire).rest + b"0\r\n\r\n") == [b"first"]


def test_refused_head_may_be_replaced_by_another() -> None:
    """An application that catches our refusal of its fields can still answer."""

    def application(environ: Environ, start_response: StartResponse) -> list[bytes]:
        try:
            start_response("200 OK", [("Connection", "close")])
        except AppError:
            start_response("500 Sorry", [], sys.exc_info())
        return [b"x"]

    assert parsed(answered(application).wire).status_line == b"HTTP/1.1 500 Sorry"


@pytest.mark.parametrize(
    "headers",
    [
        [("Connection", "close")],
        [("X", "a\r\nSet-Cookie: b")],
        [("X", 3)],
        [("X", "\u2713")],
        [("Content-Length", "x")],
    ],
)
def test_forbidden_fields_send_nothing(headers: list[tuple[str, str]]) -> None:
    """What must not be sent comes out as the application's mistake, before the first byte."""
    ran = run(fixed([b"x"], "200 OK", *headers))
    assert isinstance(ran.error, AppError)
    assert not ran.call.began


@pytest.mark.parametrize("result", [[b"x"], (b"x",), [], [b"a", b"b"], [b""]])
def test_result_without_start_response_is_refused(result: list[bytes]) -> None:
    """An application that returns without start_response has not answered."""
    ran = run(lambda environ, start_response: result)
    assert isinstance(ran.error, AppError)
    assert "without calling start_response" in str(ran.error)
    assert not ran.call.sent


@pytest.mark.parametrize("pieces", [[b"x"], [b"", b"x"]])
def test_content_before_start_response_is_refused(pieces: list[bytes]) -> None:
    """Content that comes before start_response has no head to follow."""
    ran = run(lambda environ, start_response: iter(pieces))
    assert isinstance(ran.error, AppError)
    assert "before calling start_response" in str(ran.error)
    assert not ran.call.sent


def test_empty_iterable_without_start_response_is_refused() -> None:
    """An iterable that ends without start_response is refused as well."""
    ran = run(lambda environ, start_response: iter([]))
    assert isinstance(ran.error, AppError)
    assert not ran.call.sent


def test_start_response_may_be_called_inside_the_iterable() -> None:
    """PEP 3333: a generator calls start_response when it is first asked for content."""

    def application(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("201 Created", [])
        yield b"x"

    assert parsed(answered(application).wire).status_line == b"HTTP/1.1 201 Created"


def test_start_response_may_be_called_after_empty_pieces() -> None:
    """Empty pieces are no content: start_response is in time as long as nothing else came."""

    def application(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        yield b""
        start_response("201 Created", [])
        yield b""
        yield b"x"

    assert dechunked(parsed(answered(application).wire).rest) == [b"x"]


def test_head_waits_for_the_first_content() -> None:
    """Until the first byte of content nothing is sent, so that the status can still change."""
    sent: list[int] = []

    def application(environ: Environ, start_response: StartResponse) -> Any:
        def pieces() -> Iterator[bytes]:
            yield b""
            sent.append(len(call_of[0].sent))
            start_response("500 Sorry", [], (ValueError, ValueError("x"), None))
            yield b""
            sent.append(len(call_of[0].sent))
            yield b"x"
            sent.append(len(call_of[0].sent))

        call_of.append(start_response.__self__)  # type: ignore[attr-defined]
        start_response("200 OK", [])
        return pieces()

    call_of: list[Any] = []
    assert parsed(answered(application).wire).status_line == b"HTTP/1.1 500 Sorry"
    assert sent == [0, 0, 1]


def test_write_sends_at_once() -> None:
    """What write was given is on its way when it returns; the iterable's content follows."""
    seen: list[int] = []

    def application(environ: Environ, start_response: StartResponse) -> list[bytes]:
        write = start_response("200 OK", [])
        write(b"")
        seen.append(len(write.__self__.sent))  # type: ignore[attr-defined]
        write(b"one")
        seen.append(len(write.__self__.sent))  # type: ignore[attr-defined]
        write(b"two")
        seen.append(len(write.__self__.sent))  # type: ignore[attr-defined]
        return [b"three", b"four"]

    assert dechunked(parsed(answered(application).wire).rest) == [b"one", b"two", b"three", b"four"]
    assert seen == [0, 1, 2]


def test_write_and_nothing_else() -> None:
    """An application may answer by write alone."""

    def application(environ: Environ, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [("Content-Length", "5")])(b"hello")
        return []

    assert parsed(answered(application).wire).rest == b"hello"
    assert parsed(answered(application, HEAD).wire).rest == b""


def test_write_of_nothing_leaves_the_length_known() -> None:
    """write(b"") sends no head, so a list after it is still sent with its length."""

    def application(environ: Environ, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [])(b"")
        return [b"hello"]

    assert b"Content-Length: 5" in parsed(answered(application).wire).fields


@pytest.mark.parametrize(
    ("data", "reads", "error"),
    [("text", 9, AppError), (b"x" * 9, 9, AppError), (b"x", 0, ClientGone)],
    ids=["not bytes", "too much", "client gone"],
)
def test_application_that_goes_on_after_a_failed_write_can_still_be_killed(
    data: Any, reads: int, error: type[Exception]
) -> None:
    """write raises into the application; whatever that does then, the window is open again."""
    windows: list[bool] = []

    def application(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        write = start_response("200 OK", [("Content-Length", "5")])
        try:
            write(data)
        except error:
            windows.append(write.__self__.window.is_open)
            raise
        return []

    ran = run(application, GET, reads=reads)
    assert isinstance(ran.error, error)
    assert windows == [True]


def test_kill_during_write_reaches_the_application() -> None:
    """A kill that came while bytes were handed over is raised by write, where the application can clean up."""
    cleaned: list[type[BaseException]] = []

    def application(environ: Environ, start_response: StartResponse) -> list[bytes]:
        write = start_response("200 OK", [])
        try:
            write(b"x")
        except BaseException as killed:
            cleaned.append(type(killed))
            raise
        return []

    ran = run(application, window=RecordingWindow(kill_at=2))
    assert isinstance(ran.error, WorkerKilled)
    assert cleaned == [WorkerKilled]
