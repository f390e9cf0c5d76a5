"""
Turn response parts into bytes: status line, fields, framing, chunks (RFC 9112 4, 5, 6, 7.1).

Raises ``AppError`` for anything an application must not send (PEP 3333, RFC 9110 5.5 and 7.6.1). Knows no socket and no
time: the caller renders the fields Date and Server.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pastepool._fast import fast
from pastepool.errors import AppError

if TYPE_CHECKING:
    from pastepool.http1.request import Request

_CACHE_LIMIT = 1024
"""
How many status lines and how many field names are cached. Applications choose them; most use a few dozen. Beyond the
limit no more are cached.
"""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_STATUS = re.compile(r"([1-9][0-9][0-9])(?: ([^\x00-\x08\x0a-\x1f\x7f]*))?")

PLAIN, CONTENT_LENGTH, DATE, SERVER, HOP_BY_HOP = range(5)

_SPECIAL = {
    "content-length": CONTENT_LENGTH,
    "date": DATE,
    "server": SERVER,
    "connection": HOP_BY_HOP,
    "keep-alive": HOP_BY_HOP,
    "proxy-connection": HOP_BY_HOP,
    "te": HOP_BY_HOP,
    "trailer": HOP_BY_HOP,
    "transfer-encoding": HOP_BY_HOP,
    "upgrade": HOP_BY_HOP,
}

_KINDS: dict[str, int] = {}
_STATUS_LINES: dict[str, tuple[int, bytes, int]] = {}

LAST_CHUNK = b"0\r\n\r\n"

NO_CONTENT = frozenset({204, 304})
"""
Statuses whose responses have no content, even if the application returns some (RFC 9110 6.4.1). Statuses 1xx are
refused.
"""


WITH_DATE, WITH_SERVER, BARE = 1, 2, 4
"""
What is not usual about a head, as bits: the application has written a Date, or a Server; the status has no content
(``NO_CONTENT``).
"""

Head = tuple[int, bytes, bytes, int | None, int]
"""
The arguments of ``start_response``, checked and rendered: the code; the status line; the fields, each with its line
break; the Content-Length, None if the application named none; the bits of what is not usual about it.

It is a plain tuple, because a named one takes the interpreter longer to make and to unpack.
"""

_colon_joined = ": ".join
"""Renders a pair of name and value as one line. Raises TypeError if one of them is not text."""


def _any_head(status: str, headers: list[tuple[str, str]]) -> Head:
    """
    Check the status and the headers of an application's response, and render them.

    Raises: AppError for anything that PEP 3333 or RFC 9110 forbids; the message names the field and the value. The
    application's fault.
    """
    known = _STATUS_LINES.get(status) if type(status) is str else None
    code, status_line, unusual = known or _render_status(status)
    content_length = None
    lines: list[str] = []
    known_kind = _KINDS.get
    try:
        for pair in headers:
            name, value = pair
            kind = known_kind(name)
            if kind is None:
                kind = _learn(name)
            if kind:
                if kind == CONTENT_LENGTH:
                    if content_length is None and value.isdecimal() and value.isascii():
                        content_length = int(value)
                    else:
                        content_length = _length(value, content_length)
                    continue
                if kind == DATE:
                    unusual |= WITH_DATE
                elif kind == SERVER:
                    unusual |= WITH_SERVER
                else:
                    raise AppError(f"Response field {name!r} is hop-by-hop: framing belongs to the server (PEP 3333).")
            lines.append(_colon_joined(pair))
    except (TypeError, ValueError, AttributeError) as error:
        raise AppError(f"Response headers must be a list of (str, str), not {headers!r:.200}: {error}.") from error
    if "" in lines:  # an iterator instead of a tuple is used up by now; an empty line ends the head
        raise AppError(f"Response headers must be a list of (str, str) tuples, not {headers!r:.200}.")
    lines.append("")
    block = "\r\n".join(lines)
    # The whole block is checked at once and not each value: a line break in a value changes these counts.
    breaks = len(lines) - 1
    if block.count("\n") != breaks or block.count("\r") != breaks or "\x00" in block:
        raise _control_character(headers)
    try:
        fields = block.encode("latin-1")
    except UnicodeEncodeError as error:
        raise AppError(f"Response headers must be latin-1 text (PEP 3333): {error}.") from error
    return code, status_line, fields, content_length, unusual


render_head = fast.head_renderer(_STATUS_LINES, _KINDS, _any_head)


def _learn(name: Any) -> int:
    if type(name) is not str or not _TOKEN.fullmatch(name):
        raise AppError(f"Response field name {name!r:.200} is not a token of type str (RFC 9110 5.1).")
    kind = _SPECIAL.get(name.lower(), PLAIN)
    if len(_KINDS) < _CACHE_LIMIT:
        _KINDS[name] = kind
    return kind


def _length(value: str, before: int | None) -> int:
    if not (value.isascii() and value.isdecimal()):
        raise AppError(f"Response field Content-Length is {value!r:.80}: it must be a number of bytes.")
    length = int(value)
    if before is not None and before != length:
        raise AppError(f"Response field Content-Length is given twice, as {before} and as {length}.")
    return length


def _render_status(status: Any) -> tuple[int, bytes, int]:
    if type(status) is not str:
        raise AppError(f"Response status {status!r:.200} is of type {type(status).__name__}, not str (PEP 3333).")
    match = _STATUS.fullmatch(status)
    if match is None:
        raise AppError(f"Response status {status!r:.200} is not of the form '200 OK' (PEP 3333).")
    code = int(match[1])
    if code < 200:
        raise AppError(f"Response status {status!r} is interim: an application answers with a final one (200 to 999).")
    try:
        line = b"HTTP/1.1 %d %s\r\n" % (code, (match[2] or "").encode("latin-1"))
    except UnicodeEncodeError as error:
        raise AppError(f"Response status {status!r} is not latin-1 text (PEP 3333).") from error
    rendered = code, line, BARE if code in NO_CONTENT else 0
    if len(_STATUS_LINES) < _CACHE_LIMIT:
        _STATUS_LINES[status] = rendered
    return rendered


def _control_character(headers: list[tuple[str, str]]) -> AppError:
    for name, value in headers:
        if any(character in value for character in "\r\n\x00"):
            return AppError(f"Response field {name!r} has a line break or NUL in its value {value!r:.200}.")
    return AppError("Response headers changed while they were read.")


def chunk(data: bytes) -> bytes:
    """Frame one piece of content (RFC 9112 7.1). ``data`` must not be empty: an empty chunk ends the message."""
    return b"%x\r\n%b\r\n" % (len(data), data)


_REASONS = {
    400: b"Bad Request",
    403: b"Forbidden",
    404: b"Not Found",
    408: b"Request Timeout",
    413: b"Content Too Large",
    414: b"URI Too Long",
    417: b"Expectation Failed",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
    505: b"HTTP Version Not Supported",
    507: b"Insufficient Storage",
}


def short_answer(
    status: int, text: str, stamp: bytes, *, retry_after: int = 0, head_only: bool = False, kept_by: str = ""
) -> bytes:
    """
    Return a whole response of the server itself: a short text.

    ``stamp``: the rendered Date and Server fields. ``retry_after``: seconds, 0 for none. ``kept_by``: the version of the
    request if the connection stays open after this response; empty if it closes.
    """
    body = text.encode("utf-8", "replace") + b"\n"
    retry = b"Retry-After: %d\r\n" % retry_after if retry_after else b""
    fields = b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n%b" % (len(body), _persistence(kept_by))
    head = b"HTTP/1.1 %d %b\r\n%b%b%b\r\n" % (status, _REASONS[status], stamp, retry, fields)
    return head if head_only else head + body


def _persistence(kept_by: str) -> bytes:
    """Return the Connection field of a response; empty if it needs none. ``kept_by``: see ``short_answer``."""
    if not kept_by:
        return b"Connection: close\r\n"
    return b"" if kept_by == "1.1" else b"Connection: keep-alive\r\n"


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def healthy_answer(stamp: bytes, keep_alive: bool, request: Request, text: bytes = b"ok\n") -> bytes:
    """Return the response for ``health_path`` while the server takes requests."""
    connection = _persistence(request.version if keep_alive else "")
    fields = b"Content-Type: text/plain\r\nCache-Control: no-store\r\nContent-Length: %d\r\n" % len(text)
    content = b"" if request.method == "HEAD" else text
    return b"HTTP/1.1 200 OK\r\n%b%b%b\r\n%b" % (stamp, fields, connection, content)
