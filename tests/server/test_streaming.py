"""What an application yields reaches its client before the next piece is asked for, joined or not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.server.conftest import Serve
from tests.server.serving import Environ
from tests.waiting import WATCHDOG

pytestmark = pytest.mark.over_tls


class Bursts:
    """
    An application that yields bursts of pieces without a pause, and goes on after each only when the client has it.

    So a piece that is kept back until the next one comes makes the test fail.
    """

    def __init__(self, *bursts: int, fails: bool = False) -> None:
        self.has_it = threading.Semaphore(0)
        self._bursts = bursts
        self._fails = fails

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        for burst in self._bursts:
            for number in range(burst):
                yield b"%d;" % number
            if self._fails:
                raise ValueError("the application fails")
            assert self.has_it.acquire(timeout=WATCHDOG), "the client has not got the pieces"


@pytest.mark.parametrize("bursts", [(1, 1, 1, 1), (2, 2), (5, 1, 7), (300, 3)])
def test_every_piece_leaves_before_the_next_is_asked_for(serve: Serve, bursts: tuple[int, ...]) -> None:
    """A slow generator's piece, and the last of many that came without a pause before a long one."""
    app = Bursts(*bursts)
    with serve(app).client() as client:
        client.ask("/")
        for burst in bursts:
            client.read_until(b"%d;" % (burst - 1))
            app.has_it.release()
        assert client.read_until(b"\r\n0\r\n\r\n") == b"\r\n0\r\n\r\n"


def test_pieces_before_a_failure_are_sent(serve: Serve) -> None:
    """The client has what was yielded, and can tell that the rest is missing."""
    with serve(Bursts(5, fails=True)).client() as client:
        client.ask("/")
        data = client.rest()
        assert data.count(b";") == 5
        assert not data.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("length", [None, 100])
def test_many_pieces_arrive_whole(serve: Serve, version: str, length: int | None) -> None:
    """However the end of the content is told: by its length, by a last chunk, or by the end of the connection."""
    content = [b"%02d;" % number for number in range(99)] + [b"end."] if length is None else [b"x"] * length

    def app(environ: Environ, start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [] if length is None else [("Content-Length", str(length))])
        yield from content

    with serve(app).client() as client:
        assert client.get("/", version=version).body == b"".join(content)
