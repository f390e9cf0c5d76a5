"""
Files as responses over real sockets: what a client reads equals what ``read`` returns, up to Content-Length.

Every test uses its connection once more afterwards: a response of a wrong length would spoil it.
"""

from __future__ import annotations

import bz2
import contextlib
import errno
import gzip
import io
import logging
import os
import socket
import tempfile
import threading
import time
import warnings
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import flask
import pytest
import werkzeug.utils
from webob.static import FileApp
from webob.static import FileIter as WebObFileIter
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request as WerkzeugRequest

from pastepool.core.interpreter import told_without_gil
from pastepool.runtime.http import transmitting
from pastepool.runtime.http.output import Output
from tests.server.conftest import Serve
from tests.server.serving import Client, Environ, Running
from tests.waiting import WATCHDOG, until

pytestmark = pytest.mark.over_tls

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Pyramid imports pkg_resources
    from pyramid.config import Configurator
    from pyramid.response import FileIter, FileResponse

CONTENT = b"".join(b"%07d\n" % number for number in range(40_000))
GIBIBYTE = 1 << 30


def answers_again(client: Client) -> None:
    """Check that the connection serves another request."""
    response = client.get("/again")
    assert (response.status, response.body) == (200, b"again")


def serving(serve: Serve, make: Callable[[], Any], *fields: tuple[str, str], **options: object) -> Running:
    """A server whose answer is what ``make`` opens, in the server's wrapper."""

    def app(environ: Environ, start_response: Callable[..., Any]) -> Any:
        if environ["PATH_INFO"] == "/again":
            start_response("200 OK", [])
            return [b"again"]
        start_response("200 OK", list(fields))
        return environ["wsgi.file_wrapper"](make(), 8192)

    return serve(app, **options)


def quiet(caplog: pytest.LogCaptureFixture) -> bool:
    """Whether nothing was logged that would worry an operator. What is said at each start without the GIL does not count."""
    start = told_without_gil(kills=False)
    return not [one for one in caplog.records if one.levelno >= logging.WARNING and one.getMessage() != start]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of 320,000 bytes in which no line looks like another."""
    file = tmp_path / "content.txt"
    file.write_bytes(CONTENT)
    return file


@pytest.fixture
def sparse(tmp_path: Path) -> Path:
    """A file of 3 GiB that has only its last KiB on the disk."""
    file = tmp_path / "sparse.bin"
    with file.open("wb") as out:
        out.truncate(3 * GIBIBYTE)
        out.seek(3 * GIBIBYTE - 1024)
        out.write(CONTENT[:1024])
    return file


def zipped(path: Path) -> Any:
    """Return a member of a compressed archive."""
    with zipfile.ZipFile(path.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "member")
    return zipfile.ZipFile(path.with_suffix(".zip")).open("member")


def spooled(path: Path) -> Any:
    """Return a spooled file that has grown beyond its memory."""
    file = tempfile.SpooledTemporaryFile(max_size=10)  # noqa: SIM115
    file.write(path.read_bytes())
    file.seek(0)
    return file


def temporary(path: Path, make: Callable[[], Any]) -> Any:
    """Return a temporary file with the content, at its beginning."""
    file = make()
    file.write(path.read_bytes())
    file.seek(0)
    return file


def from_socket(path: Path) -> Any:
    """Return the file of a socket into which another thread sends the content."""
    ours, theirs = socket.socketpair()
    with ours:
        file = theirs.makefile("rb")
        theirs.close()
        threading.Thread(target=_pour, args=(ours.dup(), path.read_bytes())).start()
    return file


def _pour(sock: socket.socket, data: bytes) -> None:
    with sock, contextlib.suppress(OSError):  # the reader may want only a part of it
        sock.sendall(data)


def from_fifo(path: Path) -> Any:
    """Return a named pipe into which another thread writes the content."""
    fifo = path.with_suffix(f".fifo{time.monotonic_ns()}")
    os.mkfifo(fifo)
    threading.Thread(target=_pour_into, args=(fifo, path.read_bytes())).start()
    return fifo.open("rb")


def _pour_into(fifo: Path, data: bytes) -> None:
    with contextlib.suppress(OSError):
        fifo.write_bytes(data)


def started(file: Any) -> Any:
    """``file`` with its first line read, so that its buffer is ahead of its position."""
    assert file.readline() == CONTENT[:8]
    return file


FILES: dict[str, tuple[Callable[[Path], Any], bytes]] = {
    "plain": (lambda path: path.open("rb"), CONTENT),
    "unbuffered": (lambda path: path.open("rb", buffering=0), CONTENT),
    "read before": (lambda path: started(path.open("rb")), CONTENT[8:]),
    "in memory": (lambda path: io.BytesIO(path.read_bytes()), CONTENT),
    "gzip": (lambda path: gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(path.read_bytes()))), CONTENT),
    "gzip of a file": (lambda path: _compressed(path, gzip), CONTENT),
    "bz2 of a file": (lambda path: _compressed(path, bz2), CONTENT),
    "member of an archive": (zipped, CONTENT),
    "temporary": (lambda path: temporary(path, tempfile.TemporaryFile), CONTENT),
    "temporary with a name": (lambda path: temporary(path, tempfile.NamedTemporaryFile), CONTENT),
    "spooled to a file": (spooled, CONTENT),
    "socket": (from_socket, CONTENT),
    "fifo": (from_fifo, CONTENT),
    "empty": (lambda path: open(os.devnull, "rb"), b""),  # noqa: SIM115
}


def _compressed(path: Path, module: Any) -> Any:
    packed = path.with_suffix("." + module.__name__)
    packed.write_bytes(module.compress(path.read_bytes()))
    return module.open(packed)


@pytest.mark.parametrize("announced", [None, 100_000, 3, 0])
@pytest.mark.parametrize("name", FILES)
def test_file_arrives_as_it_is_read(
    serve: Serve, path: Path, name: str, announced: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever the object: the client gets what ``read`` returns, or as much of it as announced, and no error."""
    make, content = FILES[name]
    if announced is not None and announced > len(content):
        return
    fields = [] if announced is None else [("Content-Length", str(announced))]
    run = serving(serve, lambda: make(path), *fields)
    with run.client() as client:
        assert client.get("/").body == content[:announced]
        answers_again(client)
    assert quiet(caplog)


@pytest.mark.parametrize(
    "name",
    ["/proc/self/status", "/proc/cpuinfo", "/proc/self/mountinfo", "/sys/kernel/mm/transparent_hugepage/enabled"],
)
@pytest.mark.parametrize("buffering", [-1, 0])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_files_of_the_kernel_are_whole(serve: Serve, name: str, buffering: int, version: str) -> None:
    """Files of /proc say that they are empty, files of /sys that they have 4096 bytes. Neither is true."""
    if not os.path.exists(name):
        pytest.skip(f"this system has no {name}")
    run = serving(serve, partial(open, name, "rb", buffering))
    with run.client() as client:
        body = client.get("/", version=version).body
    with open(name, "rb") as file:
        assert body.split()[:1] == file.read().split()[:1]
    assert len(body) not in (0, 4096)


def test_large_file_of_the_kernel_is_whole(serve: Serve) -> None:
    """A file of /sys of some megabytes, which a kernel may refuse to send."""
    name = "/sys/kernel/btf/vmlinux"
    if not os.path.exists(name):
        pytest.skip(f"this system has no {name}")
    with open(name, "rb") as file:
        content = file.read()
    for fields in ([], [("Content-Length", str(len(content)))]):
        with serving(serve, partial(open, name, "rb"), *fields).client() as client:
            assert client.get("/").body == content
            answers_again(client)


@pytest.mark.parametrize(
    "number", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EIO, errno.EOVERFLOW, errno.EBADF]
)
@pytest.mark.parametrize("after", [0, 100_000])
@pytest.mark.parametrize("receive_buffer", [0, 4096])
def test_file_system_that_refuses_sendfile(
    serve: Serve, path: Path, monkeypatch: pytest.MonkeyPatch, number: int, after: int, receive_buffer: int,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """At the first byte or later, with a worker or without: the rest is read and sent from where the kernel stopped."""
    real = os.sendfile

    def refusing(out: int, source: int, offset: int, count: int) -> int:
        if offset >= after:
            raise OSError(number, os.strerror(number))
        return real(out, source, offset, min(count, after - offset))

    monkeypatch.setattr(os, "sendfile", refusing)
    with serving(serve, lambda: path.open("rb")).client(receive_buffer) as client:
        assert client.get("/").body == CONTENT
        answers_again(client)
    assert quiet(caplog)


def test_kernel_that_sees_the_end_too_soon(serve: Serve, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``sendfile`` returns 0 where ``read`` has more, as on some network file systems."""
    monkeypatch.setattr(os, "sendfile", lambda out, source, offset, count: 0)
    with serving(serve, lambda: path.open("rb")).client() as client:
        assert client.get("/").body == CONTENT
        answers_again(client)


def test_file_that_cannot_be_read_is_reported(
    serve: Serve, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """If neither way works the connection is cut, and the log says which request and why."""

    def broken(*arguments: int) -> Any:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "sendfile", broken)
    monkeypatch.setattr(os, "pread", broken)
    with serving(serve, lambda: path.open("rb")).client() as client, pytest.raises((EOFError, ConnectionResetError)):
        client.get("/broken")
    until(lambda: "Input/output error" in caplog.text, "the log says why")
    assert "GET /broken" in caplog.text


def test_no_descriptor_left_for_the_rest_of_a_file(serve: Serve, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow reader's file is read by its worker if the process may open nothing more."""

    def none_left(fd: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    large = path.with_name("large")
    large.write_bytes(CONTENT * 20)
    monkeypatch.setattr(os, "dup", none_left)
    with serving(serve, lambda: large.open("rb")).client(receive_buffer=4096) as client:
        assert client.get("/").body == CONTENT * 20
        answers_again(client)


def test_client_that_goes_before_its_file_has_room(serve: Serve, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker waits until the head is sent, the client goes: no descriptor stays open."""
    run = serving(serve, lambda: path.open("rb"), output_high_watermark=1)
    duplicates: list[int] = []
    left = threading.Event()
    real_dup, real_wait = os.dup, Output.wait_for_room

    def dup(fd: int) -> int:
        duplicates.append(real_dup(fd))
        return duplicates[-1]

    def wait_for_room(output: Output, watermark: int, most: float) -> None:
        output.break_off()  # as the poller does when the client has gone
        left.set()
        real_wait(output, watermark, most)

    with run.client() as client:
        answers_again(client)
        (connection,) = run.server.parts.poller.connections.values()
        monkeypatch.setattr(connection, "send", never_ready)
        monkeypatch.setattr(transmitting, "held_send", lambda sock, data: 0)
        monkeypatch.setattr(Output, "flush", lambda output, sock: False)
        monkeypatch.setattr(Output, "wait_for_room", wait_for_room)
        monkeypatch.setattr(os, "dup", dup)
        client.ask("/")
        assert left.wait(WATCHDOG)
        assert client.ended()
    assert [fd for fd in duplicates if os.path.exists(f"/proc/self/fd/{fd}")] == []


def never_ready(data: bytes) -> int:
    """A socket that takes nothing."""
    raise BlockingIOError


@pytest.mark.parametrize("by_worker", [True, False])
@pytest.mark.plain_only("with TLS the kernel cannot send it")
def test_file_truncated_while_it_is_sent(
    serve: Serve, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, by_worker: bool
) -> None:
    """What was announced cannot be kept: the connection is cut, and the log names the request and the file's end."""
    real = os.sendfile

    def truncating(out: int, source: int, offset: int, count: int) -> int:
        if offset > 100_000:
            os.truncate(path, 1000)
            if not by_worker:
                monkeypatch.setattr(os, "sendfile", real)
                raise BlockingIOError
        return real(out, source, offset, min(count, 100_001))

    monkeypatch.setattr(os, "sendfile", truncating)
    with serving(serve, lambda: path.open("rb")).client() as client, pytest.raises((EOFError, ConnectionResetError)):
        client.get("/short")
    until(lambda: "became shorter" in caplog.text, "the log says why")
    assert "GET /short" in caplog.text


@pytest.mark.parametrize("fields", [[], [("Content-Length", str(len(CONTENT)))]])
@pytest.mark.plain_only("with TLS the kernel cannot send it")
def test_file_that_grows_while_it_is_sent(
    serve: Serve, path: Path, monkeypatch: pytest.MonkeyPatch, fields: list[tuple[str, str]]
) -> None:
    """What is appended after the head was sent belongs to the next request's answer."""
    real = os.sendfile

    def growing(out: int, source: int, offset: int, count: int) -> int:
        with path.open("ab") as file:
            file.write(b"more")
        return real(out, source, offset, min(count, 50_000))

    monkeypatch.setattr(os, "sendfile", growing)
    with serving(serve, lambda: path.open("rb"), *fields).client() as client:
        assert client.get("/").body == CONTENT
        answers_again(client)


@pytest.mark.parametrize("content", [b"short", CONTENT])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_content_length_larger_than_the_file(serve: Serve, path: Path, content: bytes, method: str) -> None:
    """It is known before the first byte: 500, and the connection stays in step."""
    path.write_bytes(content)
    run = serving(serve, lambda: path.open("rb"), ("Content-Length", "400000"))
    with run.client() as client:
        assert client.get("/", method=method).status == 500


def test_head_of_a_huge_file_reads_nothing(serve: Serve, sparse: Path, sendings: list[int]) -> None:
    """HEAD says the length of 3 GiB and touches none of it."""
    with serving(serve, lambda: sparse.open("rb")).client() as client:
        response = client.get("/", method="HEAD")
        assert response.fields["content-length"] == str(3 * GIBIBYTE)
        answers_again(client)
    assert not sendings


@pytest.fixture
def sendings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes each ``os.sendfile`` was asked for."""
    sizes: list[int] = []
    real = os.sendfile

    def counting(out: int, source: int, offset: int, count: int) -> int:
        sizes.append(count)
        return real(out, source, offset, count)

    monkeypatch.setattr(os, "sendfile", counting)
    return sizes


# The frameworks: each has its own way to send a part of a file.


def flask_app(path: Path) -> Any:
    """Return a Flask application."""
    app = flask.Flask("files")

    @app.get("/")
    def send() -> Any:
        return flask.send_file(path, conditional=True)

    @app.get("/again")
    def again() -> str:
        return "again"

    return app


def werkzeug_app(path: Path) -> Any:
    """Return an application on Werkzeug alone."""

    def app(environ: Environ, start_response: Callable[..., Any]) -> Any:
        request = WerkzeugRequest(environ)
        if request.path == "/again":
            return werkzeug.wrappers.Response("again")(environ, start_response)
        try:
            response = werkzeug.utils.send_file(path, environ, conditional=True)
        except HTTPException as refusal:
            return refusal(environ, start_response)
        return response(environ, start_response)

    return app


def webob_app(path: Path) -> Any:
    """Return WebOb's file application."""
    file_app = FileApp(str(path))

    def app(environ: Environ, start_response: Callable[..., Any]) -> Any:
        if environ["PATH_INFO"] == "/again":
            start_response("200 OK", [])
            return [b"again"]
        return file_app(environ, start_response)

    return app


def webob_without_wrapper(path: Path) -> Any:
    """WebOb's own iterator, as where a server has no ``wsgi.file_wrapper``."""
    inner = webob_app(path)

    def app(environ: Environ, start_response: Callable[..., Any]) -> Any:
        del environ["wsgi.file_wrapper"]
        return inner(environ, start_response)

    return app


def pyramid_app(path: Path) -> Any:
    """A FileResponse and, at ``/again``, an ordinary one."""
    with Configurator() as config:
        config.add_route("file", "/")
        config.add_route("again", "/again")
        config.add_view(lambda request: FileResponse(str(path), request=request), route_name="file")
        config.add_view(_again, route_name="again")
        return config.make_wsgi_app()


def _again(request: Any) -> Any:
    request.response.text = "again"
    return request.response


def pyramid_static(path: Path) -> Any:
    """A static view of the file's folder at ``/static``; ``/`` means the file in it."""
    with Configurator() as config:
        config.add_static_view("static", str(path.parent))
        config.add_route("again", "/again")
        config.add_view(_again, route_name="again")
        inner = config.make_wsgi_app()

    def app(environ: Environ, start_response: Callable[..., Any]) -> Any:
        if environ["PATH_INFO"] == "/":
            environ["PATH_INFO"] = f"/static/{path.name}"
        return inner(environ, start_response)

    return app


FRAMEWORKS = {
    "flask": flask_app,
    "werkzeug": werkzeug_app,
    "webob": webob_app,
    "webob without a wrapper": webob_without_wrapper,
    "pyramid": pyramid_app,
    "pyramid static": pyramid_static,
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # WebOb leaves the file of a HEAD open
@pytest.mark.parametrize("name", FRAMEWORKS)
def test_frameworks_send_files_and_parts_of_them(
    serve: Serve, path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A whole file, HEAD, ranges and what has not changed, one after the other on one connection."""
    size = len(CONTENT)
    ranges = [(0, 0), (0, 99), (8191, 8192), (100_000, 300_000), (size - 1024, size - 1), (0, size - 1)]
    with serve(FRAMEWORKS[name](path)).client() as client:
        whole = client.get("/")
        assert (whole.status, whole.body, whole.fields["content-length"]) == (200, CONTENT, str(size))
        assert client.get("/", method="HEAD").fields["content-length"] == str(size)
        for first, last in ranges:
            part = client.get("/", f"Range: bytes={first}-{last}")
            assert part.status == 206
            assert part.fields["content-range"] == f"bytes {first}-{last}/{size}"
            assert part.body == CONTENT[first : last + 1]
        assert client.get("/", "Range: bytes=-10").body == CONTENT[-10:]
        unchanged = client.get("/", f"If-Modified-Since: {whole.fields['last-modified']}")
        assert (unchanged.status, unchanged.body) == (304, b"")
        assert client.get("/", f"Range: bytes={size}-").status == 416
        answers_again(client)
    assert quiet(caplog)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_last_kib_of_three_gib(serve: Serve, sparse: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No framework reads a large file up to the range: the process reads kilobytes, and is done at once."""
    with serve(FRAMEWORKS[name](sparse)).client() as client:
        answers_again(client)
        before = bytes_read()
        part = client.get("/", "Range: bytes=-1024")
        assert (part.status, part.body) == (206, CONTENT[:1024])
        assert bytes_read() - before < 1_000_000
        answers_again(client)


def bytes_read() -> int:
    """How many bytes this process has read from anything."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["rchar"])


@pytest.mark.parametrize("make", [FileIter, WebObFileIter])
def test_iterators_of_frameworks_with_less_than_their_file(serve: Serve, path: Path, make: Any) -> None:
    """Not the server's wrapper: more than Content-Length is held back, and the connection stays in step."""

    def app(environ: Environ, start_response: Callable[..., Any]) -> Any:
        if environ["PATH_INFO"] == "/again":
            start_response("200 OK", [])
            return [b"again"]
        start_response("200 OK", [("Content-Length", "10000")])
        return make(path.open("rb"))

    with serve(app).client() as client:
        assert client.get("/").body == CONTENT[:10_000]
        answers_again(client)


# What is not a file.


@pytest.mark.parametrize("piece", [bytearray(b"abc"), memoryview(b"abc")])
def test_bytes_like_pieces_alone_and_in_company(serve: Serve, piece: Any) -> None:
    """One of them or two: the same bytes."""
    bodies = {"/1": [piece], "/2": [piece, piece], "/3": iter([piece, piece])}

    def app(environ: Environ, start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [])
        return bodies[environ["PATH_INFO"]]

    with serve(app).client() as client:
        assert [client.get(target).body for target in bodies] == [b"abc", b"abcabc", b"abcabc"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("fields", [[], [("Content-Length", "3")]])
def test_close_that_raises_after_a_whole_answer(
    serve: Serve, caplog: pytest.LogCaptureFixture, method: str, fields: list[tuple[str, str]]
) -> None:
    """The client has its answer: the error is logged, and the connection goes on."""

    class Broken:
        def __iter__(self) -> Any:
            return iter([b"abc"])

        def close(self) -> None:
            raise KeyError("not closed")

    def app(environ: Environ, start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", fields)
        return Broken() if environ["PATH_INFO"] == "/" else [b"abc"]

    with serve(app).client() as client:
        assert client.get("/", method=method).body == (b"abc" if method == "GET" else b"")
        assert client.get("/next").body == b"abc"
    assert "the application failed after its whole response" in caplog.text
    assert "KeyError" in caplog.text
