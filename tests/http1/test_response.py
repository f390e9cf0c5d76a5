"""Response heads, chunks and the server's own answers, as bytes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pastepool.errors import AppError
from pastepool.http1 import response
from pastepool.http1.response import (
    BARE,
    CONTINUE,
    LAST_CHUNK,
    WITH_DATE,
    WITH_SERVER,
    chunk,
    healthy_answer,
    render_head,
    short_answer,
)
from tests.http1.feeding import only_request

STAMP = b"Date: D\r\nServer: S\r\n"


def test_head_is_rendered() -> None:
    """Status line and fields come out as they were given, but for Content-Length, which is framing."""
    head = render_head("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "5"), ("X-A", "b; é")])
    fields = b"Content-Type: text/plain\r\nX-A: b; \xe9\r\n"
    assert head == (404, b"HTTP/1.1 404 Not Found\r\n", fields, 5, 0)


def test_head_without_fields() -> None:
    """An application may send no fields at all."""
    head = render_head("200 OK", [])
    assert head[2:4] == (b"", None)


def test_date_and_server_of_the_application_are_noticed() -> None:
    """An application that sends its own Date or Server gets no second one."""
    assert render_head("200 OK", [("DATE", "x")])[4] == WITH_DATE
    assert render_head("200 OK", [("server", "x")])[4] == WITH_SERVER
    assert render_head("204 No Content", [("server", "x"), ("date", "y")])[4] == WITH_DATE | WITH_SERVER | BARE


@pytest.mark.parametrize(
    ("status", "line"),
    [
        ("200 OK", b"HTTP/1.1 200 OK\r\n"),
        ("200", b"HTTP/1.1 200 \r\n"),
        ("299 ", b"HTTP/1.1 299 \r\n"),
        ("599 Sorry, no\ttea", b"HTTP/1.1 599 Sorry, no\ttea\r\n"),
        ("400 D\xe9j\xe0 vu", b"HTTP/1.1 400 D\xe9j\xe0 vu\r\n"),
    ],
)
def test_status_line(status: str, line: bytes) -> None:
    """Any final status with any reason, or none, is sent as it is; twice, from memory, as well."""
    assert render_head(status, [])[1] == line
    assert render_head(status, [])[1] == line


@pytest.mark.parametrize(
    "status",
    [
        "",
        "OK",
        "20 OK",
        "\u0662\u0660\u0660 OK",
        "2000 OK",
        "099 X",
        "200OK",
        " 200 OK",
        "200 OK\r\nX: y",
        "200 OK\n",
        "200 \x00",
        "200 \x7f",
    ],
)
def test_bad_status_is_refused(status: str) -> None:
    """A status that is not three digits and a reason is the application's mistake, named with its value."""
    with pytest.raises(AppError, match=r"Response status .*is not of the form '200 OK'"):
        render_head(status, [])


@pytest.mark.parametrize("status", [200, None, b"200 OK", ("200", "OK"), ["200 OK"]])
def test_status_of_another_type_is_refused(status: Any) -> None:
    """A status is text; the message names the type that came."""
    with pytest.raises(AppError, match=rf"Response status .* is of type {type(status).__name__}, not str"):
        render_head(status, [])


def test_str_subclass_as_status_is_refused() -> None:
    """PEP 3333 wants the type str itself; a subclass could be one thing when checked and another when sent."""

    class Text(str):
        __slots__ = ()

    with pytest.raises(AppError, match="status '200 By another name' is of type Text, not str"):
        render_head(Text("200 By another name"), [])


@pytest.mark.parametrize("status", ["100 Continue", "101 Switching Protocols", "103 Early Hints", "199 X"])
def test_interim_status_is_refused(status: str) -> None:
    """An application answers with a final status; 1xx is the server's."""
    with pytest.raises(AppError, match="interim"):
        render_head(status, [])


def test_status_outside_latin_1_is_refused() -> None:
    """What has no byte cannot be sent."""
    with pytest.raises(AppError, match="not latin-1"):
        render_head("200 \u2713", [])


@pytest.mark.parametrize(
    "name",
    ["Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "cOnNeCtIoN"],
)
def test_hop_by_hop_field_is_refused(name: str) -> None:
    """Framing and persistence belong to the server (PEP 3333); the field is named."""
    for _ in range(2):
        with pytest.raises(AppError, match=f"'{name}' is hop-by-hop"):
            render_head("200 OK", [("X-A", "b"), (name, "x")])


@pytest.mark.parametrize("name", ["", "X Y", "X:", "X\r\n", "X\n", "\xe9", "X\x00", 'X"', None, 3, b"X"])
def test_bad_field_name_is_refused(name: Any) -> None:
    """A field name is a token of type str."""
    with pytest.raises(AppError, match="is not a token"):
        render_head("200 OK", [(name, "x")])


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\rb", "a\x00b", "\r\n", "a\r\n b"])
@pytest.mark.parametrize("name", ["X-A", "Date", "Server"])
def test_line_break_in_a_value_is_refused(name: str, value: str) -> None:
    """CR, LF and NUL would let a value begin another field, or another response; field and value are named."""
    words = rf"'{name}' has a line break or NUL in its value {re.escape(repr(value))}"
    with pytest.raises(AppError, match=words):
        render_head("200 OK", [("X-B", "fine"), (name, value), ("X-C", "fine")])


@pytest.mark.parametrize("value", [None, 3, b"3", ["x"]])
@pytest.mark.parametrize("name", ["X-A", "Content-Length", "Date", "Server"])
def test_value_of_another_type_is_refused(name: str, value: Any) -> None:
    """Field values are str, also where they are numbers."""
    with pytest.raises(AppError, match=r"must be a list of \(str, str\)"):
        render_head("200 OK", [(name, value)])
    with pytest.raises(AppError, match=r"must be a list of \(str, str\)"):
        render_head("200 OK", [(name, "3"), (name, value)])


@pytest.mark.parametrize("pair", [("X-A", "b"), ["X-A", "b"]])
def test_pair_that_can_be_read_only_once_is_refused(pair: Any) -> None:
    """A pair may be any sequence of two; an iterator would leave a blank line, the end of the head, in its place."""
    assert render_head("200 OK", [pair])[2] == b"X-A: b\r\n"
    with pytest.raises(AppError, match=r"must be a list of \(str, str\)"):
        render_head("200 OK", [("X-B", "c"), iter(pair), ("X-D", "e")])


def test_value_outside_latin_1_is_refused() -> None:
    """What has no byte cannot be sent."""
    with pytest.raises(AppError, match="latin-1"):
        render_head("200 OK", [("X-A", "\u2713")])


@pytest.mark.parametrize(
    "headers", [None, 3, [("X-A",)], [("X-A", "b", "c")], ["X-A: b"], [None], {"X-A": "b"}, [([], "x")]]
)
def test_fields_of_another_shape_are_refused(headers: Any) -> None:
    """Fields are a list of pairs."""
    with pytest.raises(AppError, match=r"must be a list of \(str, str\)|is not a token"):
        render_head("200 OK", headers)


def test_fields_that_can_be_read_only_once_are_refused_too() -> None:
    """A bad value is refused also where it cannot be found again to be named."""
    with pytest.raises(AppError, match="changed while they were read"):
        render_head("200 OK", (pair for pair in [("X-A", "b\r\n")]))  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["", "-1", "+1", "1.0", "0x1", "1 ", " 1", "1,1", "one", "\u0661", "\xb2"])
def test_content_length_that_is_no_number_is_refused(value: str) -> None:
    """Content-Length is digits and nothing else."""
    with pytest.raises(AppError, match=r"Content-Length is .*: it must be a number of bytes"):
        render_head("200 OK", [("Content-Length", value)])


def test_content_length_too_long_to_be_read_is_refused() -> None:
    """A number of thousands of digits is no length."""
    with pytest.raises(AppError):
        render_head("200 OK", [("Content-Length", "9" * 5000)])


def test_content_length_twice() -> None:
    """The same length twice is sent once; two lengths are refused."""
    assert render_head("200 OK", [("Content-Length", "5"), ("content-length", "05")])[3] == 5
    with pytest.raises(AppError, match="given twice, as 5 and as 6"):
        render_head("200 OK", [("Content-Length", "5"), ("content-length", "6")])


def test_memory_of_names_and_statuses_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """An application that makes up names and statuses fills no memory, and is served all the same."""
    monkeypatch.setattr(response, "_KINDS", {})
    monkeypatch.setattr(response, "_STATUS_LINES", {})
    monkeypatch.setattr(response, "_CACHE_LIMIT", 5)
    for number in range(20):
        head = render_head(f"200 OK {number}", [(f"X-{number}", "y")])
        assert head[1:3] == (b"HTTP/1.1 200 OK %d\r\n" % number, b"X-%d: y\r\n" % number)
    assert len(response._KINDS) == len(response._STATUS_LINES) == 5


def test_chunks() -> None:
    """A chunk is its size in hexadecimal and its bytes; the last has none."""
    assert chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"
    assert LAST_CHUNK == b"0\r\n\r\n"


def test_short_answer_closes() -> None:
    """The server's own answers are whole, in UTF-8, and end the connection."""
    expected = (
        b"HTTP/1.1 413 Content Too Large\r\nDate: D\r\nServer: S\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Length: 8\r\nConnection: close\r\n\r\nZu gro\xc3\x9f\n"
    )
    assert short_answer(413, "Zu groß", STAMP) == expected.replace(b"Length: 8", b"Length: 9")


def test_short_answer_to_head_has_no_content() -> None:
    """HEAD gets the head alone, with the length that the content would have had."""
    whole = short_answer(500, "x", STAMP)
    assert whole == short_answer(500, "x", STAMP, head_only=True) + b"x\n"


def test_short_answer_tells_when_to_come_back() -> None:
    """Retry-After is there where somebody asked for it."""
    assert b"\r\nRetry-After: 7\r\n" in short_answer(503, "busy", STAMP, retry_after=7)
    assert b"Retry-After" not in short_answer(503, "busy", STAMP)


def test_short_answer_takes_any_text() -> None:
    """Text that cannot be encoded still is an answer."""
    assert short_answer(400, "\udcff", b"").endswith(b"\r\n\r\n?\n")


@pytest.mark.parametrize(
    ("line", "keep_alive", "connection"),
    [
        (b"GET / HTTP/1.1\r\nHost: a", True, b""),
        (b"GET / HTTP/1.1\r\nHost: a", False, b"Connection: close\r\n"),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive", True, b"Connection: keep-alive\r\n"),
        (b"GET / HTTP/1.0", False, b"Connection: close\r\n"),
    ],
)
def test_healthy_answer_says_whether_the_connection_stays(line: bytes, keep_alive: bool, connection: bytes) -> None:
    """HTTP/1.0 is told that it stays, HTTP/1.1 that it does not."""
    answer = healthy_answer(STAMP, keep_alive, only_request(line + b"\r\n\r\n"))
    assert answer == (
        b"HTTP/1.1 200 OK\r\n" + STAMP + b"Content-Type: text/plain\r\nCache-Control: no-store\r\nContent-Length: 3\r\n"
        b"%b\r\nok\n" % connection
    )


def test_healthy_answer_to_head_has_no_content() -> None:
    """HEAD is told the length and nothing more."""
    answer = healthy_answer(STAMP, True, only_request(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"))
    assert answer.endswith(b"Content-Length: 3\r\n\r\n")


def test_continue_is_an_interim_response() -> None:
    """100 has neither fields nor content."""
    assert CONTINUE == b"HTTP/1.1 100 Continue\r\n\r\n"
