"""wsgi.file_wrapper: large plain files are sent without being read, anything else equals ``iter(read, b"")``."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pastepool.errors import AppError, ClientGone
from pastepool.wsgi.file_wrapper import FileWrapper
from pastepool.wsgi.plain_file import plain_file, read_fully
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

SMALL = b"abcde"
LARGE = bytes(range(256)) * 400


class Counting(io.BytesIO):
    """A file in memory that counts."""

    closings = 0
    asked = 0

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None
        self.asked += size
        return super().read(size)

    def close(self) -> None:
        self.closings += 1
        super().close()


class Bare:
    """As little of a file as PEP 3333 allows, and it may give more than it was asked for."""

    def __init__(self, data: bytes, more: int = 0) -> None:
        self._file = io.BytesIO(data)
        self._more = more

    def read(self, size: int) -> bytes:
        return self._file.read(size + self._more)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Open a file with the given content; ``buffering`` as for ``open``."""
    files = []

    def opening(data: bytes, buffering: int = -1, mode: str = "rb") -> Any:
        path = tmp_path / f"file{len(files)}"
        path.write_bytes(data)
        files.append(path.open(mode, buffering=buffering))
        return files[-1]

    yield opening
    for file in files:
        with contextlib.suppress(ValueError):  # it was detached
            file.close()


def wrapped(file: Any, *fields: tuple[str, str], size: int = 2) -> Any:
    """An application that returns the file by the wrapper in its environ."""

    def application(environ: Environ, start_response: StartResponse) -> Any:
        start_response("200 OK", list(fields))
        return environ["wsgi.file_wrapper"](file, size)

    return application


def status_of(mode: int, size: int, blocks: int) -> Callable[[int], Any]:
    """What a file system says of a file, true or not."""
    return lambda fd: SimpleNamespace(st_mode=mode, st_size=size, st_blocks=blocks)


# The wrapper by itself, as applications and frameworks use it.


def test_wrapper_iterates_in_blocks() -> None:
    """Blocks of the asked size, to the end of the file; no size and a size of 0 are the default."""
    assert list(FileWrapper(io.BytesIO(b"abcde"), 2)) == [b"ab", b"cd", b"e"]
    assert [len(block) for block in FileWrapper(io.BytesIO(b"x" * 70000))] == [65536, 4464]
    assert [len(block) for block in FileWrapper(io.BytesIO(b"x" * 70000), 0)] == [65536, 4464]
    assert list(FileWrapper(io.BytesIO(b"x" * 70000), -1)) == [b"x" * 70000]
    assert list(FileWrapper(io.BytesIO(b""))) == []


def test_wrapper_has_what_its_file_has() -> None:
    """close, seek and tell are the file's own; a file without them has a wrapper without them."""
    file = Counting(b"abc")
    wrapper: Any = FileWrapper(file)
    assert wrapper.seekable()
    wrapper.seek(1)
    assert wrapper.tell() == 1
    assert next(wrapper) == b"bc"
    wrapper.close()
    assert file.closings == 1
    bare = FileWrapper(Bare(b""))
    assert not bare.seekable()
    assert not any(hasattr(bare, name) for name in ("close", "seek", "tell"))


def test_wrapper_is_its_own_iterator() -> None:
    """Werkzeug calls ``seek`` on ``iter(wrapper)``."""
    wrapper = FileWrapper(io.BytesIO(b""))
    assert iter(wrapper) is wrapper


def test_file_that_can_seek_is_seekable_even_if_it_does_not_say_so() -> None:
    """Old file-like objects have ``seek`` and no ``seekable``."""

    class Old(Bare):
        def seek(self, position: int) -> None:
            raise NotImplementedError

    assert FileWrapper(Old(b"")).seekable()


@pytest.mark.parametrize("size", [1, 2, 3, 65536, -1])
@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [(0, 5, b"abcde"), (1, 3, b"bc"), (3, None, b"de"), (4, 9, b"e"), (5, 6, b""), (9, 12, b""), (2, 2, b"")],
)
@pytest.mark.parametrize("make", [io.BytesIO, Bare])
def test_range_for_webob(
    make: Callable[[bytes], Any], start: int, stop: int | None, expected: bytes, size: int
) -> None:
    """``app_iter_range`` yields exactly the range, whether the file can seek or must be read up to its start."""
    assert b"".join(FileWrapper(make(b"abcde"), size).app_iter_range(start, stop)) == expected


def test_range_counts_from_where_the_file_is() -> None:
    """The content begins at the position of the file, so a range of it does too."""
    file = io.BytesIO(b"abcde")
    file.seek(2)
    assert b"".join(FileWrapper(file).app_iter_range(1, 2)) == b"d"


# What is proven to be a plain file, and what is not.


def test_proof_of_a_plain_file(opened: Callable[..., Any]) -> None:
    """The exact types of ``io`` over a regular file; the position is the one of ``tell``, whatever was buffered."""
    file = opened(LARGE)
    file.read(100)
    proof = plain_file(file, os.fstat)
    assert proof == (file.fileno(), 100, len(LARGE) - 100, True)
    raw = opened(LARGE, buffering=0)
    assert plain_file(raw, os.fstat) == (raw.fileno(), 0, len(LARGE), True)


def test_file_open_for_writing_is_flushed_before_it_is_measured(opened: Callable[..., Any]) -> None:
    """What was just written belongs to the content."""
    file = opened(b"", mode="w+b")
    file.write(b"abc")
    file.seek(0)
    file.write(b"x")
    proof = plain_file(file, os.fstat)
    assert proof is not None
    assert (proof.position, proof.left) == (1, 2)


def no_plain_files(opened: Callable[..., Any], tmp_path: Path) -> dict[str, Any]:
    """Objects that must be read, although most of them have the descriptor of a regular file."""

    class Loud(io.FileIO):
        def read(self, size: int | None = -1) -> bytes:
            return b"READ"

    class Lying(io.BytesIO):
        def fileno(self) -> int:
            return opened(LARGE).fileno()  # type: ignore[no-any-return]

    replaced, replaced_below = opened(LARGE), opened(LARGE)
    replaced.read = lambda size: b""
    replaced_below.raw.read = lambda size: b""
    closed, detached = opened(LARGE), opened(LARGE)
    closed.close()
    detached.detach().close()
    at_the_end = opened(LARGE)
    at_the_end.seek(len(LARGE))
    beyond = opened(LARGE)
    beyond.seek(len(LARGE) + 10)
    return {
        "gzip": gzip.open(io.BytesIO(gzip.compress(LARGE))),
        "gzip of a file": gzip.GzipFile(fileobj=opened(gzip.compress(LARGE))),
        "temporary file with a name": tempfile.NamedTemporaryFile(dir=tmp_path),
        "spooled": tempfile.SpooledTemporaryFile(dir=str(tmp_path)),
        "in memory": io.BytesIO(LARGE),
        "in memory with the descriptor of another file": Lying(),
        "subclass": Loud(opened(LARGE).name),
        "buffer above a subclass": io.BufferedReader(Loud(opened(LARGE).name)),
        "read replaced": replaced,
        "read below replaced": replaced_below,
        "text": open(opened(LARGE).name),
        "empty": opened(b""),
        "at the end": at_the_end,
        "beyond the end": beyond,
        "closed": closed,
        "detached": detached,
        "device": open(os.devnull, "rb"),
        "no file at all": object(),
    }


def test_what_is_no_plain_file(opened: Callable[..., Any], tmp_path: Path) -> None:
    """Every other object is read."""
    for name, file in no_plain_files(opened, tmp_path).items():
        assert plain_file(file, os.fstat) is None, name
        if hasattr(file, "close") and name != "detached":
            file.close()


def test_pipe_is_no_plain_file() -> None:
    """A pipe has no position."""
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        assert plain_file(file, os.fstat) is None


# How the server sends it.


def test_large_file_is_not_read(opened: Callable[..., Any]) -> None:
    """A large plain file goes to the kernel whole, with its length, and is closed."""
    file = opened(LARGE)
    call = answered(wrapped(file))
    assert [length for _, length in call.files] == [len(LARGE)]
    assert b"Content-Length: %d" % len(LARGE) in parsed(call.wire).fields
    assert file.closed
    assert call.content_sent == len(LARGE)
    assert call.keep_alive
    assert call.whole


@pytest.mark.parametrize("buffering", [-1, 0])
@pytest.mark.parametrize("size", [1, 5, 65535, 65536])
def test_small_file_is_read_and_sent_with_its_head(opened: Callable[..., Any], size: int, buffering: int) -> None:
    """Up to 64 KiB a file is read: it has its length, goes out in one piece, and is closed."""
    file = opened(LARGE[:size], buffering)
    call = answered(wrapped(file))
    assert not call.files
    assert b"Content-Length: %d" % size in parsed(call.wire).fields
    assert parsed(call.wire).rest == LARGE[:size]
    assert len(call.sent) == 1
    assert file.closed


@pytest.mark.parametrize(
    ("offset", "length", "sent"), [(0, 100000, 100000), (300, 99000, 99000), (100, 10, 10), (0, 0, 0)]
)
def test_application_may_send_less_than_the_file(
    opened: Callable[..., Any], offset: int, length: int, sent: int
) -> None:
    """Content-Length says how much of the file is meant (PEP 3333), from where the file is."""
    file = opened(LARGE)
    file.seek(offset)
    call = answered(wrapped(file, ("Content-Length", str(length))))
    if call.files:
        assert [(file.position, length) for file, length in call.files] == [(offset, sent)]
    else:
        assert parsed(call.wire).rest == LARGE[offset : offset + length]
    assert call.keep_alive
    assert call.cuts == 0


@pytest.mark.parametrize("data", [SMALL, LARGE])
def test_file_shorter_than_announced_sends_nothing(opened: Callable[..., Any], data: bytes) -> None:
    """A file that cannot give what Content-Length promises is refused before the first byte, and closed."""
    file = opened(data)
    ran = run(wrapped(file, ("Content-Length", "900000")))
    assert isinstance(ran.error, AppError)
    assert f"announced Content-Length 900000; its file has {len(data)} left" in str(ran.error)
    assert not ran.call.sent
    assert file.closed


def test_empty_file(opened: Callable[..., Any]) -> None:
    """A file of no bytes is a response of no bytes."""
    assert b"Content-Length: 0" in parsed(answered(wrapped(opened(b""))).wire).fields


@pytest.mark.parametrize("data", [SMALL, LARGE])
def test_old_client_keeps_its_connection_because_the_length_is_known(opened: Callable[..., Any], data: bytes) -> None:
    """A file has a length, so HTTP/1.0 needs no close to see its end."""
    assert b"Connection: keep-alive" in parsed(answered(wrapped(opened(data)), OLD_KEEP_ALIVE).wire).fields


REGULAR = stat.S_IFREG | 0o444


@pytest.mark.parametrize(
    ("content", "says"),
    [(SMALL, 4096), (SMALL, 70000), (LARGE, 4096), (LARGE, 3), (LARGE, 200000), (SMALL, 4), (SMALL, 0), (LARGE, 0)],
)
@pytest.mark.parametrize("buffering", [-1, 0])
@pytest.mark.parametrize("announced", [None, 3])
def test_file_system_with_false_sizes(
    opened: Callable[..., Any], content: bytes, says: int, buffering: int, announced: int | None
) -> None:
    """/proc says 0, /sys says 4096, others say what they like, and no block is stored: the content is what is read."""
    fields = [] if announced is None else [("Content-Length", str(announced))]
    call = answered(wrapped(opened(content, buffering), *fields, size=65536), look=status_of(REGULAR, says, 0))
    head = parsed(call.wire)
    chunked = b"Transfer-Encoding: chunked" in head.fields
    assert not call.files
    assert (b"".join(dechunked(head.rest)) if chunked else head.rest) == content[:announced]
    assert call.cuts == 0


def test_sparse_file_of_known_length_is_sent_by_the_kernel(opened: Callable[..., Any]) -> None:
    """If the application knows the length, the file's size is not needed."""
    call = answered(wrapped(opened(LARGE), ("Content-Length", "99999")), look=status_of(REGULAR, len(LARGE), 0))
    assert [length for _, length in call.files] == [99999]


def test_host_that_cannot_send_files_reads_them(opened: Callable[..., Any]) -> None:
    """The admin listener has no sendfile."""
    call = answered(wrapped(opened(LARGE), size=65536), look=None)
    assert dechunked(parsed(call.wire).rest) == [LARGE[:65536], LARGE[65536:]]


def test_what_is_no_plain_file_is_iterated() -> None:
    """A pipe, a BytesIO, a decompressor: read in blocks, sent in chunks, closed."""
    file = Counting(b"abcde")
    call = answered(wrapped(file))
    assert dechunked(parsed(call.wire).rest) == [b"ab", b"cd", b"e"]
    assert file.closings == 1


@pytest.mark.parametrize("announced", [0, 1, 3, 4, 5])
@pytest.mark.parametrize("more", [0, 7])
def test_iterated_file_ends_at_its_content_length(announced: int, more: int) -> None:
    """However much more the object has or gives: no byte more is sent, and it is no mistake."""
    call = answered(wrapped(Bare(b"abcde", more), ("Content-Length", str(announced))))
    assert parsed(call.wire).rest == b"abcde"[:announced]
    assert call.keep_alive
    assert call.cuts == 0


def test_no_more_is_read_than_announced() -> None:
    """Reading may be dear: a file of gigabytes behind a decompressor, a socket."""
    file = Counting(b"abcde" * 1000)
    answered(wrapped(file, ("Content-Length", "9"), size=4))
    assert file.asked == 9


def test_iterated_file_shorter_than_announced() -> None:
    """The client can tell: fewer bytes than announced."""
    ran = run(wrapped(Bare(b"abcde"), ("Content-Length", "9")))
    assert isinstance(ran.error, AppError)
    assert "4 bytes less" in str(ran.error)


def test_range_of_webob_is_sent_by_the_kernel(opened: Callable[..., Any]) -> None:
    """The wrapper that WebOb gives back is still a file, and ends where the range does."""

    def application(environ: Environ, start_response: StartResponse) -> Any:
        start_response("206 Partial Content", [])
        return environ["wsgi.file_wrapper"](opened(LARGE)).app_iter_range(1000, 90000)

    call = answered(application)
    assert [(file.position, length) for file, length in call.files] == [(1000, 89000)]
    assert b"Content-Length: 89000" in parsed(call.wire).fields


@pytest.mark.parametrize(("data", "status"), [(HEAD, "200 OK"), (GET, "304 Not Modified"), (GET, "204 No Content")])
@pytest.mark.parametrize("content", [SMALL, LARGE, None])
def test_file_is_not_sent_where_there_is_no_content(
    opened: Callable[..., Any], data: bytes, status: str, content: bytes | None
) -> None:
    """HEAD, 204 and 304 send no file, do not read it to its end, and close it."""
    file = Counting(b"abcde") if content is None else opened(content)
    call = answered(fixed(lambda: FileWrapper(file), status), data)
    assert not call.files
    assert parsed(call.wire).rest == b""
    assert file.closed
    assert call.whole
    if content is None:
        assert file.asked == 0


@pytest.mark.parametrize("content", [SMALL, LARGE])
def test_head_says_the_length_that_get_says(opened: Callable[..., Any], content: bytes) -> None:
    """RFC 9110 9.3.2: the same fields."""
    get, head = answered(wrapped(opened(content))), answered(wrapped(opened(content)), HEAD)
    assert parsed(get.wire).fields == parsed(head.wire).fields


@pytest.mark.parametrize("announced", [(), (("Content-Length", "4"),)])
def test_file_behind_write_is_iterated(opened: Callable[..., Any], announced: Any) -> None:
    """Once content was sent the file is a part of it, up to the end of what was announced."""
    file = opened(LARGE)

    def application(environ: Environ, start_response: StartResponse) -> Any:
        start_response("200 OK", list(announced))(b"x")
        return environ["wsgi.file_wrapper"](file, 200000)

    call = answered(application)
    assert not call.files
    rest = parsed(call.wire).rest
    assert (rest == b"x" + LARGE[:3]) if announced else (dechunked(rest) == [b"x", LARGE])


def test_file_without_start_response_is_refused_and_closed(opened: Callable[..., Any]) -> None:
    """A file alone is no response."""
    file = opened(SMALL)
    ran = run(lambda environ, start_response: FileWrapper(file))
    assert isinstance(ran.error, AppError)
    assert file.closed


@pytest.mark.parametrize("content", [SMALL, LARGE])
def test_file_is_closed_when_the_client_has_gone(opened: Callable[..., Any], content: bytes) -> None:
    """A client that hangs up in the middle of a file leaves no file open."""
    file = opened(content)
    ran = run(wrapped(file), reads=0)
    assert isinstance(ran.error, ClientGone)
    assert file.closed


def test_wrapper_inside_another_iterable_is_iterated(opened: Callable[..., Any]) -> None:
    """Middleware that wraps the wrapper gets its blocks."""
    file = opened(SMALL)
    call = answered(fixed(lambda: (block for block in FileWrapper(file, 4))))
    assert dechunked(parsed(call.wire).rest) == [b"abcd", b"e"]


@pytest.mark.parametrize("content", ["text", ""])
def test_text_file_is_refused(content: str) -> None:
    """A file opened as text gives no bytes."""
    ran = run(wrapped(io.StringIO(content)))
    assert isinstance(ran.error, AppError)
    assert "not bytes" in str(ran.error)


@pytest.mark.parametrize("announced", [(), (("Content-Length", "4"),)])
def test_file_that_has_nothing_to_read_yet_is_refused(announced: Any) -> None:
    """A raw file that does not block gives None when it is empty for now: this is not the end of the content."""

    class NotYet:
        def read(self, size: int) -> None:
            return None

    ran = run(wrapped(NotYet(), *announced))
    assert isinstance(ran.error, AppError)
    assert "NoneType, not bytes" in str(ran.error)


def test_reading_fully_asks_again() -> None:
    """A raw file may give less than asked for before its end."""

    class OneByOne(Bare):
        def read(self, size: int) -> bytes:
            return super().read(min(size, 1))

    assert [read_fully(OneByOne(b"abc"), size) for size in (2, 3, 4)] == [b"ab", b"abc", b"abc"]
