"""
A call of an application that writes down all that happens: what was handed over, and when the window was open.

Every application run here is watched: wherever its code runs, the window is open; whenever bytes are handed over, it is
shut. No test has to ask for that.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

from pastepool.errors import ClientGone, WorkerKilled
from pastepool.http1.engine import Engine
from pastepool.http1.limits import Limits
from pastepool.wsgi.call import Call
from pastepool.wsgi.environ import complete_environ, connection_prototype, listener_prototype
from pastepool.wsgi.file_wrapper import FileWrapper
from pastepool.wsgi.plain_file import PlainFile
from pastepool.wsgi.serving import Application, Serving

DATE = b"Date: D\r\n"
SERVER = b"Server: S\r\n"

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], None]]

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
OLD = b"GET / HTTP/1.0\r\n\r\n"
OLD_KEEP_ALIVE = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
CLOSE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


class RecordingWindow:
    """
    A window in which a kill can be staged.

    ``events``: "open", "open for close" and "shut" in order, repeated shuts left out. ``kill_at``: the opening, counted
    from 1, that raises WorkerKilled because a kill came while the window was shut; so does every later one.
    """

    def __init__(self, kill_at: int = 0) -> None:
        self.events: list[str] = []
        self.is_open = False
        self.killed = False
        self._openings = 0
        self._kill_at = kill_at

    def open(self, serial: int) -> None:
        self._openings += 1
        if self.killed or self._openings == self._kill_at:
            self.killed = True
            raise WorkerKilled(3)
        self._opened("open", serial)

    def open_for_close(self, serial: int) -> None:
        self._opened("open for close", serial)

    def shut(self) -> None:
        if self.is_open:
            self.events.append("shut")
        self.is_open = False

    def _opened(self, event: str, serial: int) -> None:
        assert not self.is_open, "the window was open already"
        assert serial == 7
        self.is_open = True
        self.events.append(event)


class FixedStamp:
    """A clock that stands still, and the fields that it says."""

    until = 1000.0
    fields = (DATE, SERVER, DATE + SERVER)

    def __init__(self) -> None:
        self.time = 999.0

    def now(self) -> float:
        return self.time

    def fields_at(self, now: float) -> tuple[bytes, bytes, bytes]:
        assert now == self.time
        return self.fields


Recorded = TypeVar("Recorded", bound="RecordedCall")


class RecordedCall(Call):
    """
    ``sent``: what was handed over, one entry for each time. ``reads``: after so many of them the client hangs up.
    ``asked_after``: how often it was asked where nothing was sent; from the fourth time on the client has left.
    ``files``: the files handed over as such, each with its length. ``cuts``: how often content was cut off.
    """

    def begin_recording(self, serving: Serving, window: RecordingWindow, reads: int) -> None:
        self.begin(7, serving)
        self.sent: list[bytes] = []
        self.files: list[tuple[PlainFile, int]] = []
        self.cuts = 0
        self.window = window
        self.asked_after = 0
        self._reads = reads

    @property
    def wire(self) -> bytes:
        """All bytes handed over."""
        return b"".join(self.sent)

    def transmit(self, data: bytes) -> None:
        assert not self.window.is_open, "bytes are handed over while a kill may land"
        assert data, "nothing is handed over"
        if len(self.sent) == self._reads:
            raise ClientGone("The client has gone.")
        self.sent.append(bytes(data))

    def transmit_two(self, head: bytes, body: bytes) -> None:
        self.transmit(head + body)

    def transmit_file(self, head: bytes, file: PlainFile, length: int) -> None:
        self.files.append((file, length))
        self.transmit(head)

    def abandoned(self) -> bool:
        assert not super().abandoned(), "a call that knows no client takes it for present"
        self.asked_after += 1
        return self.asked_after > 3

    def cut_off(self) -> None:
        self.cuts += 1


class Watched:
    """An application's iterable that checks that the window is open wherever its code runs."""

    def __init__(self, result: Iterable[bytes], window: RecordingWindow) -> None:
        self._iterator: Iterator[bytes] | None = None
        self._result = result
        self._window = window
        if hasattr(result, "close"):
            self.close = self._close

    def __iter__(self) -> Watched:
        assert self._window.is_open
        self._iterator = iter(self._result)
        return self

    def __next__(self) -> bytes:
        assert self._window.is_open, "the application's code runs where no kill can land"
        assert self._iterator is not None
        return next(self._iterator)

    def _close(self) -> None:
        assert self._window.is_open, "close runs where no kill can land"
        self._result.close()  # type: ignore[attr-defined]


class Run(NamedTuple):
    """``error``: what came out of the call, or None."""

    call: RecordedCall
    window: RecordingWindow
    error: BaseException | None


def call_of(data: bytes, make_call: type[Recorded]) -> Recorded:
    """The call for the one request in ``data``, before it begins."""
    listener = listener_prototype(
        scheme="http",
        server_name="localhost",
        server_port=8080,
        software="S/1",
        errors=io.StringIO(),
        extra={"extra.key": "value"},
    )
    engine = Engine(Limits(), connection_prototype(listener, "10.0.0.1", 5000), make_call)
    engine.feed(data)
    assert engine.complete
    content = engine.take_body()
    call = engine.next_request()
    engine.close()
    complete_environ(call, io.BytesIO(content) if content else None, len(content))
    return call


def environ_of(data: bytes) -> Environ:
    """The environ for the one request in ``data``."""
    return call_of(data, RecordedCall).environ


def serving(application: Application, **how: bool) -> Serving:
    """What the call of an application shares with the others of its server."""
    return Serving(application=application, date_header=FixedStamp(), **how)


def run(
    application: Application,
    data: bytes = GET,
    *,
    reads: int = 1000,
    drains: bool = False,
    old_protocol: bool = False,
    look: Callable[[int], Any] = os.fstat,
    window: RecordingWindow | None = None,
) -> Run:
    """Call the application for the request in ``data``; what it raises is in the answer."""
    window = window or RecordingWindow()

    def watching(environ: Environ, start_response: StartResponse) -> Any:
        assert window.is_open
        result = application(environ, start_response)
        left_alone = isinstance(result, (list, tuple, FileWrapper)) or not hasattr(result, "__iter__")
        return result if left_alone else Watched(result, window)

    call = call_of(data, RecordedCall)
    call.begin_recording(serving(watching, old_protocol=old_protocol, closing=drains), window, reads)
    call.look_at_file = look
    error = None
    try:
        call.run(window)
    except BaseException as raised:
        error = raised
        window.shut()
    assert not window.is_open, "the window is left open"
    return Run(call, window, error)


def answered(application: Application, data: bytes = GET, **how: Any) -> RecordedCall:
    """The call of an application that nothing is wrong with."""
    ran = run(application, data, **how)
    if ran.error is not None:
        raise ran.error
    return ran.call


def fixed(result: Any, status: str = "200 OK", *fields: tuple[str, str]) -> Application:
    """An application that starts its response and returns ``result``, or what it returns if it can be called."""

    def application(environ: Environ, start_response: StartResponse) -> Any:
        start_response(status, list(fields))
        return result() if callable(result) else result

    return application


class Parsed(NamedTuple):
    """A response taken apart. ``rest``: what is behind the head, as it is."""

    status_line: bytes
    fields: list[bytes]
    rest: bytes


def parsed(wire: bytes) -> Parsed:
    """Split one response at its blank line."""
    head, blank, rest = wire.partition(b"\r\n\r\n")
    assert blank
    status_line, *fields = head.split(b"\r\n")
    return Parsed(status_line, fields, rest)


def dechunked(data: bytes) -> list[bytes]:
    """The chunks of chunked content, which has to end with the last chunk."""
    pieces = []
    while data != b"0\r\n\r\n":
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        assert length
        assert data[length : length + 2] == b"\r\n"
        pieces.append(data[:length])
        data = data[length + 2 :]
    return pieces
