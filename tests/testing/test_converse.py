"""converse: an application and the engine, and nothing else; what a client would have read."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from pastepool.errors import ClientGone, WorkerKilled
from pastepool.http1.limits import Limits
from pastepool.testing import Conversation, converse

Environ = dict[str, Any]
GET = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
STAMP = b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: pastepool\r\n"


def echo(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
    """Answer with method, path and content."""
    start_response("200 OK", [])
    return [f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} ".encode(), environ["wsgi.input"].read()]


def answer(body: bytes, *fields: bytes, status: bytes = b"200 OK") -> bytes:
    """What ``echo`` sends."""
    lines = [b"Content-Length: %d" % len(body), *fields]
    return b"HTTP/1.1 " + status + b"\r\n" + STAMP + b"\r\n".join(lines) + b"\r\n\r\n" + body


CLOSING = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def failing(error: BaseException, *before: bytes) -> Any:
    """An application that sends some pieces and then raises."""

    def application(environ: Environ, start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield from before
        raise error

    return application


def test_one_request() -> None:
    """A request goes in and the bytes of its response come out, the same every time."""
    assert converse(echo, GET % 1) == answer(b"GET /1 ")


@pytest.mark.parametrize("dribble", [0, 1, 2, 7, 1000])
def test_pieces_make_no_difference(dribble: int) -> None:
    """Sixteen requests in one packet, or in any pieces, are answered in order."""
    requests = b"".join(GET % number for number in range(16))
    assert converse(echo, requests, dribble=dribble) == b"".join(answer(b"GET /%d " % number) for number in range(16))


def test_parts_and_many() -> None:
    """A delivery may hold a part of a request, or several, or nothing."""
    head = b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"
    expected = answer(b"POST /p abc") + answer(b"GET /1 ") + answer(b"GET /2 ")
    assert converse(echo, head[:9], head[9:], b"", b"a", b"bc" + GET % 1 + GET % 2) == expected
    assert converse(echo) == b""
    assert converse(echo, head) == b""


def test_chunked_content() -> None:
    """Chunks arrive as content."""
    request = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    assert converse(echo, request) == answer(b"POST / abc")


def test_connection_closes_where_it_should() -> None:
    """Behind a response that closes nothing is read any more."""
    close = b"GET /0 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    assert converse(echo, close + GET % 1, GET % 2) == answer(b"GET /0 ", b"Connection: close")
    old = b"GET /0 HTTP/1.0\r\n\r\n"
    assert converse(echo, old, GET % 1) == answer(b"GET /0 ", b"Connection: close")


def test_refused_request() -> None:
    """A client that breaks HTTP reads why, after the answers to what it sent before, and nothing else."""
    read = converse(echo, GET % 1 + b"GET / HTTP/1.1\r\n\r\n", GET % 2)
    assert read.startswith(answer(b"GET /1 ") + b"HTTP/1.1 400 Bad Request\r\n" + STAMP)
    assert read.endswith(b"Connection: close\r\n\r\nThe request has no Host field.\n")


def test_limits() -> None:
    """A conversation may have limits of its own."""
    conversation = Conversation(echo, limits=Limits(request_target=5))
    conversation.send(b"GET /123456 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert conversation.received.startswith(b"HTTP/1.1 414 ")
    assert conversation.closed


@pytest.mark.parametrize("dribble", [0, 1])
def test_continue_is_sent_to_a_client_that_waits_for_it(dribble: int) -> None:
    """100 comes once, when the head has come and its content has not."""
    head = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    conversation = Conversation(echo)
    conversation.send(head, dribble)
    assert conversation.received == b"HTTP/1.1 100 Continue\r\n\r\n"
    conversation.send(b"ab", dribble)
    conversation.send(b"c", dribble)
    assert conversation.received == b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"PUT / abc")
    conversation.send(head, dribble)
    assert conversation.received.endswith(b"PUT / abcHTTP/1.1 100 Continue\r\n\r\n")


def test_continue_is_left_out_where_nobody_waits() -> None:
    """A client that sends the content without waiting is not told to go on."""
    head = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    assert converse(echo, head + b"abc") == answer(b"PUT / abc")
    assert converse(echo, head + b"a", b"bc") == answer(b"PUT / abc")


def test_options_asterisk_needs_no_application() -> None:
    """OPTIONS * is about the server, which answers itself."""
    read = converse(failing(KeyError()), b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
    assert read.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert read.endswith(b"Content-Length: 0\r\n\r\n")
    closing = Conversation(echo)
    closing.send(b"OPTIONS * HTTP/1.0\r\n\r\n" + GET % 1)
    assert closing.received.endswith(b"Connection: close\r\n\r\n")
    assert closing.closed


def test_large_content() -> None:
    """Content that the server would hand over beside its head arrives behind it."""
    content = b"x" * 100000
    request = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content)
    assert converse(echo, request) == answer(b"PUT / " + content)


@pytest.mark.parametrize("error", [KeyError("x"), SystemExit(1), TypeError("x")])
def test_failing_application(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    """An application that fails before its first byte is answered with 500, and logged; the connection goes on."""
    with caplog.at_level(logging.ERROR, "pastepool.app"):
        read = converse(failing(error), GET % 1 + CLOSING)
    first, _, second = read.partition(b"details.\n")
    assert first.startswith(b"HTTP/1.1 500 Internal Server Error\r\n") and b"Connection: close" not in first
    assert second.endswith(b"Connection: close\r\n\r\nThe application failed; its log has the details.\n")
    for record in caplog.records:
        assert record.exc_info is not None
        assert record.exc_info[1] is error
    assert len(caplog.records) == 2


def test_application_that_fails_after_its_first_byte() -> None:
    """After the first byte the response just ends, without the end it should have."""
    read = converse(failing(KeyError("x"), b"one"), GET % 1 + GET % 2)
    assert read.endswith(b"\r\n\r\n3\r\none\r\n")
    assert read.count(b"HTTP/1.1") == 1


def test_failure_of_head_has_no_content() -> None:
    """HEAD is answered with a head also where the application fails."""
    assert converse(failing(KeyError("x")), CLOSING.replace(b"GET", b"HEAD")).endswith(b"Connection: close\r\n\r\n")


def test_killed_application(caplog: pytest.LogCaptureFixture) -> None:
    """A kill is answered with 504 and is no failure of the application's."""
    read = converse(failing(WorkerKilled()), GET % 1)
    assert read.startswith(b"HTTP/1.1 504 Gateway Timeout\r\n")
    assert not caplog.records


def test_interrupt_is_not_caught() -> None:
    """Ctrl-C ends the test and not the request."""
    with pytest.raises(KeyboardInterrupt):
        converse(failing(KeyboardInterrupt()), GET % 1)


def test_window_is_the_test_s() -> None:
    """A test may bring the window, to stage a kill; it is shut when the call ends early."""

    class Window:
        def __init__(self) -> None:
            self.events: list[str] = []

        def open(self, serial: int) -> None:
            self.events.append(f"open {serial}")

        def open_for_close(self, serial: int) -> None:
            self.events.append(f"close {serial}")

        def shut(self) -> None:
            self.events.append("shut")

    window = Window()
    conversation = Conversation(echo, window=window)
    conversation.send(GET % 1 + GET % 2)
    assert window.events == ["open 1", "shut", "open 2", "shut"]
    window = Window()
    conversation = Conversation(lambda environ, start_response: 1 / 0, window=window)
    conversation.send(GET % 1)
    assert window.events == ["open 1", "shut"]


def test_client_that_hangs_up() -> None:
    """An application that writes to nobody learns it; the one who asks is told."""
    conversation: Conversation
    seen: list[object] = []

    def application(environ: Environ, start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"one"
        seen.append(environ["pastepool.client_gone"]())
        conversation.hang_up()
        seen.append(environ["pastepool.client_gone"]())
        try:
            yield b"two"
        finally:
            seen.append("closed")

    conversation = Conversation(application)
    conversation.send(GET % 1 + GET % 2)
    assert seen == [False, True, "closed"]
    assert conversation.received.endswith(b"3\r\none\r\n")
    assert conversation.closed
    with pytest.raises(ClientGone):
        conversation.deliver(b"x")


def test_client_that_hung_up_reads_no_refusal() -> None:
    """What the server says of its own accord goes nowhere either."""
    conversation = Conversation(echo)
    conversation.hang_up()
    conversation.send(b"nonsense\r\n\r\n")
    assert conversation.received == b""
    assert conversation.closed


def test_kill_callables_are_there_and_do_nothing() -> None:
    """An application that registers for kills can be tested."""

    def application(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        environ["pastepool.kill_after"](3.0)
        environ["pastepool.on_cancel"](lambda: None)
        return echo(environ, start_response)

    assert converse(application, GET % 1) == answer(b"GET /1 ")


def test_regular_file_is_sent_from_where_it_is() -> None:
    """A file goes out from its position, with its length, as by sendfile; Content-Length may ask for less."""

    def application(environ: Environ, start_response: Callable[..., Any]) -> Any:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the wrapper's close
        file.write(b"0123456789")
        file.seek(4)
        wanted = environ["QUERY_STRING"]
        start_response("200 OK", [("Content-Length", wanted)] if wanted else [])
        return environ["wsgi.file_wrapper"](file)

    assert converse(application, GET % 1) == answer(b"456789")
    assert converse(application, b"GET /?2 HTTP/1.1\r\nHost: a\r\n\r\n") == answer(b"45")


def test_file_that_is_no_regular_file_is_read() -> None:
    """A pipe and an object that only reads are iterated, in chunks."""

    def application(environ: Environ, start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [])
        reading, writing = os.pipe()
        os.write(writing, b"abc")
        os.close(writing)
        return environ["wsgi.file_wrapper"](os.fdopen(reading, "rb", buffering=0))

    def bare(environ: Environ, start_response: Callable[..., Any]) -> Any:
        class Reader:
            left = b"abc"

            def read(self, size: int) -> bytes:
                self.left, block = b"", self.left
                return block

        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](Reader())

    def device(environ: Environ, start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](open(os.devnull, "rb"))

    assert converse(device, GET % 1) == answer(b"")
    for app in (application, bare):
        assert converse(app, GET % 1).endswith(b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")


def test_empty_pieces_for_a_client_that_has_hung_up_end() -> None:
    """The server asks whether the client is still there, because it sends nothing that could show it."""
    closed: list[bool] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        try:
            yield b""
            conversation.hang_up()
            while True:
                yield b""
        finally:
            closed.append(True)

    conversation = Conversation(app)
    conversation.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (closed, conversation.received) == ([True], b"")


def test_large_file_is_sent_whole(tmp_path: Path) -> None:
    """A file too large to be read at once has its length all the same."""
    path = tmp_path / "large"
    path.write_bytes(b"x" * 100_000)

    def application(environ: Environ, start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](path.open("rb"))

    assert converse(application, GET % 1).endswith(b"Content-Length: 100000\r\n\r\n" + b"x" * 100_000)


def test_what_goes_wrong_after_a_whole_response_does_not_end_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    """Too much content and a failure behind the last byte are logged; the next request is answered."""

    def application(environ: Environ, start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [("Content-Length", "1")])
        yield b"ab" if environ["PATH_INFO"] == "/1" else b"a"
        raise KeyError("late")

    assert converse(application, GET % 1, GET % 2, GET % 3).count(b"\r\n\r\na") == 3
    assert "yields more than its Content-Length" in caplog.text
    assert "failed after its whole response" in caplog.text


def test_variable_of_the_application_stays_with_its_request() -> None:
    """As on the server, a context variable that a request sets is not seen by the next one, nor by the test."""
    variable: ContextVar[bytes] = ContextVar("variable", default=b"nothing")

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [])
        found = variable.get()
        variable.set(b"something")
        return [found, b" then ", variable.get()]

    one = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    assert converse(app, one + one).count(b"nothing then something") == 2
    assert variable.get() == b"nothing"
