"""
What stands for the parser, or for its callbacks, while a message is parsed in another way than it was sent.

llhttp knows a fixed list of methods. When it refuses another one, the same head is parsed again by a new parser, which
is fed GET in its place. Only the bytes of the method are replaced, and only if they are a token. For llhttp, framing
does not depend on the method of a request, except for CONNECT, which it knows itself.

Chunked content has a parser of its own, with a callback for content. This parser is first fed a made-up head with the same
framing. llhttp ends a message that asks for another protocol after its head. The content of such a message has a parser of
its own too, also if its length is known.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from httptools import HttpParserError, HttpParserInvalidMethodError, HttpRequestParser

from pastepool.errors import PeerError

_METHOD_REFUSAL = "Invalid method for HTTP/x.x request"
"""The error text of llhttp for a method that it knows from RTSP alone."""

_LONGEST_METHOD = 32
"""How long a method may be that the parser does not know. The longest registered one has 17 letters."""

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

_PLACED_METHOD = b"GET"
"""What the parser is fed in place of a method that it does not know."""


def is_unknown_method(error: HttpParserError) -> bool:
    """Say whether the parser only did not know the method."""
    return isinstance(error, HttpParserInvalidMethodError) or str(error) == _METHOD_REFUSAL


def method_of(head: bytes) -> bytes | None:
    """
    Return the method at the beginning of a head; None if it has not come whole.

    Raises: PeerError: it is no token, or too long. The client's fault.
    """
    method, blank, _ = head[: _LONGEST_METHOD + 1].partition(b" ")
    if not _TOKEN.fullmatch(method):
        raise PeerError(400, "The request does not begin with a method.")
    if len(method) > _LONGEST_METHOD:
        raise PeerError(501, f"The request method is longer than {_LONGEST_METHOD} bytes.")
    return method if blank else None


def with_placed_method(head: bytes, method: bytes) -> bytes:
    """Return a head with a method that the parser knows in place of its own."""
    return _PLACED_METHOD + head[len(method) :]


class Callbacks(Protocol):
    """What a parser calls; see ``_fast.pure.HeadCallbacks``. ``complete``: whether a whole message was parsed."""

    @property
    def complete(self) -> bool: ...

    def on_url(self, piece: bytes, /) -> None: ...

    def on_header(self, name: bytes, value: bytes) -> None: ...

    def on_headers_complete(self) -> None: ...


class HalfMethod:
    """Stands for the parser while a method that it does not know has come in part: it waits for more bytes of it."""

    __slots__ = ("feed_data",)

    def __init__(self, more_came: Callable[[], None]) -> None:
        self.feed_data: Callable[[bytes], None] = lambda _: more_came()


class StandIn:
    """
    Stands for the parser for one message whose method the parser does not know.

    The parser is fed another method, and here it says the right one. ``ended``: called at the end of the message.
    """

    __slots__ = ("feed_data", "get_http_version", "should_keep_alive", "_method")

    def __init__(self, callbacks: Callbacks, ended: Callable[[], None], method: bytes) -> None:
        parser = HttpRequestParser(_OneMessage(callbacks, ended))
        self.feed_data = parser.feed_data
        self.get_http_version = parser.get_http_version
        self.should_keep_alive = parser.should_keep_alive
        self._method = method

    def get_method(self) -> bytes:
        """Return the method that the client sent."""
        return self._method


class _OneMessage:
    """The callbacks for a parser that reads one message; a new one reads the next."""

    __slots__ = ("on_url", "on_header", "on_headers_complete", "on_message_complete")

    def __init__(self, callbacks: Callbacks, ended: Callable[[], None]) -> None:
        self.on_url = callbacks.on_url
        self.on_header = callbacks.on_header
        self.on_headers_complete = callbacks.on_headers_complete
        self.on_message_complete = ended


def content_parser(
    callbacks: Callbacks, ended: Callable[[], None], framing: bytes, collect: Callable[[bytes], object] | None
) -> HttpRequestParser:
    """
    Return a parser for the content of a request whose head was parsed before.

    ``framing``: the field that says where the content ends. ``collect``: called with the content; None to skip it. The
    parser has found ``framing`` as a field when this returns; what it finds later are fields of a trailer.
    """
    parser = HttpRequestParser(_ContentOnly(callbacks, ended, collect))
    parser.feed_data(b"POST / HTTP/1.1\r\n" + framing + b"\r\n\r\n")
    return parser


class _ContentOnly:
    """The callbacks for a parser that reads only the content of a message."""

    __slots__ = ("on_header", "on_body", "on_message_complete", "_callbacks")

    def __init__(
        self, callbacks: Callbacks, ended: Callable[[], None], collect: Callable[[bytes], object] | None
    ) -> None:
        self.on_header = callbacks.on_header
        self.on_body = collect
        self.on_message_complete = ended
        self._callbacks = callbacks

    def on_message_begin(self) -> None:
        """Refuse the beginning of another message."""
        if self._callbacks.complete:
            raise PeerError(400, "A request began before the one ahead of it had ended.")
