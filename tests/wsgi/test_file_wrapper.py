"""wsgi.file_wrapper: regular files are sent without being read, anything else is iterated."""

from __future__ import annotations

import io
from typing import Any

import pytest

from pastepool.errors import AppError, ClientGone
from pastepool.wsgi.file_wrapper import FileWrapper
from tests.wsgi.recording import (
    GET,
    HEAD,
    OLD_KEEP_ALIVE,
    Environ,
    StartResponse,
    answered,
    dechunked,
    fixed,
    parsed,
    run,
)


class Counting(io.BytesIO):
    """A file that counts."""

    closings = 0
    readings = 0

    def read(self, size: int | None = -1) -> bytes:
        self.readings += 1
        return super().read(size)

    def close(self) -> None:
        self.closings += 1
        super().close()


def test_wrapper_iterates_in_blocks() -> None:
    """Without a server that knows better a wrapper gives blocks of the asked size, to the end of the file."""
    assert list(FileWrapper(io.BytesIO(b"abcde"), 2)) == [b"ab", b"cd", b"e"]
    assert [len(block) for block in FileWrapper(io.BytesIO(b"x" * 70000))] == [65536, 4464]
    assert list(FileWrapper(io.BytesIO(b""))) == []


def test_wrapper_has_the_close_of_its_file() -> None:
    """close is the file's own; a file without one has a wrapper without one (PEP 3333)."""
    file = Counting(b"")
    FileWrapper(file).close()
    assert file.closings == 1

    class Bare:
        def read(self, size: int) -> bytes:
            return b""

    assert not hasattr(FileWrapper(Bare()), "close")


def wrapped(file: Any, *fields: tuple[str, str]) -> Any:
    """An application that returns the file by the wrapper in its environ."""

    def application(environ: Environ, start_response: StartResponse) -> Any:
        start_response("200 OK", list(fields))
        return environ["wsgi.file_wrapper"](file, 2)

    return application


def test_regular_file_is_not_read() -> None:
    """A file whose size is known goes to the kernel whole, with its length; it is closed and was never read."""
    file = Counting(b"abcde")
    call = answered(wrapped(file), file_size=5)
    assert call.files == [(file, 5)]
    assert b"Content-Length: 5" in parsed(call.wire).fields
    assert (file.readings, file.closings) == (0, 1)
    assert call.content_sent == 5
    assert call.keep_alive


def test_application_may_send_less_than_the_file() -> None:
    """Content-Length says how much of the file is meant (PEP 3333)."""
    file = Counting(b"abcde")
    assert answered(wrapped(file, ("Content-Length", "3")), file_size=5).files == [(file, 3)]


def test_file_shorter_than_announced_sends_nothing() -> None:
    """A file that cannot give what Content-Length promises is refused before the first byte, and closed."""
    file = Counting(b"abcde")
    ran = run(wrapped(file, ("Content-Length", "9")), file_size=5)
    assert isinstance(ran.error, AppError)
    assert "announced Content-Length 9; its file has 5 left" in str(ran.error)
    assert not ran.call.sent
    assert file.closings == 1


def test_empty_regular_file() -> None:
    """A file of no bytes is a response of no bytes."""
    call = answered(wrapped(Counting(b"")), file_size=0)
    assert b"Content-Length: 0" in parsed(call.wire).fields


def test_old_client_keeps_its_connection_because_the_length_is_known() -> None:
    """A file has a length, so HTTP/1.0 needs no close to see its end."""
    call = answered(wrapped(Counting(b"abcde")), OLD_KEEP_ALIVE, file_size=5)
    assert b"Connection: keep-alive" in parsed(call.wire).fields


def test_what_is_no_regular_file_is_iterated() -> None:
    """A pipe, a BytesIO, a decompressor: read in blocks, sent in chunks, closed."""
    file = Counting(b"abcde")
    call = answered(wrapped(file))
    assert not call.files
    assert dechunked(parsed(call.wire).rest) == [b"ab", b"cd", b"e"]
    assert file.closings == 1


def test_iterated_file_of_known_length() -> None:
    """Content-Length frames an iterated file like any other content."""
    call = answered(wrapped(Counting(b"abcde"), ("Content-Length", "5")))
    assert parsed(call.wire).rest == b"abcde"


@pytest.mark.parametrize(("data", "status"), [(HEAD, "200 OK"), (GET, "304 Not Modified"), (GET, "204 No Content")])
def test_file_is_not_sent_where_there_is_no_content(data: bytes, status: str) -> None:
    """HEAD, 204 and 304 send no file, and close it."""
    file = Counting(b"abcde")
    call = answered(fixed(lambda: FileWrapper(file), status), data, file_size=5)
    assert not call.files
    assert parsed(call.wire).rest == b""
    assert file.closings == 1


def test_file_behind_write_is_iterated() -> None:
    """Once content was sent the file is a part of it, in chunks like the rest."""
    file = Counting(b"abcde")

    def application(environ: Environ, start_response: StartResponse) -> Any:
        start_response("200 OK", [])(b"x")
        return environ["wsgi.file_wrapper"](file)

    call = answered(application, file_size=5)
    assert not call.files
    assert dechunked(parsed(call.wire).rest) == [b"x", b"abcde"]


def test_file_without_start_response_is_refused_and_closed() -> None:
    """A file alone is no response."""
    file = Counting(b"abcde")
    ran = run(lambda environ, start_response: FileWrapper(file), file_size=5)
    assert isinstance(ran.error, AppError)
    assert file.closings == 1


def test_file_is_closed_when_the_client_has_gone() -> None:
    """A client that hangs up in the middle of a file leaves no file open."""
    file = Counting(b"abcde")
    ran = run(wrapped(file), file_size=5, reads=0)
    assert isinstance(ran.error, ClientGone)
    assert file.closings == 1


def test_wrapper_inside_another_iterable_is_iterated() -> None:
    """Middleware that wraps the wrapper gets its blocks."""
    file = Counting(b"abcde")
    call = answered(fixed(lambda: (block for block in FileWrapper(file, 4))), file_size=5)
    assert dechunked(parsed(call.wire).rest) == [b"abcd", b"e"]


def test_text_file_is_refused() -> None:
    """A file opened as text gives no bytes."""
    ran = run(wrapped(io.StringIO("text")))
    assert isinstance(ran.error, AppError)
    assert "not bytes" in str(ran.error)
