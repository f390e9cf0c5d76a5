"""
Turn the bytes of one connection into requests. No socket, no clock, no thread.

llhttp (through httptools) is the only parser. ``head_policy`` refuses what llhttp accepts and we do not. The engine
knows nothing of WSGI: it copies the dict that it was given and adds one key per field (see ``fields``).

Theory. llhttp parses all messages that one buffer holds. The engine must not allow that: a client can send thousands of
requests in one packet, and each request that is parsed before its turn costs memory. So the engine feeds the parser
only up to the end of one message. It finds that end without parsing: after a blank line (the end of a head), after as
many bytes as are left of Content-Length, or at a place that looks like the end of chunked content (``content_end``).
Such a place inside of chunked content is not the end; its only effect is that the parser is fed in one more step. The
number of these steps is limited. Beyond it the end may be missed; then the connection ends with that request.

llhttp is not fed what it would refuse and we do not: a method that it does not know (``stand_ins``), and chunk extensions
(``chunk_lines``).

The parser that reads the heads has no callback for content. Content of a known length is kept as it came, and this parser
only counts it, so nobody copies it. Chunked content has a parser of its own, whose callback collects it (``stand_ins``).

No byte may cost much more than a byte of an honest upload (``benchmarks/hostile``). So blank lines before a request are
skipped here and not parsed one by one, a head with too many lines is refused before it is parsed, and no bytes are
copied again and again because they come in small pieces.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from pastepool._fast import fast
from pastepool.errors import InternalError, PeerError
from pastepool.http1.caches import make_cache
from pastepool.http1.chunked import ChunkedContent
from pastepool.http1.fields import DROPPED, KEYS, environ_key, joined
from pastepool.http1.head_policy import SPOKEN, check_content, check_host, check_target, refusal_of_parser, tls_refusal
from pastepool.http1.limits import Limits
from pastepool.http1.request import Request
from pastepool.http1.stand_ins import (
    HalfMethod,
    StandIn,
    content_parser,
    is_unknown_method,
    method_of,
    with_placed_method,
)

_SLASH = ord("/")

_BLANK_LINE = b"\r\n\r\n"

_SHORTEST_HEAD = len(b"GET / HTTP/1.0\r\n\r\n")
"""Bytes of the shortest head. What ends earlier are line breaks, which are skipped, or it is no head at all."""

_MOST_TRAILERS = 100
"""How many fields a trailer may have. They are read and thrown away."""

_LINE_BREAKS = re.compile(rb"[\r\n]*")
"""
What the parser skips before a request. RFC 9112 2.2 asks for one empty line; the parser takes these bytes in any order.
"""

_OTHER_LINES = 8
"""
How many more lines than fields a head may have: the request line, empty lines before it and the blank line. The exact
number of fields is checked when they are parsed; this only keeps thousands of them from being parsed.
"""

_BESIDE_TARGET = 64
"""At least as long as the longest method and the version together, with the blanks in the request line."""

_TLS_HANDSHAKE = b"\x16"
"""The first byte of a TLS handshake. No method begins with it."""

_VERSION_1_1 = b" HTTP/1.1\r\n"

_METHODS = make_cache()
"""The methods seen so far that the parser knows, as bytes and as text. So their number is bounded."""

_checked_host = [""]
"""
The host that was checked last on any connection. The next connection mostly asks for the same host, which then is not
checked again. Runs on: any thread; reading and writing one element of a list is atomic.
"""


Made = TypeVar("Made", bound=Request)


class Engine(fast.HeadCallbacks, Generic[Made]):
    """
    Turn one connection's bytes into requests, one at a time.

    ``make_request``: called as soon as a head has ended. It takes the arguments of ``Request`` and returns the object for the
    request; mostly it is a subclass of ``Request``.

    The owner feeds bytes with ``feed``. When ``complete`` is true, the owner takes the request with ``next_request``.
    ``request``: set as soon as the head of the message has ended. The owner takes content at any time with ``take_body``.
    ``remaining``: how many bytes of the content are still to come; 0 if that is not known. ``head_size``: how many bytes
    the head of the last request with content had. ``rest``: bytes that belong to later messages.

    After a ``PeerError`` the engine cannot be used any more, because it is not known where the next message begins.

    Runs on: the thread that owns the connection.
    """

    __slots__ = (
        "remaining", "head_size", "rest", "_pieces", "_limits", "_usual_bytes", "_head_bytes", "_head_lines", "_tail",
        "_fault", "_chunked", "_trailers",
    )  # fmt: skip

    def __init__(
        self,
        limits: Limits,
        prototype: dict[str, Any],
        make_request: Callable[..., Made] = Request,  # type: ignore[assignment]  # a default has no type of its own
    ) -> None:
        self.request = None
        self.complete = False
        self._keys = KEYS
        self._methods = _METHODS
        self._make_request = make_request
        self._prototype = prototype
        self._most_fields = len(prototype) + limits.header_count
        self._longest_target = limits.request_target
        self._fields = None
        self._repeated = 0
        self._target = b""
        self._fed = b""
        self._host = _checked_host[0]
        self.remaining = 0
        self.head_size = 0
        self.rest = b""
        self._pieces: list[bytes] = []
        self._limits = limits
        self._usual_bytes = limits.usual_bytes
        self._head_bytes = 0
        self._head_lines = 0
        self._trailers = 0
        self._chunked: ChunkedContent | None = None
        self._tail = b""
        self._fault: Exception | None = None
        self._parser = HttpRequestParser(self)

    def close(self) -> None:
        """
        Drop the parser, the prototype and a request that was not taken.

        The parser and the engine hold each other. The prototype may hold the owner of the engine, and the fields of a
        request are a copy of it. Without this call only the garbage collector would free them.
        """
        self._parser = self._fields = self.request = None
        self._prototype = {}

    @property
    def started(self) -> bool:
        """Say whether any byte of the next message has come."""
        return bool(self._head_bytes or self.rest)

    @property
    def has_content(self) -> bool:
        """Say whether content has come that was not taken yet."""
        return bool(self._pieces) or (self._chunked is not None and self._chunked.holds_content)

    def next_request(self) -> Made:
        """
        Return the complete request, and make the engine ready for the next one.

        The caller must have taken the content of the request before.
        """
        request: Made | None = self.request
        if request is None:
            raise InternalError("No request is complete.")
        self.request = None
        self.complete = False
        self._head_bytes = 0
        self._fed = b""
        return request

    def feed(self, data: bytes) -> None:
        """
        Parse bytes up to the end of one message. The bytes behind that end wait in ``rest``.

        Raises: PeerError with the status to answer. The client's fault.
        """
        if not self._head_bytes and not self.rest:
            # The common cases first: a whole head, and nothing or something behind it.
            size = len(data)
            end = data.find(_BLANK_LINE) + 4
            if end == size and (size <= self._usual_bytes or self._may_be_fed_whole(data, size)):
                self._feed_whole_head(data, size)
                return
            if _SHORTEST_HEAD <= end <= self._usual_bytes:
                self._feed_whole_head(data[:end], end)
                data = data[end:]
        if self.complete:
            self.rest += data
            return
        if 0 < len(data) <= self.remaining:  # content, and not more than is left of it
            self._take_known(data, len(data))
            return
        if self.rest:
            data = self.rest + data
            self.rest = b""
        size = len(data)
        begin = 0
        if not self._fed and data.startswith((b"\r", b"\n")):
            begin = self._skip_line_breaks(data)
        chunked = self._chunked
        if chunked is not None:
            data = chunked.cleaned(data)
            size = len(data)
        while begin < size and not self.complete:
            end = self._feed_until(data, begin, size)
            (self._take_known if self.remaining else self._feed_parser)(data[begin:end], end - begin)
            begin = end
            if chunked is None and self._chunked is not None:
                chunked = self._chunked
                data = chunked.cleaned(data[begin:])
                begin, size = 0, len(data)
        if chunked is not None:
            chunked.settle()
        self.rest = self.rest or data[begin:]

    def _may_be_fed_whole(self, data: bytes, size: int) -> bool:
        """Say whether a head of many bytes is not too large and has not too many lines."""
        limits = self._limits
        return size <= limits.header_bytes and data.count(b"\n") <= limits.header_count + _OTHER_LINES

    def _feed_whole_head(self, data: bytes, size: int) -> None:
        """Do the work of ``_feed_parser`` for the common case: ``data`` is one whole head that is not too large."""
        self._head_bytes = size
        self._fed = data
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._decline_upgrade(data[upgrade.args[0] :])
        except HttpParserError as error:
            if data.startswith(_TLS_HANDSHAKE):
                raise tls_refusal() from None
            self._parse_again(error, True)
        if not self.complete and self.request is None:
            # Line breaks before a request, as a blank line ends any head; or three bytes of its beginning, of which the
            # condition in ``feed`` is true too.
            self._fed = data.lstrip(b"\r\n")

    def _skip_line_breaks(self, data: bytes) -> int:
        """Skip line breaks where a request may begin. They count as bytes of its head. Returns where they end."""
        found = _LINE_BREAKS.match(data)
        end = found.end() if found else 0
        self._head_bytes += end
        if self._head_bytes > self._limits.header_bytes:
            raise self._too_large()
        return end

    def _feed_until(self, data: bytes, begin: int, size: int) -> int:
        """Return the position in ``data`` up to which the parser may be fed without going beyond the message."""
        if self.remaining:
            return min(begin + self.remaining, size)
        if self._chunked is not None:
            return self._chunked.end.until(data, begin, size)
        tail = self._tail
        found = (tail + data[begin : begin + 3]).find(_BLANK_LINE)
        if found >= 0:
            return begin + found + 4 - len(tail)
        found = data.find(_BLANK_LINE, begin)
        return size if found < 0 else found + 4

    def _take_known(self, data: bytes, size: int) -> None:
        """Take content of a known length. ``data``: not more than is left of it."""
        self._pieces.append(data)
        self.remaining -= size
        self._parser.feed_data(data)

    def _feed_parser(self, data: bytes, size: int) -> None:
        request, chunked = self.request, self._chunked
        if request is None:
            if not self._fed:
                self._head_lines = 0
            self._head_bytes += size
            if self._head_bytes == size and data.startswith(_TLS_HANDSHAKE):
                raise tls_refusal()
            if self._head_bytes > self._limits.header_bytes:
                self._refuse_large_head(data, size)
            self._head_lines += data.count(b"\n")
            if self._head_lines > self._limits.header_count + _OTHER_LINES:
                raise self._too_many_fields()
            fed_all = self._may_grow()
            if fed_all:
                self._fed += data
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._decline_upgrade(data[upgrade.args[0] :])
        except HttpParserError as error:
            if request is None:
                self._parse_again(error, fed_all)
            elif not self.complete:
                raise self._fault or refusal_of_parser(error, True) from None
            else:
                self._end_with(request, data)
        if not self.complete:
            self._account(chunked, data, size)
            return
        self._tail = b""
        if chunked is not None:
            self._chunked = None
            chunked.count(size)
            self._pieces.append(chunked.take())

    def _may_grow(self) -> bool:
        """Say whether the head so far is kept: as long as its request line may be."""
        return len(self._fed) < self._limits.request_target + _BESIDE_TARGET

    def _refuse_large_head(self, data: bytes, size: int) -> None:
        """
        Refuse a head that is too large.

        If the part of the head within the limit has another fault (a long target), that fault is raised instead.
        """
        data = data[: size - (self._head_bytes - self._limits.header_bytes)]
        fed_all = self._may_grow()
        if fed_all:
            self._fed += data
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self._parse_again(error, fed_all)
        raise self._too_large()

    def _parse_again(self, error: HttpParserError, fed_all: bool) -> None:
        """
        Parse the head so far again if the parser only did not know its method.

        ``error``: what the parser raised. ``fed_all``: whether ``_fed`` has all that it was fed of this head.
        Raises: PeerError: the head has another fault, or its method is no token.
        """
        if self._fault is not None or not is_unknown_method(error):
            raise self._fault or refusal_of_parser(error, self.request is not None) from None
        if not fed_all:
            raise self._long_line() from None
        self._fields = None
        self._place_method()

    def _place_method(self) -> None:
        """
        Feed a new parser the head so far, with another method in place of its own.

        While the whole method has not come, the parser is one that only waits for the rest of it.
        """
        head = self._fed.lstrip(b"\r\n")
        method = method_of(head)
        if method is None:
            self._parser = HalfMethod(self._place_method)
            return
        self._parser = StandIn(self, self._content_ended, method)
        head = with_placed_method(head, method)
        try:
            self._parser.feed_data(head)
        except HttpParserUpgrade as upgrade:
            self._decline_upgrade(head[upgrade.args[0] :])
        except HttpParserError as error:
            raise self._fault or refusal_of_parser(error, self.request is not None) from None

    def _too_large(self) -> PeerError:
        return PeerError(431, f"The request's head is larger than {self._limits.header_bytes} bytes.")

    def _too_many_fields(self) -> PeerError:
        return PeerError(431, f"The request has more than {self._limits.header_count} header fields.")

    def _end_with(self, request: Request, data: bytes) -> None:
        """
        End the connection with a request that is complete, because bytes behind its end were parsed.

        This happens only after content with too many places that looked like its end (``content_end``). Where the
        request ended in ``data`` is not known. So nothing behind it is served: its client must expect that, and send
        those requests again (RFC 9112 9.3.2).
        """
        request.keep_alive = request.plain = False
        self._fault = None
        self.rest = data[-1:]  # so that the server sees that the client still sends

    def _decline_upgrade(self, unparsed: bytes) -> None:
        """
        Go on with HTTP/1.1 after a head that asks for another protocol (RFC 9110 7.8: an Upgrade may be ignored).

        llhttp ends such a message after its head, even if content follows. The content would then be parsed as the next
        request. So a new parser is made for the content. It is first fed a made-up head with the same framing.
        """
        request = self.request
        self._parser = HttpRequestParser(self)
        if request is None:
            raise InternalError("The parser left HTTP before the end of a head.")
        if not request.announces_content:
            return
        self.complete = False
        self._begin_content()
        if unparsed:
            raise InternalError(f"{len(unparsed)} bytes were fed to the parser beyond the end of a head.")

    def _begin_content(self) -> None:
        """Make a new parser for the content of the request whose head has just ended."""
        chunked = self._chunked
        framing = b"Content-Length: %d" % self.remaining if chunked is None else b"Transfer-Encoding: chunked"
        self._fields = None  # the head has ended: fields that are found from now on are those of a trailer
        self._trailers = -1  # the parser finds one in the head that is made up for it
        self._parser = content_parser(self, self._content_ended, framing, None if chunked is None else chunked.collect)

    def _content_ended(self) -> None:
        self._parser = HttpRequestParser(self)
        self.complete = True

    def _account(self, chunked: ChunkedContent | None, data: bytes, size: int) -> None:
        """
        Note the bytes that the parser was fed of a message that is not complete yet.

        ``chunked``: counts the content that ``data`` belongs to; None if ``data`` belongs to a head. The last three bytes of
        an incomplete head are kept, because a blank line may have begun in them.
        """
        if chunked is not None:
            chunked.end.went_on(data, size)
            chunked.count(size)
        else:
            self._tail = (self._tail + data[-3:])[-3:] if self.request is None else b""

    def take_body(self) -> bytes:
        """Return the content that has come so far, and forget it."""
        if self._chunked is not None:
            return self._chunked.take()
        content = b"".join(self._pieces)
        self._pieces.clear()
        return content

    # The parser calls the methods below, in the order in which the parts of a message arrive.

    def any_url(self, piece: bytes) -> None:
        if self._fields is None:
            if self.complete:
                raise self._refusal(400, "A request began before the one ahead of it had ended.")
            self._fields = self._prototype.copy()
            self._repeated = 0
            self._target = piece
        else:
            self._target += piece
        if len(self._target) > self._limits.request_target:
            raise self._refusal(414, f"The request target is longer than {self._limits.request_target} bytes.")

    def any_field(self, name: bytes, value: bytes) -> None:
        fields = self._fields
        if fields is None:
            self._skip_trailer()
            return
        key = KEYS.get(name) or environ_key(name)
        if key in fields:
            self._repeated += 1
            if key == "HTTP_HOST":
                raise self._refusal(400, "The request has more than one Host field.")
            fields[key] = joined(key, fields[key], value.strip().decode("latin-1"))
        elif key == DROPPED:
            self._repeated += 1
        else:
            fields[key] = value.strip().decode("latin-1")  # RFC 9112 5.1; the parser leaves the space behind a value

    def _skip_trailer(self) -> None:
        """Drop a field of a trailer (RFC 9110 6.5): it is never added to the fields of the head."""
        self._trailers += 1
        if self._trailers > _MOST_TRAILERS:
            raise self._refusal(431, f"The request has more than {_MOST_TRAILERS} trailer fields.")

    def any_end(self) -> None:
        fields = self._fields
        if fields is None:
            raise InternalError("The parser ended a head that it had not begun.")
        self._fields = None
        parser = self._parser
        wire_method = parser.get_method()
        method = _METHODS.get(wire_method)
        if method is None:
            method = self._learn_method(wire_method)
        # The bytes are compared first: the parser makes a new string each time it is asked for the version, and that
        # costs more than everything else here.
        if self._fed.startswith(_VERSION_1_1, len(wire_method) + 1 + len(self._target)):
            version = "1.1"
        else:
            version = self._other_version()
        request = self._make_request(method, self._target, version, fields, parser.should_keep_alive())
        try:
            self._check_head(request, fields)
        except Exception as error:
            self._fault = error
            raise
        request.plain = version == "1.1" and method != "HEAD"
        self.request = request

    def _learn_method(self, wire_method: bytes) -> str:
        if wire_method == b"CONNECT":
            raise self._refusal(501, "CONNECT is not implemented here.")
        method = wire_method.decode()
        if type(self._parser) is not StandIn:
            _METHODS[wire_method] = method
        return method

    def _other_version(self) -> str:
        line, _, _ = self._fed.lstrip(b"\r\n").partition(b"\r\n")
        if len(line) >= self._limits.request_target + _BESIDE_TARGET:
            raise self._long_line()
        if b" HTTP/" not in line:
            raise self._refusal(
                505, f"The request names no version of HTTP that is spoken here; {SPOKEN}."
            )  # the parser accepts RTSP as well
        version: str = self._parser.get_http_version()
        return version

    def _long_line(self) -> PeerError:
        """Return the error for a request line with thousands of blanks beside its target. The parser skips blanks."""
        return self._refusal(414, "The request line has too many blanks.")

    def _refusal(self, status: int, reason: str) -> PeerError:
        """
        Return the error that a callback of the parser raises, and keep it in ``_fault``.

        The parser raises an error of its own instead, so the code that fed it finds ours in ``_fault``.
        """
        self._fault = error = PeerError(status, reason)
        return error

    def _check_head(self, request: Made, fields: dict[str, Any]) -> None:
        if len(fields) + self._repeated > self._most_fields:
            raise self._too_many_fields()
        if fields.get("HTTP_HOST") != self._host or request.version != "1.1":
            self._host = _checked_host[0] = check_host(request, fields)
        target = request.target
        # `b"#" in target` would be slower: it first tries to take b"#" for a number, which raises an exception inside.
        if target[0] != _SLASH or target.find(b"#") >= 0:
            check_target(request, fields)
        if "CONTENT_LENGTH" in fields or "HTTP_TRANSFER_ENCODING" in fields or "HTTP_EXPECT" in fields:
            self.any_content(request)

    def any_content(self, request: Made) -> None:
        """
        Judge what the head of a request says of content.

        The accelerator calls this if nothing else in the head needs a rule.
        """
        self.head_size = self._head_bytes
        try:
            length = check_content(request, request.fields, self._limits)
        except Exception as error:
            self._fault = error
            raise
        if length is None:
            self._chunked = ChunkedContent(self._limits.body_bytes)
            self._begin_content()
        else:
            self.remaining = length
