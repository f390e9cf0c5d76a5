"""The window in which a kill may land: open while the application's code runs, shut while ours does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pastepool.errors import WorkerKilled
from tests.wsgi.recording import (
    GET,
    Environ,
    RecordedCall,
    RecordingWindow,
    StartResponse,
    call_of,
    fixed,
    parsed,
    run,
    serving,
)

OPEN, SHUT, CLOSE = "open", "shut", "open for close"


def pieces(count: int, seen: list[str] | None = None) -> Any:
    """A function that returns a generator of ``count`` pieces."""

    def generate() -> Iterator[bytes]:
        try:
            for _ in range(count):
                yield b"x"
        except GeneratorExit:
            pass
        finally:
            if seen is not None:
                seen.append("finally")

    return generate


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ([b"a"], [OPEN, SHUT]),
        ([b"a", b"b"], [OPEN, SHUT]),
        ([], [OPEN, SHUT]),
        (pieces(0), [OPEN, SHUT, CLOSE, SHUT]),
        (pieces(1), [OPEN, SHUT, OPEN, SHUT, CLOSE, SHUT]),
        (pieces(2), [OPEN, SHUT, OPEN, SHUT, OPEN, SHUT, CLOSE, SHUT]),
        (lambda: iter([b"a"]), [OPEN, SHUT, OPEN, SHUT]),
    ],
)
def test_window_opens_for_each_step_of_the_application(result: Any, expected: list[str]) -> None:
    """One opening for the call, one for each step of the iterable, one for close; between them it is shut."""
    ran = run(fixed(result))
    assert ran.error is None
    assert ran.window.events == expected


def test_window_shuts_for_each_write() -> None:
    """write is ours: the window is shut while it sends and open when it returns."""

    def application(environ: Environ, start_response: StartResponse) -> list[bytes]:
        write = start_response("200 OK", [])
        write(b"a")
        write(b"b")
        return []

    assert run(application).window.events == [OPEN, SHUT, OPEN, SHUT, OPEN, SHUT]


def test_window_may_be_open_when_the_application_fails() -> None:
    """An application that raises leaves the window open, for the caller to shut; nothing of ours ran in between."""

    def application(environ: Environ, start_response: StartResponse) -> list[bytes]:
        raise KeyError("x")

    ran = run(application)
    assert type(ran.error) is KeyError
    assert ran.window.events == [OPEN, SHUT]  # the shut is the catcher's


def test_kill_before_the_call_never_calls_the_application() -> None:
    """A kill that came before the window opened ends the call before it began."""
    called: list[Environ] = []

    def application(environ: Environ, start_response: StartResponse) -> list[bytes]:
        called.append(environ)
        return []

    ran = run(application, window=RecordingWindow(kill_at=1))
    assert isinstance(ran.error, WorkerKilled)
    assert not called
    assert not ran.call.sent


def test_kill_between_two_pieces_ends_the_response_there() -> None:
    """A kill that came while a piece was sent stops the iterable; it is closed, and the content has no end."""
    seen: list[str] = []
    ran = run(fixed(pieces(3, seen)), window=RecordingWindow(kill_at=3))
    assert isinstance(ran.error, WorkerKilled)
    assert seen == ["finally"]
    assert parsed(ran.call.wire).rest == b"1\r\nx\r\n" * 2
    assert ran.window.events == [OPEN, SHUT, OPEN, SHUT, CLOSE, SHUT]


def test_kill_inside_the_application_comes_out_as_it_is() -> None:
    """What the pool raised inside the application is not wrapped, hidden or answered here."""
    killed = WorkerKilled(3)

    def application(environ: Environ, start_response: StartResponse) -> list[bytes]:
        raise killed

    assert run(application).error is killed


def test_window_is_shut_before_the_last_bytes() -> None:
    """The end of chunked content is sent with the window shut, so that no kill cuts a whole response."""

    shut: list[bool] = []

    class Listening(RecordedCall):
        def transmit(self, data: bytes) -> None:
            shut.append(not self.window.is_open)
            super().transmit(data)

    window = RecordingWindow()
    call = call_of(GET, Listening)
    call.begin_recording(serving(fixed(pieces(1))), window, 9)
    call.run(window)
    assert call.sent[-1] == b"0\r\n\r\n"
    assert shut == [True, True]
