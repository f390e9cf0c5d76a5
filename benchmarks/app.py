"""
The application that every server runs: one route for each kind of work.

A route does its work and nothing else, so that the rest of the CPU time is the server's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HELLO = b"Hello, world!\n"
LARGE = b"x" * (100 * 1024)
CHUNK = b"x" * 1024
CHUNKS = 100

Route = Callable[["WSGIEnvironment", "StartResponse"], Iterable[bytes]]


def _answer(start_response: StartResponse, body: bytes) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def hello(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer a few bytes. Nearly all the CPU time is the server's."""
    return _answer(start_response, HELLO)


def large(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer 100 KB in one piece."""
    return _answer(start_response, LARGE)


def stream(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    """Answer 100 pieces of 1 KB from a generator, without a Content-Length."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    for _ in range(CHUNKS):
        yield CHUNK


def upload(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Read the whole body and answer its length."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    return _answer(start_response, b"%d\n" % len(body))


def blocking(seconds: float) -> Route:
    """Return a route that waits ``seconds``, as for a database: it uses no CPU time and releases the GIL."""

    def block(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        time.sleep(seconds)
        return _answer(start_response, HELLO)

    return block


def spinning(seconds: float) -> Route:
    """Return a route that uses ``seconds`` of CPU time of its thread. With other threads it takes longer than that."""

    def spin(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        until = time.thread_time() + seconds
        while time.thread_time() < until:
            pass
        return _answer(start_response, HELLO)

    return spin


ROUTES: dict[str, Route] = {
    "/hello": hello,
    "/large": large,
    "/stream": stream,
    "/upload": upload,
    "/block-0.5ms": blocking(0.0005),
    "/block-10ms": blocking(0.010),
    "/block-50ms": blocking(0.050),
    "/spin-1ms": spinning(0.001),
}


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Find the route and run it. An unknown path is answered 404, which the load generator counts as an error."""
    route = ROUTES.get(environ["PATH_INFO"])
    if route is None:
        start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "0")])
        return []
    return route(environ, start_response)


def make_app(global_conf: dict[str, str], **local_conf: str) -> WSGIApplication:
    """Return the application, for Paste Deploy (``use = call:benchmarks.app:make_app``)."""
    return app
