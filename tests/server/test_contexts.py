"""Context variables (PEP 567): what one request sets, all its own code sees, and no other request on the same worker."""

from __future__ import annotations

import io
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from tests.server.conftest import Serve
from tests.server.serving import Environ, Running
from tests.waiting import WATCHDOG, until

pytestmark = pytest.mark.over_tls

SEEN: ContextVar[str] = ContextVar("SEEN")
NOTHING = "-"


def seen() -> str:
    """The variable's value in the context of the code that asks."""
    return SEEN.get(NOTHING)


class Noted(list[str]):
    """What the parts of an application found, in order, after each path."""

    def of(self, path: str) -> list[str]:
        """What the parts found that ran for a path."""
        return [entry.partition(" ")[2] for entry in self if entry.startswith(path)]


def ended(run: Running, noted: Noted, path: str, parts: int) -> list[str]:
    """Send a request, wait until all its parts have run, and return what they found."""
    assert run.get(path).status == 200
    until(lambda: len(noted.of(path)) >= parts, f"{parts} parts of {path}")
    return noted.of(path)


class Kept:
    """An iterable with a ``close`` that notes what it finds."""

    def __init__(self, pieces: Iterable[bytes], at_close: Callable[[], None]) -> None:
        self._pieces = iter(pieces)
        self.close = at_close

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces


Make = Callable[[Noted], Callable[[Environ, Callable[..., Any]], Iterable[bytes]]]


def function(noted: Noted) -> Any:
    """Sets the variable in the call."""

    def app(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        path = environ["PATH_INFO"]
        noted.append(f"{path} {seen()}")
        SEEN.set(path)
        noted.append(f"{path} {seen()}")
        start_response("200 OK", [])
        return [b"one"]

    return app


def generator(noted: Noted) -> Any:
    """Sets the variable between the head and the first piece, and finds it at the next."""

    def app(environ: Environ, start_response: Callable[..., Any]) -> Iterator[bytes]:
        path = environ["PATH_INFO"]
        noted.append(f"{path} {seen()}")
        start_response("200 OK", [])
        SEEN.set(path)
        yield b"one"
        noted.append(f"{path} {seen()}")
        yield b"two"

    return app


def close(noted: Noted) -> Any:
    """Sets the variable in the call, and finds it when the iterable is closed."""

    def app(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        noted.append(f"{path} {seen()}")
        SEEN.set(path)
        start_response("200 OK", [])
        return Kept([b"one", b"two"], lambda: noted.append(f"{path} {seen()}"))

    return app


def close_alone(noted: Noted) -> Any:
    """Sets the variable when the iterable is closed, and not before."""

    def app(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        noted.append(f"{path} {seen()}")
        start_response("200 OK", [])

        def closing() -> None:
            SEEN.set(path)
            noted.append(f"{path} {seen()}")

        return Kept([b"one", b"two"], closing)

    return app


def file_wrapper(noted: Noted) -> Any:
    """Sets the variable in the call, and finds it when the file that was sent is closed."""

    class File(io.FileIO):
        def close(self) -> None:
            if not self.closed:
                noted.append(f"{self.path} {seen()}")
            super().close()

        path = ""

    def app(environ: Environ, start_response: Callable[..., Any]) -> Any:
        path = environ["PATH_INFO"]
        noted.append(f"{path} {seen()}")
        SEEN.set(path)
        start_response("200 OK", [])
        file = File(str(Path(__file__)))
        file.path = path
        return environ["wsgi.file_wrapper"](file)

    return app


def failing(noted: Noted) -> Any:
    """Sets the variable and raises while its answer is on its way; its iterable is closed all the same."""

    def app(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        noted.append(f"{path} {seen()}")
        SEEN.set(path)
        start_response("200 OK", [("Content-Length", "3")])

        def pieces() -> Iterator[bytes]:
            yield b"one"
            raise ValueError("after the whole answer")

        return Kept(pieces(), lambda: noted.append(f"{path} {seen()}"))

    return app


KINDS = [function, generator, close, close_alone, file_wrapper, failing]


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_request_sees_its_own_variable_and_no_others(make: Make, serve: Serve) -> None:
    """On the same worker: the first part of each request finds nothing, the later ones what their own request set."""
    noted = Noted()
    run = serve(make(noted), threadpool_workers=1, threadpool_max_workers=1)
    for path in ("/a", "/b", "/c"):
        assert ended(run, noted, path, 2) == [NOTHING, path]


def test_next_request_on_the_same_connection_sees_nothing(serve: Serve) -> None:
    """The leader that goes on with the same connection takes a new context for each request that follows one."""
    noted = Noted()
    run = serve(function(noted), threadpool_workers=1, threadpool_max_workers=1)
    with run.client() as client:
        client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number for number in range(20)))
        for _ in range(20):
            assert client.response().status == 200
    assert [noted.of(f"/{number} ") for number in range(20)] == [[NOTHING, f"/{number}"] for number in range(20)]


def test_long_calls_see_nothing_of_each_other(serve: Serve) -> None:
    """Also where the baton is passed on before the call, and workers get their tasks from another one."""
    noted = Noted()
    inner = function(noted)

    def app(environ: Environ, start_response: Callable[..., Any]) -> Any:
        time.sleep(0.002)  # longer than a call may be whose leader keeps the baton
        return inner(environ, start_response)

    run = serve(app, threadpool_workers=2, threadpool_max_workers=2)
    for number in range(100, 120):
        assert ended(run, noted, f"/{number}", 2) == [NOTHING, f"/{number}"]


def test_killed_request_leaves_nothing(serve: Serve) -> None:
    """What a killed request set is seen when its iterable is closed, and by no later request."""
    noted = Noted()

    def app(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        noted.append(f"{path} {seen()}")
        SEEN.set(path)
        start_response("200 OK", [])

        def pieces() -> Iterator[bytes]:
            while path == "/killed":
                time.sleep(0.001)
            yield b"one"

        return Kept(pieces(), lambda: noted.append(f"{path} {seen()}"))

    limits = {"threadpool_hung_thread_limit": "100ms", "threadpool_kill_thread_limit": "200ms"}
    run = serve(app, threadpool_workers=1, threadpool_max_workers=2, **limits)
    assert run.get("/killed").status == 504
    until(lambda: len(noted.of("/killed")) == 2, "the close of the killed request")
    assert noted.of("/killed") == [NOTHING, "/killed"]
    for path in ("/a", "/b"):
        assert ended(run, noted, path, 2) == [NOTHING, path]


def test_untouched_context_is_kept(serve: Serve) -> None:
    """Setting a variable and giving it back costs no new context: the pool sees that nothing is left in it."""
    contexts = []

    def app(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        token = SEEN.set("for a while")
        SEEN.reset(token)
        frame: Any = sys._getframe()
        while frame is not None and "context" not in frame.f_locals:
            frame = frame.f_back
        contexts.append(frame.f_locals["context"])
        start_response("200 OK", [])
        return [b"one"]

    run = serve(app, threadpool_workers=1, threadpool_max_workers=1)
    for _ in range(3):
        run.get("/")
    assert len(set(map(id, contexts))) == 1


def test_dropping_the_context_of_a_request_holds_nobody_up(serve: Serve) -> None:
    """What a variable held may take its time to go; the baton lies on the table meanwhile, and others are served."""
    gate, slow = threading.Event(), threading.Event()

    class Slow:
        def __del__(self) -> None:
            slow.set()
            gate.wait(3 * WATCHDOG)

    holder: ContextVar[Slow] = ContextVar("holder")

    def app(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        if environ["PATH_INFO"] == "/slow":
            holder.set(Slow())
        start_response("200 OK", [])
        return [b"one"]

    run = serve(app, threadpool_workers=2, threadpool_max_workers=2)
    try:
        assert run.get("/slow").status == 200
        assert slow.wait(WATCHDOG)
        for _ in range(5):
            assert run.get("/other").status == 200
    finally:
        gate.set()
