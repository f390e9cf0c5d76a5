"""
One call of one application, to the letter of PEP 3333: from environ to response bytes.

Knows the application, the framing of its answer and the window in which a kill may land. Does not know sockets: where
bytes go is for a subclass to say. Everything here runs on the worker that has the request.

The window (see ``runtime.window``) is open exactly while the application's code runs: the call, each step of its
iterable, its ``close``. It is shut while bytes are handed over, so no kill ever lands in ours. Whoever shuts it has the
claim to write.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NoReturn

from pastepool.core.ownership import calls_application
from pastepool.errors import AppError
from pastepool.http1.engine import Request
from pastepool.http1.response import LAST_CHUNK, NO_CONTENT, Head, chunk, render_head
from pastepool.types import CallWindow
from pastepool.wsgi.file_wrapper import FileWrapper

Application = Callable[[dict[str, Any], Callable[..., Any]], Any]


DateAndServer = Callable[[], tuple[bytes, bytes, bytes]]
"""Answers the rendered Date field, Server field, and both."""


_COPY_LIMIT = 16384
"""Up to this size copying a body behind its head is cheaper than a gathering write (measured, see docs/performance)."""


class Call(ABC):
    """
    One request's answer in the making. A subclass hands the bytes over; each way to do so raises ClientGone when nobody
    takes them any more.

    Large because PEP 3333 makes one state of it: ``start_response``, ``write``, the iterable and the framing decide together
    what may still be sent.

    ``code``: 0 until ``start_response`` was called. ``content_sent``: bytes of content handed over. ``began``: whether
    any byte was. ``old_protocol``: answer in HTTP/1.0. ``keep_alive``: whether the connection outlives this response;
    final once ``began``.
    """

    began = False
    content_sent = 0
    old_protocol = False
    _head: Head | None = None
    _chunked = False
    _left: int | None = None
    _window: CallWindow

    def __init__(self, request: Request, environ: dict[str, Any], serial: int, stamp: DateAndServer) -> None:
        self.request = request
        self.environ = environ
        self.serial = serial
        self.keep_alive = request.keep_alive
        self._date_and_server = stamp

    @abstractmethod
    def transmit(self, data: bytes) -> None: ...

    def transmit_more(self, data: bytes) -> None:
        """Like ``transmit``, for what follows the first bytes of a response: more of the same is likely."""
        self.transmit(data)

    @abstractmethod
    def transmit_two(self, head: bytes, body: bytes) -> None:
        """Like ``transmit`` of both joined, without joining them."""

    @abstractmethod
    def file_length(self, filelike: Any, wanted: int | None) -> int | None:
        """How many of ``wanted`` bytes (None: all) a regular file has left; None if it is no such file."""

    @abstractmethod
    def transmit_file(self, head: bytes, filelike: Any, length: int) -> None:
        """Send ``head`` and ``length`` bytes of a file that ``file_length`` measured."""

    @abstractmethod
    def closing(self) -> bool:
        """Whether the connection must close after this response whatever the client wishes (drain, old protocol)."""

    @property
    def code(self) -> int:
        return self._head.code if self._head is not None else 0

    @calls_application
    def respond(self, application: Application, window: CallWindow) -> None:
        """
        Call the application and hand its whole response over.

        Raises: AppError if it broke PEP 3333 or its own framing; ClientGone; WorkerKilled; whatever it raises itself.
        The window may then still be open; the catcher shuts it.
        """
        self._window = window
        window.open(self.serial)
        result = application(self.environ, self.start_response)
        kind = type(result)
        if (kind is list or kind is tuple) and not self.began:
            body = result[0] if len(result) == 1 else _joined(result)
            window.shut()
            self._whole(body)
        else:
            self._stream(result, window)

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], None]:
        """PEP 3333's callable; may be called again only with ``exc_info``, and then only before the first byte."""
        if exc_info is not None:
            try:
                if self.began:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self._head is not None:
            raise AppError("start_response was called a second time without exc_info (PEP 3333).")
        self._head = render_head(status, headers)
        return self.write

    def write(self, data: bytes) -> None:
        """PEP 3333's imperative way to answer; returns when the bytes are on their way."""
        self._window.shut()
        try:
            self._emit(data)
        finally:
            self._window.open(self.serial)  # also after a failure: it is the application that goes on with it

    def _whole(self, body: Any) -> None:
        """A response whose content is known to its last byte: one system call where the socket takes it."""
        if not isinstance(body, bytes):
            raise AppError(f"The application's iterable yielded {type(body).__name__}, not bytes (PEP 3333).")
        head = self._head
        if head is None:
            raise AppError("The application returned without calling start_response (PEP 3333).")
        size = len(body)
        code, status_line, fields, length, has_date, has_server = head
        if (
            self.request.plain
            and (length is None or length == size)
            and size <= _COPY_LIMIT
            and not (has_date or has_server or code in NO_CONTENT or self.closing())
        ):
            # What nearly every response is, in one step; ``_begin`` says why each part is what it is.
            self.began = True
            self._left = 0
            self.content_sent = size
            both = self._date_and_server()[2]
            self.transmit(b"%b%b%bContent-Length: %d\r\n\r\n%b" % (status_line, fields, both, size, body))
            return
        if self.request.method == "HEAD" or head.code in NO_CONTENT:
            self.transmit(self._begin(head, None if head.code in NO_CONTENT else size or None))
            return
        if head.content_length is not None and head.content_length != size:
            raise AppError(f"The application announced Content-Length {head.content_length} and returned {size} bytes.")
        rendered = self._begin(head, size)
        self.content_sent = size
        if size <= _COPY_LIMIT:
            self.transmit(rendered + body)
        else:
            self.transmit_two(rendered, body)

    def _begin(self, head: Head, size: int | None) -> bytes:
        """
        Settle framing and persistence, and render the head.

        ``size``: bytes of content if known without asking the application's own Content-Length.
        """
        self.began = True
        code, status_line, fields, length, has_date, has_server = head
        date, server, both = self._date_and_server()
        if has_date or has_server:
            both = (b"" if has_date else date) + (b"" if has_server else server)
        if length is None:
            length = size
        if length is not None and code != 204:
            self._left = length
            framing = b"Content-Length: %d\r\n" % length
        else:
            framing = self._framing(code)
        if self.old_protocol:
            status_line = b"HTTP/1.0" + status_line[8:]
        if not self.keep_alive or self.closing():
            self.keep_alive = False
            return b"%b%b%b%bConnection: close\r\n\r\n" % (status_line, fields, both, framing)
        persistence = b"" if self.request.version == "1.1" else b"Connection: keep-alive\r\n"
        return b"%b%b%b%b%b\r\n" % (status_line, fields, both, framing, persistence)

    def _framing(self, code: int) -> bytes:
        """Frame content of unknown length (RFC 9112 6.3)."""
        if self.request.method == "HEAD" or code in NO_CONTENT:
            return b""
        if self.old_protocol or self.request.version != "1.1":
            self.keep_alive = False
            return b""
        self._chunked = True
        return b"Transfer-Encoding: chunked\r\n"

    @calls_application
    def _stream(self, result: Any, window: CallWindow) -> None:
        """A response that comes piece by piece. The window is open on entry."""
        serial = self.serial
        try:
            if type(result) is FileWrapper and self._head is not None and not self.began:
                if self._send_file(result.filelike, window):
                    return
                window.open(serial)
            for piece in result:
                window.shut()
                self._emit(piece)
                window.open(serial)
            window.shut()
            self._end()
        finally:
            self._close(result, window)

    @calls_application
    def _close(self, result: Any, window: CallWindow) -> None:
        close = getattr(result, "close", None)
        if close is not None:
            window.shut()
            window.open_for_close(self.serial)
            close()
        window.shut()

    def _emit(self, piece: Any) -> None:
        """Hand one piece over. The window is shut."""
        if not isinstance(piece, bytes):
            raise AppError(f"The application yielded {type(piece).__name__}, not bytes (PEP 3333).")
        if not piece:
            return
        rendered = b"" if self.began else self._begin(self._started(), None)
        if self.request.method == "HEAD" or self._started().code in NO_CONTENT:
            if rendered:
                self.transmit(rendered)
            return
        size = len(piece)
        transmit = self.transmit if rendered else self.transmit_more
        if self._chunked:
            transmit(rendered + chunk(piece))
        elif self._left is None:
            transmit(rendered + piece)
        else:
            if size > self._left:
                self._refuse_excess(rendered, piece, self._left)
            self._left -= size
            transmit(rendered + piece)
        self.content_sent += size

    def _refuse_excess(self, rendered: bytes, piece: bytes, left: int) -> NoReturn:
        """Hand over what was announced and no more: the rest would be read as the next response."""
        announced = rendered + piece[:left]
        if announced:
            self.transmit(announced)
        self.content_sent += left
        raise AppError(f"The application yielded at least {len(piece) - left} bytes more than its Content-Length.")

    def _end(self) -> None:
        """The application's iterable is exhausted. The window is shut."""
        head = self._started()
        no_content = self.request.method == "HEAD" or head.code in NO_CONTENT
        if not self.began:
            if head.content_length and not no_content:
                raise AppError(f"The application announced Content-Length {head.content_length} and yielded nothing.")
            self.transmit(self._begin(head, None if no_content else 0))
        elif self._chunked:
            self.transmit_more(LAST_CHUNK)
        elif self._left and not no_content:
            raise AppError(f"The application yielded {self._left} bytes less than its Content-Length.")

    def _started(self) -> Head:
        if self._head is None:
            raise AppError("The application yielded content before calling start_response (PEP 3333).")
        return self._head

    def _send_file(self, filelike: Any, window: CallWindow) -> bool:
        """Answer whether the whole response was handed over as a file."""
        head = self._started()
        window.shut()
        if self.request.method == "HEAD" or head.code in NO_CONTENT:
            return False
        length = self.file_length(filelike, head.content_length)
        if length is None:
            return False
        if head.content_length is not None and length < head.content_length:
            raise AppError(
                f"The application announced Content-Length {head.content_length}; its file has {length} left."
            )
        rendered = self._begin(head, length)
        self.transmit_file(rendered, filelike, length)
        self._left = 0
        self.content_sent = length
        return True


def _joined(pieces: list[Any] | tuple[Any, ...]) -> bytes:
    try:
        return b"".join(pieces)
    except TypeError as error:
        raise AppError(f"The application's iterable yielded something that is not bytes (PEP 3333): {error}.") from None
