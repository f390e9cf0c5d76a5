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
from typing import Any

from pastepool.core.ownership import calls_application
from pastepool.errors import AppError, ClientGone
from pastepool.http1.request import Request
from pastepool.http1.response import BARE, LAST_CHUNK, WITH_DATE, WITH_SERVER, Head, chunk, render_head
from pastepool.types import CallWindow, Seconds
from pastepool.wsgi.file_wrapper import FileWrapper
from pastepool.wsgi.plain_file import PlainFile, plain_file, read_fully
from pastepool.wsgi.serving import Serving

_KEPT = b"Content-Length: %d\r\n\r\n"
_CLOSED = b"Content-Length: %d\r\nConnection: close\r\n\r\n"
"""The end of the head of a whole response."""

_COPY_LIMIT = 16384
"""
Up to this size it is cheaper to copy a body behind its head than to send both with a gathering write (measured, see
docs/performance).
"""

_MOST_UNSENT_PIECES = 3
"""
The iterable is closed after this many pieces of which nothing may be sent: the content of HEAD, 204 and 304, and empty
pieces behind content of a known length. An iterable may yield them for ever. The first ones are still asked for, because
a short iterable then comes to its end: code behind the last ``yield`` runs and mistakes are found. PEP 3333 also lets an
application change the head until its first byte of content.
"""

_READ_LIMIT = 65536
"""
A plain file with no more bytes than this is read and sent with its head in one system call. Only a larger file is left
to the kernel. So the sizes of small files, which the kernel makes up for /sys, need not be true.
"""


class Call(Request, ABC):
    """
    Call the application for one request and hand over its response. It is the request itself, with a response.

    The engine makes it, and ``complete_environ`` makes an environ of its fields. ``begin`` must be called before ``run``.

    A subclass sends the bytes. Each of its methods that do so raises ClientGone when the client has gone.

    Large because PEP 3333 makes one state of it: ``start_response``, ``write``, the iterable and the framing decide
    together what may still be sent.

    ``serial``: the number of the request. ``shared``: what all calls of the server share. ``code``: the status; 0 until
    ``start_response`` was called. ``content_sent``: how many bytes of content were handed over. ``began``: whether any
    byte of the response was handed over. ``keep_alive``: whether the connection stays open after this response: at
    first, whether the client wants that; final when ``began`` is true.

    ``look_at_file``: returns the status of a file's descriptor (``os.fstat``); None if files are not sent as such here.
    """

    look_at_file: Callable[[int], Any] | None = None
    _unsent_pieces = 0
    _ended = False
    _chunked = False
    _window: CallWindow

    serial: int
    shared: Serving
    began: bool
    content_sent: int
    _head: Head | None
    _left: int | None

    def begin(self, serial: int, shared: Serving) -> None:
        """
        Give a complete request what its call needs.

        What nearly every call changes is set here. Where only the class has an attribute, the interpreter takes longer to
        read it, and to set it on the object.
        """
        self.serial = serial
        self.shared = shared
        self.began = False
        self.content_sent = 0
        self._head = self._left = None

    @property
    def environ(self) -> dict[str, Any]:
        """The environ of PEP 3333."""
        return self.fields

    @abstractmethod
    def transmit(self, data: bytes) -> None: ...

    def transmit_more(self, data: bytes) -> None:
        """Like ``transmit``, for bytes that follow the first ones of a response. More bytes are likely to follow."""
        self.transmit(data)

    def transmit_last(self, data: bytes) -> None:
        """Like ``transmit_more``, for the last bytes of a response; none if the end of the connection ends it."""
        if data:
            self.transmit(data)

    @abstractmethod
    def transmit_two(self, head: bytes, body: bytes) -> None:
        """Like ``transmit`` for ``head`` and then ``body``, without joining them in memory."""

    @abstractmethod
    def transmit_file(self, head: bytes, file: PlainFile, length: int) -> None:
        """Send ``head`` and the first ``length`` bytes that are left of a file."""

    @abstractmethod
    def cut_off(self) -> None:
        """Report that the application yielded more than its Content-Length, and that the rest is not sent."""

    def abandoned(self) -> bool:
        """Say whether the client seems to have gone. This is asked where nothing is sent that could show it."""
        return False

    @property
    def code(self) -> int:
        return self._head[0] if self._head is not None else 0

    @property
    def _announced(self) -> int | None:
        """The Content-Length that the application named."""
        return self._head[3] if self._head is not None else None

    @property
    def whole(self) -> bool:
        """Say whether the last byte of the response was handed over. An error after that does not concern the client."""
        if self._head is None or not self.began:
            return False
        return self._ended or self._left == 0 or self._bare()

    @calls_application
    def run(self, window: CallWindow) -> Seconds | None:
        """
        Call the application and hand its whole response over.

        Returns: when the application returned, if it returned the whole response at once; None if it was iterated.
        Raises: AppError if the application broke PEP 3333 or its own framing; ClientGone; WorkerKilled; any exception
        that the application raises. After an exception the window may still be open; the code that catches it must
        shut the window.
        """
        shared = self.shared
        # In variables: the interpreter takes longer to call a function that is the value of an attribute.
        application, now = shared.application, shared.date_header.now
        self._window = window
        window.open(self.serial)
        result = application(self.fields, self.start_response)
        kind = type(result)
        if (kind is list or kind is tuple) and not self.began:
            body = result[0] if len(result) == 1 and type(result[0]) is bytes else _joined(result)
            window.shut()
            returned_at = now()
            self._whole(body, returned_at)
            return returned_at
        self._stream(result, window)
        return None

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
            if not self._emit(data):
                raise AppError("The application wrote more bytes than its Content-Length.")
            if not data or self._bare():
                self._check_client()
        finally:
            self._window.open(self.serial)  # after a failure too: the exception goes on into the application's code

    def _whole(self, body: bytes, now: Seconds) -> None:
        """Hand over a response whose whole content is known, in one system call if the socket takes all of it."""
        head = self._head
        if head is None:
            raise AppError("The application returned without calling start_response (PEP 3333).")
        _, status_line, fields, length, unusual = head
        size = len(body)
        shared = self.shared
        if (
            self.plain
            and not unusual
            and (length is None or length == size)
            and size <= _COPY_LIMIT
            and not shared.closing
        ):
            # A fast way for nearly all responses. It renders the same head as ``_begin``, where the rules are.
            self.began = True
            self._left = 0
            self.content_sent = size
            stamp = shared.date_header
            both = (stamp.fields if now < stamp.until else stamp.fields_at(now))[2]
            end = (_KEPT if self.keep_alive else _CLOSED) % size
            self.transmit(b"".join((status_line, fields, both, end, body)))
            return
        if self._bare():
            self.transmit(self._begin(head, None if unusual & BARE else size or None))
            return
        if length is not None and length != size:
            raise AppError(f"The application announced Content-Length {length} and returned {size} bytes.")
        rendered = self._begin(head, size)
        self.content_sent = size
        if size <= _COPY_LIMIT:
            self.transmit(rendered + body)
        else:
            self.transmit_two(rendered, body)

    def _begin(self, head: Head, size: int | None) -> bytes:
        """
        Decide framing and whether the connection stays open, and render the head.

        ``size``: bytes of content; None if it is not known, apart from the application's own Content-Length. A length of
        0 is dropped from a 304: it would be that of the content in the client's cache (RFC 9110 8.6), and Zope sends it.
        """
        self.began = True
        code, status_line, fields, length, unusual = head
        shared = self.shared
        date, server, both = shared.date_header.fields_at(shared.date_header.now())
        if unusual & (WITH_DATE | WITH_SERVER):
            both = (b"" if unusual & WITH_DATE else date) + (b"" if unusual & WITH_SERVER else server)
        if length is None:
            length = size
        if length is not None and code != 204 and (length or code != 304):
            self._left = length
            framing = b"Content-Length: %d\r\n" % length
        else:
            framing = self._framing()
        if shared.old_protocol:
            status_line = b"HTTP/1.0" + status_line[8:]
        if not self.keep_alive or shared.closing:
            self.keep_alive = False
            return b"%b%b%b%bConnection: close\r\n\r\n" % (status_line, fields, both, framing)
        persistence = b"" if self.version == "1.1" else b"Connection: keep-alive\r\n"
        return b"%b%b%b%b%b\r\n" % (status_line, fields, both, framing, persistence)

    def _framing(self) -> bytes:
        """Decide the framing of content of unknown length and return its field, which may be empty (RFC 9112 6.3)."""
        if self._bare():
            return b""
        if self.shared.old_protocol or self.version != "1.1":
            self.keep_alive = False
            return b""
        self._chunked = True
        return b"Transfer-Encoding: chunked\r\n"

    @calls_application
    def _stream(self, result: Any, window: CallWindow) -> None:
        """Hand over a response piece by piece. The window is open on entry."""
        serial = self.serial
        try:
            if type(result) is FileWrapper and self._head is not None:
                window.shut()
                if self._send_file(result, self._head, window):
                    self._ended = True
                    return
                window.open(serial)
            for piece in result:
                window.shut()
                if self._chunked and type(piece) is bytes and piece:
                    # The common case of ``_emit``: there is content, its head was sent, and no length is to be kept.
                    size = len(piece)
                    self.content_sent += size
                    self.transmit_more(b"%x\r\n%b\r\n" % (size, piece))
                    window.open(serial)
                    continue
                if not self._emit(piece):
                    self.cut_off()
                    break
                if self._is_over(piece):
                    break
                window.open(serial)
            window.shut()
            self._end()
            self._ended = True
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
        if self._announced == 0 or self._left == 0 or self._bare():
            self._unsent_pieces += 1
        return self._unsent_pieces >= _MOST_UNSENT_PIECES

    def _check_client(self) -> None:
        if self.abandoned():
            raise ClientGone("The client has gone.")

    def _bare(self) -> bool:
        """Say whether the response has no content, whatever the application returns (RFC 9110 6.4.1)."""
        return self._head is not None and (self.method == "HEAD" or bool(self._head[4] & BARE))

    @calls_application
    def _close(self, result: Any, window: CallWindow) -> None:
        close = getattr(result, "close", None)
        if close is not None:
            window.shut()
            window.open_for_close(self.serial)
            close()
        window.shut()

    def _emit(self, piece: Any) -> bool:
        """
        Hand one piece over, up to the announced length. The window is shut.

        Returns False if bytes are left over: the client would read them as the next response. Raises: AppError if the
        piece is not bytes.
        """
        if type(piece) is not bytes:
            piece = _joined((piece,))
        if not piece:
            return True
        rendered = b"" if self.began else self._begin(self._started(), None)
        if self._bare():
            if rendered:
                self.transmit(rendered)
            return True
        size = len(piece)
        fits = True
        if self._chunked:
            piece = chunk(piece)
        elif self._left is not None:
            fits = size <= self._left
            if not fits:
                size = self._left
                piece = piece[:size]
            self._left -= size
        if rendered:
            self.transmit(rendered + piece)
        elif piece:
            (self.transmit_last if self._left == 0 else self.transmit_more)(piece)
        self.content_sent += size
        return fits

    def _end(self) -> None:
        """End the response after the last piece of the application's iterable. The window is shut."""
        head = self._started()
        bare = self._bare()
        if not self.began:
            if self._announced and not bare:
                raise AppError(f"The application announced Content-Length {self._announced} and yielded nothing.")
            self.transmit(self._begin(head, None if bare else 0))
        elif self._chunked:
            self.transmit_last(LAST_CHUNK)
        elif self._left is None and not bare:
            self.transmit_last(b"")  # the end of the connection ends the content
        elif self._left and not bare:
            raise AppError(f"The application yielded {self._left} bytes less than its Content-Length.")

    def _started(self) -> Head:
        if self._head is None:
            raise AppError("The application yielded content before calling start_response (PEP 3333).")
        return self._head

    def _send_file(self, wrapper: FileWrapper, head: Head, window: CallWindow) -> bool:
        """
        Hand the whole response over without iterating, if that is possible, and return whether it was.

        If not, the iteration ends where the content ends. The window is shut.
        """
        if self.began:
            wrapper.end_after(self._left)
            return False
        announced = self._announced
        wrapper.end_after(announced)
        if head[4] & BARE:
            self.transmit(self._begin(head, None))
            return True
        look = self.look_at_file
        file = plain_file(wrapper.filelike, look) if look is not None else None
        if file is None:
            return self._send_head_only(head, None)
        length = file.left if wrapper.left is None else min(file.left, wrapper.left)
        if length <= _READ_LIMIT:
            return self._send_small_file(wrapper, file, length, window)
        if not file.stored and length != announced:
            return self._send_head_only(head, None)
        self._refuse_short_file(length)
        if self._send_head_only(head, length):
            return True
        self.transmit_file(self._begin(head, length), file, length)
        self._left = 0
        self.content_sent = length
        return True

    def _send_head_only(self, head: Head, length: int | None) -> bool:
        """Answer HEAD without reading the file, and return whether it is one. ``length``: None if it is not known."""
        if self.method != "HEAD":
            return False
        self.transmit(self._begin(head, length))
        return True

    @calls_application
    def _send_small_file(self, wrapper: FileWrapper, file: PlainFile, length: int, window: CallWindow) -> bool:
        """
        Read a file and hand it over. Returns False, with the file at its position, if it is larger than it says.

        ``length``: how many bytes are wanted of it, as far as its size is true.
        """
        filelike = wrapper.filelike
        wanted = length if length == wrapper.left else length + 1  # the byte more shows whether the size is true
        window.open(self.serial)
        content = read_fully(filelike, wanted)
        larger = len(content) > length
        if larger:
            filelike.seek(file.position)
        window.shut()
        if larger:
            return False
        self._refuse_short_file(len(content))
        self._whole(content, self.shared.date_header.now())
        return True

    def _refuse_short_file(self, length: int) -> None:
        announced = self._announced
        if announced is not None and length < announced:
            raise AppError(f"The application announced Content-Length {announced}; its file has {length} left.")


def _joined(pieces: list[Any] | tuple[Any, ...]) -> bytes:
    """
    Return the pieces as one ``bytes``.

    PEP 3333 asks for bytes. Some applications yield a bytearray, a memoryview or another object with a buffer, and
    other servers take them; so these are copied. A text or a number is refused.
    """
    try:
        return b"".join(pieces)
    except (TypeError, BufferError) as error:
        what = f"{type(pieces[0]).__name__}," if len(pieces) == 1 else "something that is"
        raise AppError(f"The application's iterable yielded {what} not bytes (PEP 3333): {error}.") from None
