"""
One connection's requests: bytes in, requests out. No socket, no clock, no thread.

llhttp (through httptools) is the only parser. What it lets pass and we refuse is the policy of ``_check_head``. The engine knows
nothing of WSGI: it fills a copy of the dict it was given, one key per field (see ``fields``).

Theory. llhttp runs through as many messages as one buffer holds. A connection must not: requests parsed ahead cost memory
for a client that sends thousands in one packet. So the engine feeds the parser no further than the end of one message.
Where that is can be told without parsing: after a blank line (a head without content, or the end of chunked content),
or after as many bytes as Content-Length has left. A blank line inside chunked content only means one feed more.
"""

from __future__ import annotations

from typing import Any

from httptools import HttpParserError, HttpParserInvalidMethodError, HttpParserUpgrade, HttpRequestParser

from pastepool.errors import InternalError, PeerError
from pastepool.http1.fields import DROPPED, KEYS, environ_key, joined
from pastepool.http1.limits import Limits
from pastepool.http1.target import is_host, split_target

_SLASH = ord("/")

_BLANK_LINE = b"\r\n\r\n"

_FRAMING_ALLOWANCE = 65536
_FRAMING_RATIO = 8
"""
Chunk framing may exceed the content it carries by this much. One-byte chunks cost five bytes each and must pass;
endless chunk extensions must not. Nothing derives the allowance.
"""

_VERSION_REFUSALS = ("Invalid HTTP version", "Pause on PRI/Upgrade")
"""llhttp's words for a version it does not know and for the HTTP/2 preface."""

_TLS_HANDSHAKE = b"\x16\x03"

_METHODS: dict[bytes, str] = {}


class Request:
    """
    A request whose head has arrived.

    ``fields``: the dict given to the engine, copied, plus one key per field. ``target``: raw bytes, as are ``path`` and
    ``query``, its parts; the path of ``OPTIONS *`` is ``b"*"``.
    ``version``: "1.0" or "1.1". ``content_length``: None if there is no content or its length is not known yet.
    """

    content_length: int | None = None
    chunked = False
    expects_continue = False

    def __init__(self, method: str, target: bytes, version: str, fields: dict[str, Any], keep_alive: bool) -> None:
        self.method = method
        self.target = target
        self.path, _, self.query = target.partition(b"?")
        self.version = version
        self.fields = fields
        self.keep_alive = keep_alive


class Engine:
    """
    Turns one connection's bytes into requests, one at a time.

    Feed bytes; when ``complete`` is true, take the request with ``next_request``. ``request`` is set from the end of
    the head on. ``body`` collects content and may be emptied by the owner at any time. ``rest`` holds bytes that belong
    to later messages. After a ``PeerError`` the engine is of no further use: where the next message begins is unknown.

    Runs on: whoever owns the connection.
    """

    __slots__ = (
        "request", "complete", "body", "rest", "on_body",
        "_parser", "_limits", "_prototype", "_base_size", "_fields", "_repeated", "_target",
        "_remaining", "_head_bytes", "_chunked_bytes", "_decoded", "_tail", "_host",
    )  # fmt: skip

    def __init__(self, limits: Limits, prototype: dict[str, Any]) -> None:
        self.request: Request | None = None
        self.complete = False
        self.body: list[bytes] = []
        self.rest = b""
        self.on_body = self.body.append
        self._limits = limits
        self._prototype = prototype
        self._base_size = len(prototype)
        self._fields: dict[str, Any] | None = None
        self._repeated = 0
        self._target = b""
        self._remaining = 0
        self._head_bytes = 0
        self._chunked_bytes = 0
        self._decoded = 0
        self._tail = b""
        self._host = ""
        self._parser: Any = HttpRequestParser(self)

    def close(self) -> None:
        """Drop the parser, which holds this engine's methods: the cycle would wait for the garbage collector."""
        self._parser = None

    @property
    def started(self) -> bool:
        """Whether any byte of the next message has come."""
        return bool(self._head_bytes or self.rest)

    def next_request(self) -> Request:
        """Hand over the complete request and make room for the next; its content must have been taken from ``body``."""
        request = self.request
        if request is None:
            raise InternalError("No request is complete.")
        self.request = None
        self.complete = False
        self._head_bytes = 0
        return request

    def feed(self, data: bytes) -> None:
        """
        Take bytes, up to the end of one message; what lies behind waits in ``rest``.

        Raises: PeerError, the client's fault, with the status to answer.
        """
        if not self._head_bytes and not self.rest:
            # The common case first: a whole head without content, and nothing else.
            size = len(data)
            if data.find(_BLANK_LINE) + 4 == size:
                self._feed_parser(data, size)
                return
        if self.complete:
            self.rest += data
            return
        if self.rest:
            data = self.rest + data
            self.rest = b""
        while data and not self.complete:
            size = len(data)
            cut = self._message_end(data, size)
            if cut >= size:
                self._feed_parser(data, size)
                return
            self._feed_parser(data[:cut], cut)
            data = data[cut:]
        self.rest = data

    def _message_end(self, data: bytes, size: int) -> int:
        if self._remaining:
            return self._remaining
        tail = self._tail
        if tail:
            found = (tail + data).find(_BLANK_LINE)
            return size if found < 0 else found + 4 - len(tail)
        found = data.find(_BLANK_LINE)
        return size if found < 0 else found + 4

    def _feed_parser(self, data: bytes, size: int) -> None:
        request = self.request
        if request is None:
            self._head_bytes += size
            if self._head_bytes == size and data.startswith(_TLS_HANDSHAKE):
                raise PeerError(400, "This port speaks plain HTTP and was sent a TLS handshake: use http://, not https://.")
            if self._head_bytes > self._limits.header_bytes:
                raise PeerError(431, f"The request's head is larger than {self._limits.header_bytes} bytes.")
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._decline_upgrade(data[upgrade.args[0] :])
        except HttpParserError as error:
            raise _peer_error(error, self.request is not None) from None
        if self.complete:
            self._tail = b""
            self._remaining = 0
        else:
            self._account(request, data, size)

    def _decline_upgrade(self, unparsed: bytes) -> None:
        """
        Go on with HTTP/1.1 where the parser expects another protocol (RFC 9110 7.8: an Upgrade may be ignored).

        llhttp then ends the message at its head even if content follows, and that content would be read as the next
        request. So a parser of its own is told of that content, by a head with the same framing.
        """
        request = self.request
        self._parser = HttpRequestParser(self)
        if request is None:
            raise InternalError("The parser left HTTP before the end of a head.")
        if request.chunked:
            framing = b"Transfer-Encoding: chunked"
        elif request.content_length:
            framing = b"Content-Length: %d" % request.content_length
        else:
            return
        self.complete = False
        self._parser = HttpRequestParser(_ContentOnly(self))
        self._parser.feed_data(b"POST / HTTP/1.1\r\n" + framing + b"\r\n\r\n")
        if unparsed:
            raise InternalError(f"{len(unparsed)} bytes were fed to the parser beyond the end of a head.")

    def _content_ended(self) -> None:
        self._parser = HttpRequestParser(self)
        self.complete = True

    def _account(self, request: Request | None, data: bytes, size: int) -> None:
        """Keep the figures of a message that is not complete yet."""
        if self._remaining:
            self._remaining -= size
            return
        self._tail = (self._tail + data)[-3:]
        now = self.request
        if now is None:
            return
        if request is None:
            self._tail = b""
            self._remaining = now.content_length or 0
        elif now.chunked:
            self._check_chunked(size)

    def _check_chunked(self, size: int) -> None:
        self._chunked_bytes += size
        decoded = self._decoded + sum(map(len, self.body))
        limit = self._limits.body_bytes
        if limit and decoded > limit:
            raise PeerError(413, f"The request's content is larger than {limit} bytes.")
        if self._chunked_bytes - decoded > _FRAMING_ALLOWANCE + _FRAMING_RATIO * decoded:
            raise PeerError(400, "The request's chunks carry far more framing than content.")

    def take_body(self) -> list[bytes]:
        """Hand over the content collected so far."""
        pieces = self.body[:]
        self.body.clear()
        self._decoded += sum(map(len, pieces))
        return pieces

    # What follows is called by the parser, in the order of the wire.

    def on_url(self, piece: bytes) -> None:
        if self._fields is None:
            if self.complete:
                raise PeerError(400, "A request began before the one ahead of it had ended.")
            self._fields = self._prototype.copy()
            self._repeated = 0
            self._target = piece
        else:
            self._target += piece
        if len(self._target) > self._limits.request_target:
            raise PeerError(414, f"The request target is longer than {self._limits.request_target} bytes.")

    def on_header(self, name: bytes, value: bytes) -> None:
        fields = self._fields
        if fields is None:
            return  # a trailer (RFC 9110 6.5): it never joins the fields of the head
        key = KEYS.get(name) or environ_key(name)
        if key in fields:
            self._repeated += 1
            if key == "HTTP_HOST":
                raise PeerError(400, "The request has more than one Host field.")
            fields[key] = joined(key, fields[key], value.decode("latin-1"))
        elif key is DROPPED or not key:
            self._repeated += 1
        else:
            fields[key] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        fields = self._fields
        if fields is None:
            raise InternalError("The parser ended a head that it had not begun.")
        self._fields = None
        parser = self._parser
        wire_method = parser.get_method()
        method = _METHODS.get(wire_method)
        if method is None:
            method = _METHODS[wire_method] = wire_method.decode("latin-1")
        version = parser.get_http_version()
        request = Request(method, self._target, version, fields, parser.should_keep_alive())
        self._check_head(request, fields)
        self.request = request

    def on_message_complete(self) -> None:
        self.complete = True

    def _check_head(self, request: Request, fields: dict[str, Any]) -> None:
        limits = self._limits
        if len(fields) - self._base_size + self._repeated > limits.header_count:
            raise PeerError(431, f"The request has more than {limits.header_count} header fields.")
        version = request.version
        if version != "1.1" and version != "1.0":
            raise PeerError(505, f"HTTP/{version} is not spoken here; HTTP/1.1 and HTTP/1.0 are.")
        host = fields.get("HTTP_HOST")
        if host is None:
            if version == "1.1":
                raise PeerError(400, "The request has no Host field.")
        elif host != self._host:
            if not is_host(host):
                raise PeerError(400, "The Host field is not a host name with an optional port.")
            self._host = host
        target = request.target
        if target[0] != _SLASH or b"#" in target:
            self._check_target(request, fields)
        if "CONTENT_LENGTH" in fields or "HTTP_TRANSFER_ENCODING" in fields or "HTTP_EXPECT" in fields:
            self._check_content(request, fields)

    def _check_target(self, request: Request, fields: dict[str, Any]) -> None:
        if request.method == "CONNECT":
            raise PeerError(501, "CONNECT is not implemented: this is not a proxy.")
        request.path, request.query, authority = split_target(request.method, request.target)
        if authority is not None:
            fields["HTTP_HOST"] = authority  # RFC 9112 3.2.2: the target's host replaces the field's

    def _check_content(self, request: Request, fields: dict[str, Any]) -> None:
        """Decide how content is framed (RFC 9112 6.3) and refuse what could be read in two ways."""
        coding = fields.pop("HTTP_TRANSFER_ENCODING", None)
        if coding is not None:
            self._check_coding(request, coding)
        length = fields.get("CONTENT_LENGTH")
        if length is not None:
            request.content_length = int(length)
            limit = self._limits.body_bytes
            if limit and request.content_length > limit:
                raise PeerError(413, f"The request's content is larger than {limit} bytes.")
        expectation = fields.get("HTTP_EXPECT")
        if expectation is not None and request.version == "1.1":
            if expectation.lower() != "100-continue":
                raise PeerError(417, "The only expectation met here is 100-continue.")
            request.expects_continue = request.chunked or bool(request.content_length)

    def _check_coding(self, request: Request, coding: str) -> None:
        if request.version != "1.1":
            raise PeerError(400, "Transfer-Encoding does not exist in HTTP/1.0.")
        if coding.strip().lower() != "chunked":
            raise PeerError(501, "The only transfer coding understood is chunked.")
        request.chunked = True
        self._chunked_bytes = 0
        self._decoded = 0


class _ContentOnly:
    """What a parser calls that reads the content of a message whose head has been read already."""

    __slots__ = ("on_body", "on_message_complete")

    def __init__(self, engine: Engine) -> None:
        self.on_body = engine.on_body
        self.on_message_complete = engine._content_ended


def _peer_error(error: HttpParserError, in_content: bool) -> PeerError:
    """Say in our words, with a status, what the parser refused."""
    cause = error.__context__
    if isinstance(cause, PeerError):
        return cause
    if isinstance(error, HttpParserInvalidMethodError):
        return PeerError(501, "The request method is not known.")
    text = str(error)
    if text in _VERSION_REFUSALS:
        return PeerError(505, "The request names an HTTP version that is not spoken here.")
    return PeerError(400, f"The request is not valid HTTP ({'content' if in_content else 'head'}: {text.rstrip('.')}).")
