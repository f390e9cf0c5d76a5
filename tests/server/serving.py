"""A real server in a thread of this process, and a client that sends raw bytes and checks the form of each response."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from pastepool.server import Server
from pastepool.settings import read
from tests.certificates import TlsClientSide
from tests.waiting import WATCHDOG

Environ = dict[str, Any]
App = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


def plain(body: bytes = b"hello\n", status: str = "200 OK", *fields: tuple[str, str]) -> App:
    """Return an application that always gives the same answer."""

    def app(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        start_response(status, [("Content-Type", "text/plain"), *fields])
        return [body]

    return app


def path_echo(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
    """An application whose answer is the path of the request."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode("latin-1")]


def body_echo(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
    """An application whose answer is the body of the request."""
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return [environ["wsgi.input"].read()]


class Held:
    """
    An application whose calls last until the test releases them. As a context manager it releases them at its end.

    ``entered``: is released once by each call that begins. ``paths``: the paths of the calls, in order.
    ``held``: says whether a call is to be held; others are answered at once. ``inner``: makes the answer.
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
        """Wait until ``count`` more calls have begun."""
        for _ in range(count):
            assert self.entered.acquire(timeout=WATCHDOG), "the application was not called"

    def release(self) -> None:
        self._released.set()

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()


class Paused:
    """An application whose response has begun and does not end before ``go_on`` is set. ``begun``: set when it has begun."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"begun, "
        self.begun.set()
        assert self.go_on.wait(WATCHDOG)
        yield b"ended"


class HeldAtLock(Held):
    """The same, but a kill does not end a call before the test releases it: the call waits for a bare lock."""

    def __init__(self) -> None:
        super().__init__()
        self._released = _BareLock()  # type: ignore[assignment]


class _BareLock:
    """Looks like an event for threads that wait until it is set."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def wait(self, timeout: float) -> bool:
        return self._lock.acquire(timeout=timeout)

    def set(self) -> None:
        if self._lock.locked():
            self._lock.release()


class Response(NamedTuple):
    """A response. ``fields``: by lower-case name; repeated ones are joined. ``chunked``: the body came in chunks."""

    version: str
    status: int
    fields: dict[str, str]
    body: bytes
    chunked: bool

    @property
    def closes(self) -> bool:
        return "close" in self.fields.get("connection", "").lower()


class Client:
    """One connection to a server, with TLS or without. No read waits longer than ``WATCHDOG``."""

    def __init__(self, port: int, receive_buffer: int = 0, tls: bool = False) -> None:
        self.sock: Any = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(WATCHDOG)
        if tls:
            self.sock = TlsClientSide(self.sock)
        try:
            self.sock.connect(("127.0.0.1", port))
        except (OSError, EOFError):
            self.sock.close()
            raise
        self._unread = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def port(self) -> int:
        """The client's own port, which the application sees as REMOTE_PORT."""
        return int(self.sock.getsockname()[1])

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        """Close the connection with a reset (RST) instead of a FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def ask(self, target: str = "/", *lines: str, method: str = "GET", version: str = "1.1", body: bytes = b"") -> None:
        """Send a request. If it has a body, this adds Content-Length."""
        length = [f"Content-Length: {len(body)}"] if body else []
        host = ["Host: example.org"] if version == "1.1" else []
        head = "\r\n".join([f"{method} {target} HTTP/{version}", *host, *length, *lines, "", ""])
        self.send(head.encode("latin-1") + body)

    def get(
        self, target: str = "/", *lines: str, method: str = "GET", version: str = "1.1", body: bytes = b""
    ) -> Response:
        """Send a request and return the response."""
        self.ask(target, *lines, method=method, version=version, body=body)
        return self.response(method)

    def response(self, method: str = "GET") -> Response:
        """Read one response, up to its last byte and no further. An interim response (1xx) counts as one too."""
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
        """Read everything up to the end of the connection. Raises: ConnectionResetError if it ends with a reset."""
        pieces = [self._unread]
        self._unread = b""
        while True:
            data = self.sock.recv(262144)
            if not data:
                return b"".join(pieces)
            pieces.append(data)

    def ended(self) -> bool:
        """Wait until the connection ends, by FIN or by reset. Returns False if bytes came before the FIN."""
        try:
            return not self.rest()
        except ConnectionResetError:
            return True

    def is_silent(self) -> bool:
        """Return whether, at this moment, the connection is open and there is nothing to read."""
        if isinstance(self.sock, TlsClientSide):
            return self.sock.is_silent() and not self._unread
        readable, _, _ = select.select([self.sock], [], [], 0)
        return not readable and not self._unread


class Running:
    """
    A server in a thread of this process, on a free port. ``server``: use this one instead of making one.

    Without ``idle_grace`` a test that ends with open connections does not wait for them.
    """

    def __init__(self, app: App, options: dict[str, object], server: Server | None = None) -> None:
        self.server = server or Server(
            read({**_address(options), "shutdown_timeout": 3 * WATCHDOG, "idle_grace": 0, **options}, {}), app
        )
        endpoint = self.server.bind()[0].endpoint
        self.port, self.tls = endpoint.port, endpoint.tls
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
        return Client(self.port, receive_buffer, self.tls)

    def get(
        self, target: str = "/", *lines: str, method: str = "GET", version: str = "1.1", body: bytes = b""
    ) -> Response:
        """Send one request on a new connection and return the response."""
        with self.client() as client:
            return client.get(target, *lines, method=method, version=version, body=body)

    def join(self, timeout: float = WATCHDOG) -> None:
        """Wait until ``serve`` has returned. Raises the exception of ``serve`` if it raised one."""
        self.thread.join(timeout)
        assert not self.thread.is_alive(), "serve() did not return"
        if self.failure is not None:
            raise self.failure

    def stop(self) -> None:
        self.server.stop()
        self.join()

    @property
    def connections(self) -> int:
        """The number of connections that the server has open at this moment."""
        return len(self.server.parts.poller.connections)

    @property
    def received(self) -> list[int]:
        """How many bytes have come of each unfinished content, in the order of the connections."""
        there = list(self.server.parts.poller.connections.values())
        return [connection.content.received for connection in there if connection.content is not None]

    def count_polls(self) -> Callable[[], int]:
        """Begin to count how often the server asks the kernel for events. A busy loop gives a high count."""
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


def _address(options: dict[str, object]) -> dict[str, object]:
    return {} if "listen" in options else {"port": 0}


@contextlib.contextmanager
def running(app: App, **options: object) -> Iterator[Running]:
    """Run a server, and stop it at the end of the context."""
    run = Running(app, options).start()
    try:
        yield run
    finally:
        run.stop()
