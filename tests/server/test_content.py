"""Content on its way in and out: byte for byte, in memory or in files, and never at the cost of a worker."""

from __future__ import annotations

import hashlib
import io
import os
import random
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pastepool.runtime.http.connection import READ_SIZE
from tests.certificates import TlsClientSide
from tests.server.conftest import Serve
from tests.server.serving import Environ, Held, body_echo, path_echo, plain
from tests.waiting import WATCHDOG, until

pytestmark = pytest.mark.over_tls

MEBIBYTE = 1048576
NOISE = random.Random(1).randbytes(5 * MEBIBYTE)


def chunked(data: bytes, sizes: list[int]) -> bytes:
    """``data`` in chunks of the given sizes, again and again."""
    pieces, at, turn = [], 0, 0
    while at < len(data):
        piece = data[at : at + sizes[turn % len(sizes)]]
        pieces.append(b"%x\r\n%b\r\n" % (len(piece), piece))
        at += len(piece)
        turn += 1
    return b"".join([*pieces, b"0\r\n\r\n"])


@pytest.mark.parametrize("framing", ["content-length", "chunked"])
@pytest.mark.parametrize("body_memory", ["64k", "16m"])
def test_5_mb_come_back_byte_for_byte(serve: Serve, framing: str, body_memory: str) -> None:
    """Content arrives and leaves intact, by either framing, through memory or a file."""
    with serve(body_echo, body_memory=body_memory).client() as client:
        lines = [f"Content-Length: {len(NOISE)}"] if framing == "content-length" else ["Transfer-Encoding: chunked"]
        client.ask("/", *lines, method="POST")
        client.send(NOISE if framing == "content-length" else chunked(NOISE, [1, 70000, 16, 4096, 255]))
        response = client.response()
        assert hashlib.sha256(response.body).digest() == hashlib.sha256(NOISE).digest()
        assert client.get("/", method="POST", body=b"and on").body == b"and on"


@pytest.mark.parametrize("seed", range(4))
def test_contents_of_any_size_in_a_row_on_one_connection(serve: Serve, seed: int) -> None:
    """
    Around each size at which something else is done, cut anywhere, and with heads of any size.

    A first read takes as much as the head before it had. So the order is random, and some heads differ by one byte.
    """
    chance = random.Random(seed)
    bounds = (0, 1, 16384, 65536, 65536 + 16384)
    with serve(body_echo, body_memory="128k").client() as client:
        for _ in range(60):
            size = max(0, chance.choice(bounds) + chance.randint(-300, 300)) if chance.random() < 0.8 else 150_000
            begin = chance.randrange(len(NOISE) - size)
            content = NOISE[begin : begin + size]
            padding = "X-Padding: " + "p" * chance.choice((0, 0, 1, 2, 1500, 2048, 6000, 17_000))
            head = f"POST / HTTP/1.1\r\nHost: a\r\n{padding}\r\nContent-Length: {size}\r\n\r\n".encode()
            data = head + content
            cuts = sorted(chance.randrange(len(data) + 1) for _ in range(chance.choice((0, 0, 1, 3))))
            for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
                client.send(data[start:end])
            assert client.response().body == content


def test_first_read_after_long_content_takes_as_much_as_its_head(serve: Serve) -> None:
    """
    The content of the next request then comes in one piece. A head that is longer is read to its end, and the next first
    read takes as much as usual. With TLS each read takes as much as usual, because it takes records.
    """
    run = serve(body_echo)
    with run.client() as client:
        encrypted = isinstance(client.sock, TlsClientSide)
        head = b"POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 20000\r\n\r\n"
        after_long = READ_SIZE if encrypted else len(head)

        def read_size_after(*lines: str, content: bytes = b"") -> int:
            assert client.get("/", *lines, method="POST" if content else "GET", body=content).body == content
            (connection,) = run.server.parts.poller.connections.values()
            return connection.read_size

        assert read_size_after() == READ_SIZE
        for longer in (f"X-Padding: {'p' * size}" for size in (100, 17_000)):
            assert read_size_after(content=NOISE[:20_000]) == after_long
            assert read_size_after() == after_long
            assert read_size_after(longer) == READ_SIZE
        assert read_size_after(content=NOISE[:20_000]) == after_long
        assert read_size_after(content=b"short") == READ_SIZE


@pytest.mark.slow
@pytest.mark.parametrize("framing", ["content-length", "chunked"])
def test_64_mib_come_back_byte_for_byte(serve: Serve, framing: str) -> None:
    """With the default options: through a file on the way in, and another one on the way out."""
    noise = random.Random(2).randbytes(64 * MEBIBYTE)
    with serve(body_echo).client() as client:
        lines = [f"Content-Length: {len(noise)}"] if framing == "content-length" else ["Transfer-Encoding: chunked"]
        client.ask("/", *lines, method="POST")
        client.send(noise if framing == "content-length" else chunked(noise, [70000, 4096, 1048576, 255]))
        assert hashlib.sha256(client.response().body).digest() == hashlib.sha256(noise).digest()


@pytest.mark.parametrize(("size", "in_file"), [(65536, False), (65537, True)])
@pytest.mark.parametrize("framing", ["content-length", "chunked"])
def test_content_beyond_body_memory_is_in_a_file(serve: Serve, size: int, in_file: bool, framing: str) -> None:
    """Up to ``body_memory`` content stays in memory; a byte more puts it into a nameless file, closed afterwards."""
    kinds: list[tuple[bool, str, str, Any]] = []

    def app(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        content = environ["wsgi.input"]
        on_disk = not isinstance(content, io.BytesIO)
        name = os.readlink(f"/proc/self/fd/{content.fileno()}") if on_disk else ""
        kinds.append((on_disk, name, environ["CONTENT_LENGTH"], content))
        return list(body_echo(environ, start_response))

    with serve(app, body_memory="64k").client() as client:
        if framing == "content-length":
            client.ask("/", method="POST", body=NOISE[:size])
        else:
            client.ask("/", "Transfer-Encoding: chunked", method="POST")
            client.send(chunked(NOISE[:size], [1000]))
        assert client.response().body == NOISE[:size]
        client.get("/")
    on_disk, name, length, content = kinds[0]
    assert (on_disk, length) == (in_file, str(size))
    if in_file:
        assert name.endswith("(deleted)")
        assert content.closed


def test_contents_of_all_connections_share_a_bound(serve: Serve) -> None:
    """An upload that finds no memory left is in a file; when the others have gone, or were answered, there is room."""

    def app(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [])
        content = environ["wsgi.input"]
        return [b"memory " if isinstance(content, io.BytesIO) else b"file ", b"%d" % len(content.read())]

    run = serve(app, body_memory="64k", body_memory_total="100k")
    with run.client() as first, run.client() as second:
        for client in (first, second):
            client.ask("/", "Content-Length: 60000", method="POST")
            client.send(b"x" * 50_000)
        until(lambda: run.received == [50_000, 50_000], "both have half of their content")
        for client in (first, second):
            client.send(b"x" * 10_000)
        answers = {client.response().body for client in (first, second)}
        assert answers == {b"memory 60000", b"file 60000"}
        assert first.get("/", method="POST", body=b"x" * 60_000).body == b"memory 60000"
        first.ask("/", "Content-Length: 60000", method="POST")
        first.send(b"x" * 50_000)
        until(lambda: run.received == [50_000], "half of the content is there")
        assert second.get("/", method="POST", body=b"x" * 60_000).body == b"file 60000"
        first.close()
        until(lambda: run.connections == 1, "the first has gone")
        assert second.get("/", method="POST", body=b"x" * 60_000).body == b"memory 60000"


def test_input_has_every_way_to_read_of_a_file(serve: Serve) -> None:
    """PEP 3333: read, readline, readlines and iteration, each ending where the content ends, in memory and on disk."""

    def app(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        content = environ["wsgi.input"]
        found = [content.read(3), content.readline(), next(iter(content)), content.readlines()[0], content.read(-1)]
        found.append(content.read())
        start_response("200 OK", [])
        return [repr(found).encode()]

    body = b"onetwo\nline\n" + b"x" * 100_000
    expected = [b"one", b"two\n", b"line\n", b"x" * 100_000, b"", b""]
    for memory in ("1k", "1m"):
        with serve(app, body_memory=memory).client() as client:
            assert client.get("/", method="POST", body=body).body == repr(expected).encode()
            assert client.get("/", method="POST", body=body).status == 200


def test_application_that_does_not_read_its_content(serve: Serve) -> None:
    """Content nobody reads is not taken for the next request."""
    with serve(path_echo, body_memory="64k").client() as client:
        for size in (10, 200_000):
            assert client.get("/a", method="POST", body=b"x" * size).body == b"/a"
        assert client.get("/b").body == b"/b"


def no_room(**anything: object) -> Any:
    """A temporary file that cannot be made."""
    raise OSError(28, "No space left on device")


def no_room_to_write(**anything: object) -> Any:
    """A temporary file that can be made but not written: buffered bytes fail when they are flushed."""
    return open("/dev/full", "w+b")


@pytest.mark.parametrize("opened", [no_room, no_room_to_write])
@pytest.mark.parametrize("size", [2000, 200_000, 3_000_000])
@pytest.mark.parametrize("framing", ["content-length", "chunked"])
def test_disk_that_is_full(
    serve: Serve,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    opened: Callable[..., Any],
    size: int,
    framing: str,
) -> None:
    """
    Content that cannot be kept is read to its end and answered 507. The log names request, directory and remedy; the
    connection goes on, and nothing of the content is held.
    """
    run = serve(body_echo, body_memory="1k", access_log=True)
    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(tempfile, "TemporaryFile", opened)
    with run.client() as client:
        for _ in range(2):
            lines = [f"Content-Length: {size}"] if framing == "content-length" else ["Transfer-Encoding: chunked"]
            client.ask("/upload?secret=x", *lines, method="POST")
            client.send(NOISE[:size] if framing == "content-length" else chunked(NOISE[:size], [70000, 16]))
            response = client.response()
            assert (response.status, response.closes) == (507, False)
        assert client.get("/", method="POST", body=b"small").body == b"small"
        memory, room = run.server.parts.poller._body_memory, run.server.parts.shared.spool_room
        until(lambda: memory.taken == room.taken == 0 and not room.files, "the memory is given back")
        until(lambda: len(os.listdir("/proc/self/fd")) <= before + 2, "nothing is held open")
    until(lambda: caplog.text.count("cannot be kept") == 2, "the log tells of both")
    told = next(record for record in caplog.records if "cannot be kept" in record.getMessage())
    assert (told.name, told.levelname) == ("pastepool.http", "ERROR")
    assert "POST /upload: " in told.getMessage()
    assert f"{size} bytes cannot be kept in {tempfile.gettempdir()}: [Errno 28] No space left" in told.getMessage()
    assert "TMPDIR" in told.getMessage()
    until(lambda: sum(" 507 " in record.getMessage() for record in caplog.records) == 2, "so does the access log")


def test_disk_that_is_full_and_a_client_that_closes(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that wants its connection closed gets 507 first; one that leaves in the middle is forgotten."""
    run = serve(body_echo, body_memory="1k")
    monkeypatch.setattr(tempfile, "TemporaryFile", no_room)
    response = run.get("/", "Connection: close", method="POST", body=b"x" * 5000)
    assert (response.status, response.closes) == (507, True)
    with run.client() as client:
        client.ask("/", "Content-Length: 5000", method="POST")
        client.send(b"x" * 4000)
    until(lambda: run.connections == 0, "both are gone")


def test_slow_reader_does_not_hold_a_worker_below_the_watermark(serve: Serve) -> None:
    """A response that fits is left to the baton's holder: with one worker, 20 clients that do not read delay nobody."""
    run = serve(plain(b"x" * 900_000), threadpool_workers=1, output_high_watermark="1m")
    readers = [run.client(receive_buffer=4096) for _ in range(20)]
    for reader in readers:
        reader.ask("/")
    assert len(run.get("/").body) == 900_000
    for reader in readers:
        assert len(reader.response().body) == 900_000
        reader.close()


def test_slow_reader_of_pieces_below_the_watermark_frees_its_worker(serve: Serve) -> None:
    """The same for a response in pieces: the application's iterable ends although nothing was read yet."""
    closed = threading.Event()

    def app(environ: Environ, start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        try:
            for _ in range(60):
                yield b"x" * 100_000
        finally:
            closed.set()

    run = serve(app, output_high_watermark="8m")
    with run.client(receive_buffer=4096) as client:
        client.ask("/")
        assert closed.wait(WATCHDOG)
        assert len(client.response().body) == 6_000_000
        assert client.get("/").status == 200


def test_output_beyond_the_watermark_makes_the_worker_wait(serve: Serve) -> None:
    """Memory is bounded: the application is asked for no more than the watermark and the kernel's buffers take."""
    asked = [0]
    total = 400

    def app(environ: Environ, start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        for number in range(total):
            asked[0] = number + 1
            yield bytes([number % 251]) * 100_000

    run = serve(app, output_high_watermark="500k", output_spool=0)
    with run.client(receive_buffer=65536) as client:
        client.ask("/")
        until(
            lambda: any(c.output and c.output.size > 512_000 for c in run.server.parts.poller.connections.values()),
            "full",
        )
        (connection,) = run.server.parts.poller.connections.values()
        output = connection.output
        assert output is not None
        assert output.size <= 512_000 + 100_100
        assert asked[0] < total / 2
        body = client.response().body
        assert body == b"".join(bytes([number % 251]) * 100_000 for number in range(total))
        assert client.get("/").status == 200


def test_write_waits_too(serve: Serve) -> None:
    """PEP 3333's ``write()`` obeys the same watermark, and everything arrives in order."""

    def app(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        write = start_response("200 OK", [])
        for number in range(100):
            write(b"%099999d\n" % number)
        return [b"end"]

    run = serve(app, output_high_watermark="200k", output_spool=0)
    with run.client(receive_buffer=4096) as client:
        body = client.get("/").body
    assert body == b"".join(b"%099999d\n" % number for number in range(100)) + b"end"


@pytest.fixture
def large_file(tmp_path: Path) -> Path:
    """A file of 30 MiB in which no stretch looks like another."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        for number in range(6):
            file.write(bytes([number]) * 7 + NOISE[7:])
    return path


def serve_file(path: Path, *fields: tuple[str, str], offset: int = 0) -> Callable[..., Any]:
    """An application that answers with a file."""

    def app(environ: Environ, start_response: Callable[..., Any]) -> Any:
        file = path.open("rb")
        file.seek(offset)
        start_response("200 OK", list(fields))
        return environ["wsgi.file_wrapper"](file, 65536)

    return app


@pytest.fixture
def sent_by_the_kernel(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes ``os.sendfile`` has sent."""
    sizes: list[int] = []
    real = os.sendfile

    def counting(*arguments: int) -> int:
        sizes.append(real(*arguments))
        return sizes[-1]

    monkeypatch.setattr(os, "sendfile", counting)
    return sizes


@pytest.mark.parametrize("receive_buffer", [0, 4096])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.plain_only("with TLS the kernel cannot send it")
def test_file_goes_by_sendfile_intact(
    serve: Serve, large_file: Path, sent_by_the_kernel: list[int], receive_buffer: int, version: str
) -> None:
    """``wsgi.file_wrapper`` of a real file is sent by the kernel, whole, with its length, to fast and slow readers."""
    run = serve(serve_file(large_file), output_high_watermark="64k")
    with run.client(receive_buffer) as client:
        response = client.get("/", "Connection: keep-alive", version=version)
        assert response.fields["content-length"] == str(large_file.stat().st_size)
        assert response.body == large_file.read_bytes()
        assert sum(sent_by_the_kernel) == large_file.stat().st_size
        assert client.get("/", "Connection: keep-alive", version=version, method="HEAD").body == b""
        assert not response.closes


def test_file_from_its_position_and_as_long_as_announced(serve: Serve, large_file: Path) -> None:
    """A range of a file: from where the file stands, no further than the application's Content-Length."""
    with serve(serve_file(large_file, ("Content-Length", "1000"), offset=12345)).client() as client:
        assert client.get("/").body == large_file.read_bytes()[12345:13345]
        assert client.get("/").status == 200


def test_slow_reader_of_a_file_holds_no_worker(serve: Serve, large_file: Path) -> None:
    """However large the file, its worker is free at once, and its descriptors go with the response."""
    run = serve(serve_file(large_file), threadpool_workers=1)
    before = len(os.listdir("/proc/self/fd"))
    readers = [run.client(receive_buffer=4096) for _ in range(5)]
    for reader in readers:
        reader.ask("/")
    assert len(run.get("/").body) == large_file.stat().st_size
    for reader in readers[:3]:
        assert reader.response().body == large_file.read_bytes()
    for reader in readers:
        reader.close()
    until(lambda: len(os.listdir("/proc/self/fd")) <= before, "every descriptor is closed")


def test_file_that_shrinks_while_it_is_sent_cuts_the_connection(serve: Serve, large_file: Path) -> None:
    """What was announced cannot be kept: the client can tell from the missing bytes."""
    run = serve(serve_file(large_file))
    with run.client(receive_buffer=4096) as client:
        client.ask("/")
        until(
            lambda: any(c.output for c in run.server.parts.poller.connections.values()), "the kernel's buffer is full"
        )
        os.truncate(large_file, 1000)
        with pytest.raises((EOFError, ConnectionResetError)):
            client.response()


@pytest.mark.parametrize("make", [lambda: io.BytesIO(b"in memory"), lambda: ReadOnly(b"in memory")])
def test_file_wrapper_of_something_else_is_read(serve: Serve, make: Callable[[], Any]) -> None:
    """A file-like object without a descriptor is read in blocks, and closed."""
    made: list[Any] = []

    def app(environ: Environ, start_response: Callable[..., Any]) -> Any:
        made.append(make())
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](made[-1], 4)

    assert serve(app).get("/").body == b"in memory"
    until(lambda: made[-1].closed, "it was closed")


class ReadOnly:
    """As little of a file as PEP 3333 allows."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)
        self.closed = False

    def read(self, size: int) -> bytes:
        return self._file.read(size)

    def close(self) -> None:
        self.closed = True


def test_failure_in_the_middle_of_a_response_cuts_it(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """An application that fails in the middle of its response: the connection is cut, the failure logged once."""

    def app(environ: Environ, start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"first piece"
        raise ValueError("the second cannot be made")

    run = serve(app)
    for version in ("1.1", "1.0"):
        with run.client() as client, pytest.raises((EOFError, ConnectionResetError)):
            client.get("/", version=version)
    failures = [record for record in caplog.records if record.name == "pastepool.app"]
    assert len(failures) == 2
    assert "ValueError" in str(failures[0].exc_info)


def test_held_response_is_not_begun_early(serve: Serve) -> None:
    """Nothing is sent before the application has something to send."""
    with Held() as app, serve(app).client() as client:
        client.ask("/held")
        app.await_calls()
        assert client.is_silent()
        app.release()
        assert client.response().body == b"/held"
