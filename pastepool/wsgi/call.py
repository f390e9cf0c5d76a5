"""
Call an application as PEP 3333 says, and turn what it returns into response bytes.

Knows the application, the framing of its response and the window in which a kill may land. Does not know sockets: a
subclass sends the bytes. Everything here runs on the worker that has the request.

The window (see ``runtime.window``) is open exactly while the application's code runs: the call, each step of its
iterable, its ``close``. It is shut while bytes are handed over, so no kill lands in our code. A worker that has shut
the window before a kill came has the claim to write.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NoReturn

from pastepool.core.ownership import calls_application
from pastepool.errors import AppError, ClientGone
from pastepool.http1.engine import Request
from pastepool.http1.response import LAST_CHUNK, NO_CONTENT, Head, chunk, render_head
from pastepool.types import CallWindow
from pastepool.wsgi.file_wrapper import FileWrapper

Application = Callable[[dict[str, Any], Callable[..., Any]], Any]


DateAndServer = Callable[[], tuple[bytes, bytes, bytes]]
"""Returns three texts of rendered fields: Date, Server, and both together."""


_COPY_LIMIT = 16384
"""
Up to this size it is cheaper to copy a body behind its head than to send both with a gathering write (measured, see
docs/performance).
"""

_MOST_UNSENT_PIECES = 3
"""
After so many pieces of which nothing may be sent, the iterable is closed: the content of HEAD, 204 and 304, and empty
pieces behind content of a known length. An iterable may go on with them for ever. The first ones are still asked for,
because a short iterable then comes to its end: code behind the last ``yield`` runs and mistakes are found. PEP 3333
also lets an application change the head until its first byte of content.
"""


class Call(ABC):
    """
    Call the application for one request and hand over its response.

    A subclass sends the bytes. Each of its methods that do so raises ClientGone when the client has gone.

    Large because PEP 3333 makes one state of it: ``start_response``, ``write``, the iterable and the framing decide
    together what may still be sent.

    ``code``: the status; 0 until ``start_response`` was called. ``content_sent``: how many bytes of content were handed
    over. ``began``: whether any byte of the response was handed over. ``old_protocol``: whether the response is in
    HTTP/1.0. ``keep_alive``: whether the connection stays open after this response; final when ``began`` is true.
    """

    began = False
    content_sent = 0
    old_protocol = False
    _head: Head | None = None
    _unsent_pieces = 0
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
        """Like ``transmit``, for bytes that follow the first ones of a response. More bytes are likely to follow."""
        self.transmit(data)

    @abstractmethod
    def transmit_two(self, head: bytes, body: bytes) -> None:
        """Like ``transmit`` for ``head`` and then ``body``, without joining them in memory."""

    @abstractmethod
    def file_length(self, filelike: Any, wanted: int | None) -> int | None:
        """Return how many of ``wanted`` bytes (None: all) a regular file has left; None if it is no regular file."""

    @abstractmethod
    def transmit_file(self, head: bytes, filelike: Any, length: int) -> None:
        """Send ``head`` and ``length`` bytes of a file that ``file_length`` measured."""

    def abandoned(self) -> bool:
        """Say whether the client seems to have gone. This is asked where nothing is sent that could show it."""
        return False

    @abstractmethod
    def closing(self) -> bool:
        """Say whether the server must close the connection after this response (drain, old protocol)."""

    @property
    def code(self) -> int:
        return self._head.code if self._head is not None else 0

    @calls_application
    def respond(self, application: Application, window: CallWindow) -> None:
        """
        Call the application and hand its whole response over.

        Raises: AppError if the application broke PEP 3333 or its own framing; ClientGone; WorkerKilled; any exception
        that the application raises. After an exception the window may still be open; the code that catches it must
        shut the window.
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
        """
        Take the status and the headers (PEP 3333) and return ``write``.

        Raises: AppError for a second call without ``exc_info``; the exception in ``exc_info`` if a byte of the response
        was handed over before.
        """
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
        """Hand over content: the imperative way of PEP 3333. Returns when the bytes have been sent or queued."""
        self._window.shut()
        try:
            self._emit(data)
            if not data or self._bare():
                self._check_client()
        finally:
            self._window.open(self.serial)  # after a failure too: the exception goes on into the application's code

    def _whole(self, body: Any) -> None:
        """Hand over a response whose whole content is known, in one system call if the socket takes all of it."""
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
            # A fast way for nearly all responses. It renders the same head as ``_begin``, where the rules are.
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
        Decide framing and whether the connection stays open, and render the head.

        ``size``: bytes of content; None if it is not known, apart from the application's own Content-Length.
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
        """Decide the framing of content of unknown length and return its field, which may be empty (RFC 9112 6.3)."""
        if self.request.method == "HEAD" or code in NO_CONTENT:
            return b""
        if self.old_protocol or self.request.version != "1.1":
            self.keep_alive = False
            return b""
        self._chunked = True
        return b"Transfer-Encoding: chunked\r\n"

    @calls_application
    def _stream(self, result: Any, window: CallWindow) -> None:
        """Hand over a response piece by piece. The window is open on entry."""
        serial = self.serial
        try:
            if type(result) is FileWrapper and self._head is not None and not self.began:
                if self._send_file(result.filelike, window):
                    return
                window.open(serial)
            for piece in result:
                window.shut()
                self._emit(piece)
                if self._is_over(piece):
                    break
                window.open(serial)
            window.shut()
            self._end()
        finally:
            self._close(result, window)

    def _is_over(self, piece: Any) -> bool:
        """
        Say, after each piece, whether nothing more can be sent. PEP 3333 advises to stop iterating then.

        Raises: ClientGone.
        """
        if piece and not self._bare():
            return False
        self._check_client()
        head = self._head
        if head is not None and (head.content_length == 0 or self._left == 0 or self._bare()):
            self._unsent_pieces += 1
        return self._unsent_pieces >= _MOST_UNSENT_PIECES

    def _check_client(self) -> None:
        if self.abandoned():
            raise ClientGone("The client has gone.")

    def _bare(self) -> bool:
        """Say whether the response has no content, whatever the application returns (RFC 9110 6.4.1)."""
        return self._head is not None and (self.request.method == "HEAD" or self._head.code in NO_CONTENT)

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
        """
        Hand over the bytes up to the announced length, and raise AppError.

        The client would read any further bytes as the next response.
        """
        announced = rendered + piece[:left]
        if announced:
            self.transmit(announced)
        self.content_sent += left
        raise AppError(f"The application yielded at least {len(piece) - left} bytes more than its Content-Length.")

    def _end(self) -> None:
        """End the response after the last piece of the application's iterable. The window is shut."""
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
        """Hand the whole response over as a file if that is possible, and return whether it was."""
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
