"""A server that really runs, in a thread, and a client that speaks in raw bytes and reads with suspicion."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from pastepool.server import Server
from pastepool.settings import read

WATCHDOG = 10.0
"""Seconds anything here may take that is meant to come at once; ten, because the machine may be busy."""

Environ = dict[str, Any]
App = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


def plain(body: bytes = b"hello\n", status: str = "200 OK", *fields: tuple[str, str]) -> App:
    """An application that always answers the same."""

    def app(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        start_response(status, [("Content-Type", "text/plain"), *fields])
        return [body]

    return app


def path_echo(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
    """Answers with the path it was asked for."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode("latin-1")]


def body_echo(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
    """Answers with the content it was sent."""
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return [environ["wsgi.input"].read()]


class Held:
    """
    An application whose calls last until they are released; a context manager that releases them at its end.

    ``entered``: one count for each call that has begun. ``paths``: what was asked for, in the order of the calls.
    """

    def __init__(self, inner: App = path_echo, held: Callable[[Environ], bool] = lambda environ: True) -> None:
        self.entered = threading.Semaphore(0)
        self.paths: list[str] = []
        self._released = threading.Event()
        self._inner = inner
        self._held = held

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.paths.append(environ["PATH_INFO"])
        if self._held(environ):
            self.entered.release()
            assert self._released.wait(3 * WATCHDOG), "nobody released the call"
        return self._inner(environ, start_response)

    def await_calls(self, count: int = 1) -> None:
        """Wait until so many more calls have begun."""
        for _ in range(count):
            assert self.entered.acquire(timeout=WATCHDOG), "the application was not called"

    def release(self) -> None:
        self._released.set()

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()


class Response(NamedTuple):
    """What came back. ``fields``: by lower-case name, repeated ones joined. ``chunked``: how the body was framed."""

    version: str
    status: int
    fields: dict[str, str]
    body: bytes
    chunked: bool

    @property
    def closes(self) -> bool:
        return "close" in self.fields.get("connection", "").lower()


class Client:
    """One connection to a server; every read is bounded by the watchdog."""

    def __init__(self, port: int, receive_buffer: int = 0) -> None:
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(WATCHDOG)
        try:
            self.sock.connect(("127.0.0.1", port))
        except OSError:
            self.sock.close()
            raise
        self._unread = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def port(self) -> int:
        """Our own port, which the application sees as REMOTE_PORT."""
        return int(self.sock.getsockname()[1])

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        """Close with a reset instead of a farewell."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def ask(self, target: str = "/", *lines: str, method: str = "GET", version: str = "1.1", body: bytes = b"") -> None:
        """Send a request; a body brings its Content-Length."""
        length = [f"Content-Length: {len(body)}"] if body else []
        host = ["Host: example.org"] if version == "1.1" else []
        head = "\r\n".join([f"{method} {target} HTTP/{version}", *host, *length, *lines, "", ""])
        self.send(head.encode("latin-1") + body)

    def get(
        self, target: str = "/", *lines: str, method: str = "GET", version: str = "1.1", body: bytes = b""
    ) -> Response:
        """Ask and read the answer."""
        self.ask(target, *lines, method=method, version=version, body=body)
        return self.response(method)

    def response(self, method: str = "GET") -> Response:
        """Read one response, interim ones excepted, to its last byte and no further."""
        head = self.read_until(b"\r\n\r\n")
        status_line, *lines = head[:-4].decode("latin-1").split("\r\n")
        version, status, _ = status_line.split(" ", 2)
        assert version in ("HTTP/1.1", "HTTP/1.0"), f"no status line: {status_line!r}"
        fields: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(":")
            assert colon and name == name.strip(), f"malformed field line {line!r}"
            name = name.lower()
            fields[name] = f"{fields[name]}, {value.strip()}" if name in fields else value.strip()
        code = int(status)
        chunked = fields.get("transfer-encoding") == "chunked"
        assert not (chunked and "content-length" in fields), "both framings at once"
        if method == "HEAD" or code in (204, 304) or code < 200:
            body = b""
        elif chunked:
            body = self._chunks()
        elif "content-length" in fields:
            body = self.read_exactly(int(fields["content-length"]))
        else:
            body = self.rest()
        return Response(version, code, fields, body, chunked)

    def _chunks(self) -> bytes:
        pieces = []
        while True:
            size = int(self.read_until(b"\r\n")[:-2], 16)
            piece = self.read_exactly(size + 2)
            assert piece.endswith(b"\r\n")
            if size == 0:
                return b"".join(pieces)
            pieces.append(piece[:-2])

    def read_until(self, end: bytes) -> bytes:
        while end not in self._unread:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError(f"the server closed after {self._unread!r}")
            self._unread += data
        found, _, self._unread = self._unread.partition(end)
        return found + end

    def read_exactly(self, count: int) -> bytes:
        pieces = [self._unread]
        size = len(self._unread)
        while size < count:
            data = self.sock.recv(min(count - size, 262144))
            if not data:
                raise EOFError(f"the server closed {count - size} bytes too soon")
            pieces.append(data)
            size += len(data)
        whole = b"".join(pieces)
        self._unread = whole[count:]
        return whole[:count]

    def rest(self) -> bytes:
        """Everything up to the end of the connection. Raises: ConnectionResetError if that is a reset."""
        pieces = [self._unread]
        self._unread = b""
        while True:
            data = self.sock.recv(262144)
            if not data:
                return b"".join(pieces)
            pieces.append(data)

    def ended(self) -> bool:
        """Wait for the end of the connection, whatever its manner; False if bytes came first."""
        try:
            return not self.rest()
        except ConnectionResetError:
            return True

    def is_silent(self) -> bool:
        """Whether, at this moment, nothing is there to be read and the connection is open."""
        readable, _, _ = select.select([self.sock], [], [], 0)
        return not readable and not self._unread


class Running:
    """A server in a thread of this process, on a port of the kernel's choice. ``server``: one that is made already."""

    def __init__(self, app: App, options: dict[str, object], server: Server | None = None) -> None:
        self.server = server or Server(read({"port": 0, "shutdown_timeout": 3 * WATCHDOG, **options}, {}), app)
        self.port = self.server.bind()[0].endpoint.port
        self.failure: BaseException | None = None
        self.thread = threading.Thread(target=self._serve, name="server under test", daemon=True)

    def _serve(self) -> None:
        try:
            self.server.serve()
        except BaseException as error:
            self.failure = error

    def start(self) -> Running:
        self.thread.start()
        assert self.server.ready.wait(WATCHDOG), f"the server is not ready: {self.failure!r}"
        return self

    def client(self, receive_buffer: int = 0) -> Client:
        return Client(self.port, receive_buffer)

    def get(
        self, target: str = "/", *lines: str, method: str = "GET", version: str = "1.1", body: bytes = b""
    ) -> Response:
        """One request on a connection of its own."""
        with self.client() as client:
            return client.get(target, *lines, method=method, version=version, body=body)

    def join(self, timeout: float = WATCHDOG) -> None:
        """Wait for ``serve`` to have returned, without an exception."""
        self.thread.join(timeout)
        assert not self.thread.is_alive(), "serve() did not return"
        if self.failure is not None:
            raise self.failure

    def stop(self) -> None:
        self.server.stop()
        self.join()

    @property
    def connections(self) -> int:
        """How many clients the server has at this moment."""
        return len(self.server.parts.poller.connections)

    def count_polls(self) -> Callable[[], int]:
        """Count from now on how often the kernel is asked for events: a server that spins asks without end."""
        readiness, count = self.server.parts.poller._readiness, [0]

        class Counting:
            def __getattr__(self, name: str) -> Any:
                return getattr(readiness, name)

            def poll(self, *arguments: Any) -> Any:
                count[0] += 1
                return readiness.poll(*arguments)

        self.server.parts.poller._readiness = Counting()  # type: ignore[assignment]
        self.server.parts.waker.wake()
        return lambda: count[0]


@contextlib.contextmanager
def running(app: App, **options: object) -> Iterator[Running]:
    """Run a server for a while."""
    run = Running(app, options).start()
    try:
        yield run
    finally:
        run.stop()


def until(condition: Callable[[], object], what: str, patience: float = WATCHDOG) -> None:
    """Look often until something is so, and say what was not when patience ends."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"not so within {patience:g} s: {what}"
        select.select([], [], [], 0.005)
