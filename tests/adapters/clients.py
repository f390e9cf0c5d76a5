"""Clients, and an application whose requests hang until they are released, for the servers of others."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.waiting import WATCHDOG

Answer = tuple[int, bytes]
LOST: Answer = (0, b"")
"""What a client is told that gets no response: its connection was closed."""


class Application:
    """
    A WSGI application. ``/hang...`` lasts until ``release``, in a loop of Python code; everything else answers at once.

    ``special``: what other paths do, by path.
    """

    def __init__(self, **special: Callable[[], object]) -> None:
        self.entered = threading.Semaphore(0)
        self._released = threading.Event()
        self._special = special

    def release(self) -> None:
        self._released.set()

    def await_calls(self, number: int) -> None:
        """Wait until so many requests hang in addition to those that were waited for."""
        for _ in range(number):
            assert self.entered.acquire(timeout=WATCHDOG)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith("/hang"):
            self.entered.release()
            while not self._released.is_set():
                time.sleep(0.001)
        special = self._special.get(path.lstrip("/"))
        if special is not None:
            special()
        length = len(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
        body = f"{environ['REQUEST_METHOD']} {path} {length}".encode()
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]


def connect(address: Any, tls: ssl.SSLContext | None = None) -> http.client.HTTPConnection:
    """Return an HTTP connection to a port or to the path of a unix socket."""
    connection = http.client.HTTPConnection("127.0.0.1", timeout=WATCHDOG)
    if isinstance(address, str):
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(WATCHDOG)
        connection.sock.connect(address)
    else:
        connection.sock = socket.create_connection(("127.0.0.1", address), WATCHDOG)
    if tls is not None:
        connection.sock = tls.wrap_socket(connection.sock, server_hostname="localhost")
    return connection


def ask(
    address: Any, path: str, tls: ssl.SSLContext | None = None, method: str = "GET", body: bytes | None = None
) -> Answer:
    """Send one request on a connection of its own. Returns status and body; ``LOST`` if nothing came."""
    try:
        connection = connect(address, tls)
    except OSError:
        return LOST
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, response.read()
    except (http.client.HTTPException, OSError):
        return LOST
    finally:
        connection.close()


class Asking:
    """Clients that each wait for one response. ``answers``: what they were told, in any order."""

    def __init__(self, address: Any, paths: Iterable[str], tls: ssl.SSLContext | None = None) -> None:
        self.answers: list[Answer] = []
        self._threads = [
            threading.Thread(target=lambda path=path: self.answers.append(ask(address, path, tls)))  # type: ignore[misc]
            for path in paths
        ]
        for thread in self._threads:
            thread.start()

    def join(self) -> list[Answer]:
        for thread in self._threads:
            thread.join(WATCHDOG)
        return self.answers


@contextmanager
def hanging(application: Application, address: Any, number: int, tls: ssl.SSLContext | None = None) -> Iterator[Asking]:
    """Have so many requests hang. At the end they are released, and their clients have their answers."""
    clients = Asking(address, [f"/hang/{at}" for at in range(number)], tls)
    try:
        application.await_calls(number)
        yield clients
    finally:
        application.release()
        clients.join()
