"""What an application returns, as content on the wire: pieces, types, lengths, framing."""

from __future__ import annotations

import array
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pastepool.errors import AppError
from tests.wsgi.recording import (
    CLOSE,
    GET,
    HEAD,
    OLD,
    OLD_KEEP_ALIVE,
    Environ,
    StartResponse,
    answered,
    call_of,
    dechunked,
    fixed,
    parsed,
    run,
)

OLD_HEAD = b"HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"


class Piece(bytes):
    """bytes by another name."""


def framing(wire: bytes) -> list[bytes]:
    """The fields that tell where content ends and whether the connection stays."""
    names = (b"Content-Length:", b"Transfer-Encoding:", b"Connection:")
    return [field for field in parsed(wire).fields if field.startswith(names)]


@pytest.mark.parametrize(
    "result",
    [
        [b"hello"],
        (b"hello",),
        [b"hel", b"lo"],
        (b"h", b"", b"ello"),
        [b"", b"hello"],
        [Piece(b"hello")],
        [Piece(b"h"), b"ello"],
    ],
)
def test_list_is_sent_in_one_piece_with_its_length(result: Any) -> None:
    """Content that is known to its last byte goes out with its head in one piece, its length in front."""
    call = answered(fixed(result))
    assert len(call.sent) == 1
    assert framing(call.wire) == [b"Content-Length: 5"]
    assert parsed(call.wire).rest == b"hello"
    assert call.content_sent == 5
    assert call.keep_alive
    assert call.began


@pytest.mark.parametrize("result", [[], (), [b""], [b"", b""], lambda: iter([]), lambda: iter([b"", b""])])
def test_empty_content_has_length_zero(result: Any) -> None:
    """An application that returns nothing sends a head and no content, whatever it returns it in."""
    call = answered(fixed(result))
    assert framing(call.wire) == [b"Content-Length: 0"]
    assert parsed(call.wire).rest == b""
    assert call.content_sent == 0
    assert call.keep_alive


def test_large_content_is_not_copied_behind_its_head() -> None:
    """Large content is handed over beside the head; the bytes on the wire are the same."""
    whole: list[tuple[bytes, bytes]] = []
    for size, beside in ((16384, False), (16385, True)):
        ran = run(fixed([b"x" * size]))
        assert parsed(ran.call.wire).rest == b"x" * size

        class Gathering(type(ran.call)):  # type: ignore[misc]
            def transmit_two(self, head: bytes, body: bytes) -> None:
                whole.append((head, body))
                super().transmit_two(head, body)

        call = call_of(GET, Gathering)
        call.begin_recording(ran.call.shared, ran.window, 9)
        call.run(ran.window)
        assert bool(whole) is beside
    head, body = whole[0]
    assert head.endswith(b"\r\n\r\n")
    assert len(body) == 16385


def test_pieces_go_out_as_they_come() -> None:
    """Each piece of an iterable is handed over before the next is asked for; empty ones are not sent."""
    sent: list[int] = []

    def application(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [])
        call = start_response.__self__  # type: ignore[attr-defined]
        for piece in (b"one", b"", b"two"):
            yield piece
            sent.append(len(call.sent))

    call = answered(application)
    assert sent == [1, 1, 2]
    assert framing(call.wire) == [b"Transfer-Encoding: chunked"]
    assert dechunked(parsed(call.wire).rest) == [b"one", b"two"]
    assert call.content_sent == 6


def test_any_iterable_will_do() -> None:
    """A generator, an iterator, a set, a list subclass, an object with __getitem__: what Python iterates is sent."""

    class Old:
        def __getitem__(self, index: int) -> bytes:
            return [b"x"][index]

    class Sub(list[bytes]):
        pass

    for result in (
        iter([b"x"]),
        {b"x"},
        Old(),
        Sub([b"x"]),
        (piece for piece in [b"x"]),
        {b"x": 1},
        [Piece(b"x")].__iter__(),
    ):
        assert dechunked(parsed(answered(fixed(lambda result=result: result)).wire).rest) == [b"x"]


FRAMING: list[tuple[bytes, str, Any, str | None, list[bytes], bool]] = [
    # request, status, result, Content-Length of the application, framing on the wire, whether the connection stays
    (GET, "200 OK", [b"abc"], None, [b"Content-Length: 3"], True),
    (GET, "200 OK", [b"abc"], "3", [b"Content-Length: 3"], True),
    (GET, "200 OK", "pieces", None, [b"Transfer-Encoding: chunked"], True),
    (GET, "200 OK", "pieces", "3", [b"Content-Length: 3"], True),
    (CLOSE, "200 OK", [b"abc"], None, [b"Content-Length: 3", b"Connection: close"], False),
    (CLOSE, "200 OK", [b"abc"], "3", [b"Content-Length: 3", b"Connection: close"], False),
    (CLOSE, "200 OK", "pieces", None, [b"Transfer-Encoding: chunked", b"Connection: close"], False),
    (OLD, "200 OK", [b"abc"], None, [b"Content-Length: 3", b"Connection: close"], False),
    (OLD, "200 OK", "pieces", None, [b"Connection: close"], False),
    (OLD_KEEP_ALIVE, "200 OK", [b"abc"], None, [b"Content-Length: 3", b"Connection: keep-alive"], True),
    (OLD_KEEP_ALIVE, "200 OK", "pieces", "3", [b"Content-Length: 3", b"Connection: keep-alive"], True),
    (OLD_KEEP_ALIVE, "200 OK", "pieces", None, [b"Connection: close"], False),
    (HEAD, "200 OK", [b"abc"], None, [b"Content-Length: 3"], True),
    (HEAD, "200 OK", [b""], "3", [b"Content-Length: 3"], True),
    (HEAD, "200 OK", [], None, [], True),
    (HEAD, "200 OK", "pieces", None, [], True),
    (HEAD, "200 OK", "pieces", "3", [b"Content-Length: 3"], True),
    (HEAD, "200 OK", "nothing", None, [], True),
    (HEAD, "200 OK", "nothing", "3", [b"Content-Length: 3"], True),
    (OLD_HEAD, "200 OK", "pieces", None, [b"Connection: keep-alive"], True),
    (GET, "204 No Content", [b"abc"], None, [], True),
    (GET, "204 No Content", [], "0", [], True),
    (GET, "204 No Content", "pieces", "3", [], True),
    (GET, "204 No Content", "nothing", None, [], True),
    (OLD_KEEP_ALIVE, "204 No Content", "pieces", None, [b"Connection: keep-alive"], True),
    (GET, "304 Not Modified", [], None, [], True),
    (GET, "304 Not Modified", [b"abc"], None, [], True),
    (HEAD, "304 Not Modified", [b"abc"], None, [], True),
    (GET, "304 Not Modified", [], "0", [], True),
    (GET, "304 Not Modified", "nothing", "0", [], True),
    (HEAD, "304 Not Modified", [], "0", [], True),
    (GET, "304 Not Modified", [], "5000", [b"Content-Length: 5000"], True),
    (GET, "304 Not Modified", "pieces", "5000", [b"Content-Length: 5000"], True),
    (GET, "304 Not Modified", "nothing", "5000", [b"Content-Length: 5000"], True),
    (GET, "205 Reset Content", [], None, [b"Content-Length: 0"], True),
]


@pytest.mark.parametrize(("data", "status", "result", "length", "expected", "stays"), FRAMING)
def test_framing(data: bytes, status: str, result: Any, length: str | None, expected: list[bytes], stays: bool) -> None:
    """Where content ends is said by length, by chunks or by closing, and not at all where there can be no content."""
    made: dict[str, Callable[[], Any]] = {"pieces": lambda: iter([b"ab", b"c"]), "nothing": lambda: iter([])}
    fields = [("Content-Length", length)] if length is not None else []
    call = answered(fixed(made[result] if isinstance(result, str) else result, status, *fields), data)
    assert framing(call.wire) == expected
    assert call.keep_alive is stays
    rest = parsed(call.wire).rest
    if data in (HEAD, OLD_HEAD) or status[:3] in ("204", "304"):
        assert rest == b""
        assert call.content_sent == 0
    elif b"Transfer-Encoding: chunked" in expected:
        assert b"".join(dechunked(rest)) == b"abc"
        assert call.content_sent == 3
    elif result != []:
        assert rest == b"abc"
        assert call.content_sent == 3


@pytest.mark.parametrize("result", [[b"abc"], lambda: iter([b"abc"])])
@pytest.mark.parametrize("data", [GET, OLD_KEEP_ALIVE])
def test_draining_server_closes(result: Any, data: bytes) -> None:
    """While the server drains every response says that it is the last on its connection."""
    call = answered(fixed(result), data, drains=True)
    assert framing(call.wire)[-1] == b"Connection: close"
    assert not call.keep_alive


def test_old_protocol_version_is_answered_without_chunks() -> None:
    """protocol_version = HTTP/1.0: status line and framing are those of HTTP/1.0, whatever the client speaks."""
    call = answered(fixed(lambda: iter([b"abc"]), "200 Fine"), GET, old_protocol=True)
    assert parsed(call.wire).status_line == b"HTTP/1.0 200 Fine"
    assert framing(call.wire) == [b"Connection: close"]
    assert parsed(call.wire).rest == b"abc"
    assert parsed(answered(fixed([b"abc"]), GET, old_protocol=True).wire).status_line == b"HTTP/1.0 200 OK"


def test_http_1_0_client_is_told_the_server_s_version() -> None:
    """RFC 9110 2.5: a server answers with its own version, in a form the client understands."""
    assert parsed(answered(fixed([b"abc"]), OLD).wire).status_line == b"HTTP/1.1 200 OK"


NOT_CONTIGUOUS = memoryview(b"abcdef")[::2]
NOT_BYTES: list[Any] = [["text"], ["a", "b"], [b"a", "b"], [None], [3], [b"a", 3], [True], [[b"x"]], [NOT_CONTIGUOUS]]
NOT_BYTES += [lambda piece=piece: iter([b"", piece]) for piece in ("text", "", None, 3, NOT_CONTIGUOUS)]


@pytest.mark.parametrize("result", NOT_BYTES)
def test_content_that_is_not_bytes_is_refused(result: Any) -> None:
    """PEP 3333: content is bytes. Nothing is sent; the mistake is the application's and named."""
    ran = run(fixed(result))
    assert isinstance(ran.error, AppError)
    assert "bytes (PEP 3333)" in str(ran.error)
    assert not ran.call.sent


def test_text_behind_bytes_ends_the_response() -> None:
    """A mistake after the first byte leaves the response without its end, so that the client can tell."""
    ran = run(fixed(lambda: iter([b"a", "b"])))
    assert isinstance(ran.error, AppError)
    assert ran.call.began
    assert parsed(ran.call.wire).rest == b"1\r\na\r\n"


@pytest.mark.parametrize("result", [None, 3])
def test_result_that_is_no_iterable_is_refused(result: Any) -> None:
    """An application that returns None has not answered."""
    ran = run(lambda environ, start_response: start_response("200 OK", []) and result)
    assert isinstance(ran.error, TypeError)
    assert not ran.call.sent


@pytest.mark.parametrize("data", [GET, CLOSE, OLD])
@pytest.mark.parametrize("result", [[b"abcd"], [b"ab", b"cd"], [b"ab"], [], [b"a", b"b"]])
def test_list_that_breaks_its_content_length_sends_nothing(result: list[bytes], data: bytes) -> None:
    """A list that is longer or shorter than announced is refused before the first byte."""
    ran = run(fixed(result, "200 OK", ("Content-Length", "3")), data)
    assert isinstance(ran.error, AppError)
    assert f"announced Content-Length 3 and returned {len(b''.join(result))} bytes" in str(ran.error)
    assert not ran.call.sent


@pytest.mark.parametrize("pieces", [[b"abcd"], [b"ab", b"cd"], [b"abc", b"d"], [b"abc", b"", b"d"]])
def test_no_byte_beyond_content_length_is_sent(pieces: list[bytes]) -> None:
    """
    What goes beyond Content-Length, which would be read as the next response, is held back and reported. The iteration
    stops (PEP 3333, "Handling the Content-Length Header"), and the connection can be used again.
    """
    rest = iter([*pieces, b"never asked for"])
    call = answered(fixed(lambda: rest, "200 OK", ("Content-Length", "3")))
    assert parsed(call.wire).rest == b"abc"
    assert (call.content_sent, call.cuts, call.keep_alive, call.whole) == (3, 1, True, True)
    assert next(rest) == b"never asked for"


def test_iteration_goes_on_to_its_end_where_the_length_is_kept() -> None:
    """The code behind the last piece runs: applications commit and log there."""
    seen: list[str] = []

    def pieces() -> Iterator[bytes]:
        yield b"abc"
        seen.append("the end")
        yield b""
        seen.append("the very end")

    call = answered(fixed(pieces, "200 OK", ("Content-Length", "3")))
    assert seen == ["the end", "the very end"]
    assert call.cuts == 0


@pytest.mark.parametrize("written", [[b"abcd"], [b"abc", b"d"], [b"a", b"bcd"]])
def test_no_byte_beyond_content_length_is_written(written: list[bytes]) -> None:
    """``write`` raises where an iteration would stop (PEP 3333); the client has the whole response."""

    def application(environ: Environ, start_response: StartResponse) -> list[bytes]:
        write = start_response("200 OK", [("Content-Length", "3")])
        for piece in written:
            write(piece)
        return []

    ran = run(application)
    assert isinstance(ran.error, AppError)
    assert "wrote more bytes than its Content-Length" in str(ran.error)
    assert parsed(ran.call.wire).rest == b"abc"
    assert ran.call.whole


BUFFERS: dict[str, Callable[[], Any]] = {
    "bytearray": lambda: bytearray(b"abc"),
    "memoryview": lambda: memoryview(b"abc"),
    "part of a memoryview": lambda: memoryview(b"xabcx")[1:4],
    "array": lambda: array.array("B", b"abc"),
    "subclass of bytes": lambda: Piece(b"abc"),
}


@pytest.mark.parametrize("name", BUFFERS)
@pytest.mark.parametrize("data", [GET, HEAD, OLD])
def test_bytes_like_pieces_are_taken_alike(name: str, data: bytes) -> None:
    """PEP 3333 says bytes. What else has a buffer of bytes is taken by every way content can go, or by none."""
    make = BUFFERS[name]

    def by_write(environ: Environ, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [])(make())
        return []

    ways: list[Any] = [
        fixed(lambda: [make()]),
        fixed(lambda: (make(),)),
        fixed(lambda: [make(), make()]),
        fixed(lambda: [b"", make()]),
        fixed(lambda: iter([make()])),
        fixed(lambda: iter([b"", make()]), "200 OK", ("Content-Length", "3")),
        by_write,
    ]
    for way in ways:
        call = answered(way, data)
        if data is not HEAD:
            assert call.content_sent in (3, 6)
            assert b"abc" in parsed(call.wire).rest


def test_piece_that_is_used_again_is_copied() -> None:
    """A generator may fill one buffer again and again while what it yielded before still waits."""

    def pieces() -> Iterator[Any]:
        buffer = bytearray(3)
        for letter in b"abc":
            buffer[:] = bytes([letter]) * 3
            yield buffer

    assert dechunked(parsed(answered(fixed(pieces)).wire).rest) == [b"aaa", b"bbb", b"ccc"]


@pytest.mark.parametrize("pieces", [[b"ab"], [b"a", b"b"], [b"a", b"", b"b"]])
def test_content_short_of_content_length_is_reported(pieces: list[bytes]) -> None:
    """Too little content comes out as the application's mistake, so that the connection is cut."""
    ran = run(fixed(lambda: iter(pieces), "200 OK", ("Content-Length", "3")))
    assert isinstance(ran.error, AppError)
    assert "1 bytes less than its Content-Length" in str(ran.error)
    assert parsed(ran.call.wire).rest == b"ab"


def test_no_content_at_all_where_some_was_announced() -> None:
    """An iterable that yields nothing of what it announced sends nothing, so that the client is told 500."""
    ran = run(fixed(lambda: iter([]), "200 OK", ("Content-Length", "3")))
    assert isinstance(ran.error, AppError)
    assert "announced Content-Length 3 and yielded nothing" in str(ran.error)
    assert not ran.call.sent


@pytest.mark.parametrize("data", [GET, HEAD])
def test_content_length_zero_with_nothing(data: bytes) -> None:
    """Announcing nothing and yielding nothing is in order."""
    call = answered(fixed(lambda: iter([]), "200 OK", ("Content-Length", "0")), data)
    assert framing(call.wire) == [b"Content-Length: 0"]


def test_head_is_answered_like_get_but_for_the_content() -> None:
    """HEAD gives the fields that GET would have given, if the application answers both alike."""
    for result in ([b"hello"], [b"hel", b"lo"]):
        get, head = (
            answered(fixed(result, "200 OK", ("X-A", "b"))),
            answered(fixed(result, "200 OK", ("X-A", "b")), HEAD),
        )
        assert get.wire == head.wire + b"hello"


def test_head_of_pieces_runs_the_application_to_its_end() -> None:
    """The iterable of a HEAD is exhausted as for GET; its content goes nowhere, its mistakes are still found."""
    seen: list[bytes] = []

    def pieces() -> Iterator[bytes]:
        for piece in (b"a", b"b"):
            seen.append(piece)
            yield piece

    call = answered(fixed(pieces), HEAD)
    assert seen == [b"a", b"b"]
    assert len(call.sent) == 1
    assert isinstance(run(fixed(lambda: iter([b"a", "b"])), HEAD).error, AppError)
