"""close() of what an application returned: always called, once, whatever happened before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pastepool.errors import AppError, ClientGone, WorkerKilled
from tests.wsgi.recording import (
    GET,
    HEAD,
    Environ,
    RecordedCall,
    RecordingWindow,
    Run,
    StartResponse,
    call_of,
    fixed,
    parsed,
    run,
    serving,
)


class Pieces:
    """An iterable that ends as told and counts its closings."""

    def __init__(self, *pieces: Any, error: BaseException | None = None, close_error: Exception | None = None) -> None:
        self.closed = 0
        self._pieces = pieces
        self._error = error
        self._close_error = close_error

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        self.closed += 1
        if self._close_error is not None:
            raise self._close_error


FATES: dict[str, tuple[Pieces, dict[str, Any], type[BaseException] | None]] = {
    "all is well": (Pieces(b"a", b"b"), {}, None),
    "nothing to send": (Pieces(), {}, None),
    "only empty pieces": (Pieces(b"", b""), {}, None),
    "the application fails at once": (Pieces(error=KeyError("x")), {}, KeyError),
    "the application fails later": (Pieces(b"a", error=KeyError("x")), {}, KeyError),
    "the application exits": (Pieces(b"a", error=SystemExit(1)), {}, SystemExit),
    "text instead of bytes": (Pieces("a"), {}, AppError),
    "text later": (Pieces(b"a", "b"), {}, AppError),
    "the client is gone at once": (Pieces(b"a", b"b"), {"reads": 0}, ClientGone),
    "the client goes later": (Pieces(b"a", b"b"), {"reads": 1}, ClientGone),
    "the client goes before the end": (Pieces(b"a"), {"reads": 1}, ClientGone),
    "killed inside": (Pieces(b"a", error=WorkerKilled(3)), {}, WorkerKilled),
    "killed between": (Pieces(b"a", b"b"), {"kill_at": 2}, WorkerKilled),
}


def fate(name: str, data: bytes = GET) -> tuple[Run, Pieces]:
    """Run an application to the end that ``name`` says."""
    pieces, how, error = FATES[name]
    pieces.closed = 0
    how = dict(how)
    ran = run(fixed(lambda: pieces), data, window=RecordingWindow(how.pop("kill_at", 0)), **how)
    assert type(ran.error) is (error or type(None)), ran.error
    return ran, pieces


@pytest.mark.parametrize("name", FATES)
def test_close_is_called_once(name: str) -> None:
    """However the response ended, close is called, once, and last; what went wrong comes out after it."""
    ran, pieces = fate(name)
    assert pieces.closed == 1
    assert ran.window.events[-2:] == ["open for close", "shut"]


@pytest.mark.parametrize("name", ["all is well", "text later", "the application fails later", "nothing to send"])
def test_close_is_called_after_head_too(name: str) -> None:
    """A response without content is closed like any other."""
    assert fate(name, HEAD)[1].closed == 1


@pytest.mark.parametrize("length", ["1", "3"])
def test_close_is_called_where_content_length_is_broken(length: str) -> None:
    """Too much and too little content end in close as well."""
    pieces = Pieces(b"a", b"b")
    ran = run(fixed(lambda: pieces, "200 OK", ("Content-Length", length)))
    assert (type(ran.error), ran.call.cuts) == ((AppError, 0) if length == "3" else (type(None), 1))
    assert pieces.closed == 1


def test_close_is_called_without_start_response() -> None:
    """Even what never had a head is closed."""
    pieces = Pieces(b"a")
    assert isinstance(run(lambda environ, start_response: pieces).error, AppError)
    assert pieces.closed == 1


def test_close_is_called_after_write() -> None:
    """What was returned after write is closed like any other."""
    pieces = Pieces(b"b")

    def application(environ: Environ, start_response: StartResponse) -> Pieces:
        start_response("200 OK", [])(b"a")
        return pieces

    assert run(application).error is None
    assert pieces.closed == 1


def test_generator_runs_its_finally() -> None:
    """A generator that was not exhausted is closed: its finally runs before the next request."""
    finished: list[str] = []

    def pieces() -> Iterator[bytes]:
        try:
            yield b"a"
            yield b"b"
        finally:
            finished.append("finally")

    ran = run(fixed(pieces), reads=1)
    assert isinstance(ran.error, ClientGone)
    assert finished == ["finally"]


def test_error_in_close_comes_out_after_the_response() -> None:
    """A close that fails is reported; the response it comes after is whole."""
    pieces = Pieces(b"a", close_error=KeyError("close"))
    ran = run(fixed(lambda: pieces))
    assert type(ran.error) is KeyError
    assert ran.call.wire.endswith(b"1\r\na\r\n0\r\n\r\n")
    assert ran.call.whole
    assert pieces.closed == 1


@pytest.mark.parametrize(
    ("pieces", "length", "data", "whole"),
    [
        (Pieces(b"abc", error=KeyError("x")), "3", GET, True),
        (Pieces(b"ab", error=KeyError("x")), "3", GET, False),
        (Pieces(b"abc", error=KeyError("x")), None, GET, False),
        (Pieces(b"abc", error=KeyError("x")), None, HEAD, True),
        (Pieces(error=KeyError("x")), "3", HEAD, False),
        (Pieces(error=KeyError("x")), None, GET, False),
    ],
)
def test_a_response_is_whole_once_its_last_byte_was_handed_over(
    pieces: Pieces, length: str | None, data: bytes, whole: bool
) -> None:
    """What fails after the last byte does not concern the client; what fails before it does."""
    fields = [("Content-Length", length)] if length else []
    ran = run(fixed(lambda: pieces, "200 OK", *fields), data)
    assert type(ran.error) is KeyError
    assert ran.call.whole is whole


def test_error_in_close_does_not_hide_the_first_error() -> None:
    """When close fails after a failure both are told, the first as the context of the second."""
    pieces = Pieces(b"a", error=ValueError("first"), close_error=KeyError("second"))
    ran = run(fixed(lambda: pieces))
    assert type(ran.error) is KeyError
    assert type(ran.error.__context__) is ValueError
    assert pieces.closed == 1


@pytest.mark.parametrize("result", [lambda: iter([b"a"]), lambda: {b"a"}, [b"a"], (b"a", b"b")])
def test_what_has_no_close_needs_none(result: Callable[[], Any] | list[bytes]) -> None:
    """Iterators, lists and tuples have no close; nothing is missed."""
    ran = run(fixed(result))
    assert ran.error is None
    assert "open for close" not in ran.window.events


def test_list_subclass_with_close_is_closed() -> None:
    """What only looks like a list is treated as what it is."""

    class Closing(list[bytes]):
        closed = 0

        def close(self) -> None:
            self.closed += 1

    result = Closing([b"a"])

    def application(environ: Environ, start_response: StartResponse) -> Any:
        start_response("200 OK", [])
        return result

    window = RecordingWindow()
    call = call_of(GET, RecordedCall)
    call.begin_recording(serving(application), window, 9)
    call.run(window)
    assert result.closed == 1
    assert call.wire.endswith(b"1\r\na\r\n0\r\n\r\n")


ENDLESS = [
    pytest.param(HEAD, "200 OK", None, b"x", id="HEAD"),
    pytest.param(HEAD, "200 OK", "5", b"x", id="HEAD with a length"),
    pytest.param(HEAD, "200 OK", None, b"", id="HEAD of empty pieces"),
    pytest.param(GET, "204 No Content", None, b"x", id="204"),
    pytest.param(GET, "304 Not Modified", None, b"", id="304 of empty pieces"),
    pytest.param(GET, "200 OK", "0", b"", id="length 0"),
]


@pytest.mark.parametrize(("data", "status", "length", "piece"), ENDLESS)
def test_endless_iterable_of_a_complete_response_is_closed(
    data: bytes, status: str, length: str | None, piece: bytes
) -> None:
    """Three pieces of which nothing is sent are enough; the response is whole, and the connection goes on."""
    pieces = Pieces(*[piece] * 100)
    fields = [] if length is None else [("Content-Length", length)]
    ran = run(fixed(lambda: pieces, status, *fields), data)
    assert (ran.error, pieces.closed, ran.call.asked_after, ran.call.keep_alive) == (None, 1, 3, True)
    assert parsed(ran.call.wire).rest == b""


def test_empty_pieces_behind_content_of_a_known_length_end_soon() -> None:
    """The content is complete, so what follows it may be nothing but a mistake."""
    pieces = Pieces(b"abc", *[b""] * 100)
    ran = run(fixed(lambda: pieces, "200 OK", ("Content-Length", "3")))
    assert (ran.error, pieces.closed) == (None, 1)
    assert parsed(ran.call.wire).rest == b"abc"


@pytest.mark.parametrize("first", [(), (b"a",)])
def test_empty_pieces_end_when_the_client_has_left(first: tuple[bytes, ...]) -> None:
    """Nothing is sent that could show it, so the server asks. ``Pieces`` would go on otherwise."""
    pieces = Pieces(*first, *[b""] * 100)
    ran = run(fixed(lambda: pieces))
    assert isinstance(ran.error, ClientGone)
    assert pieces.closed == 1


@pytest.mark.parametrize(("data", "piece"), [(GET, b""), (HEAD, b"x"), (HEAD, b"")])
def test_write_of_what_is_not_sent_raises_when_the_client_has_left(data: bytes, piece: bytes) -> None:
    """An application that only writes learns of it too."""

    def application(environ: Environ, start_response: StartResponse) -> list[bytes]:
        write = start_response("200 OK", [])
        for _ in range(100):
            write(piece)
        return []

    ran = run(application, data)
    assert isinstance(ran.error, ClientGone)
    assert ran.call.asked_after == 4
