"""
The hostile inputs, and the honest ones that they are compared with.

A client that sends content or fields is judged by CPU time per byte, and compared with an honest upload. Some costs do
not come with bytes: an honest request of 40 bytes costs as much as an upload of 20,000, and an honest client that sends
one byte in each packet costs the kernel more than the server. So an input whose cost comes with requests, connections
or packets is compared with an honest client that sends as many of them.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

KIB = 1024
WHOLE = 64 * KIB
"""As many bytes as the head of a request may have by default. Also the size of an honest upload."""

CHUNKED = b"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
HEAD = b"GET /hello HTTP/1.1\r\nHost: a\r\n"
SMALLEST = HEAD + b"\r\n"
LAST = HEAD + b"Connection: close\r\n\r\n"
"""A request after which the server closes the connection."""


class Unit(enum.Enum):
    """What an input is divided by, and which honest input it is compared with."""

    BYTE = "byte"
    REQUEST = "request"
    CONNECTION = "connection"
    PACKET = "packet"


@dataclass(frozen=True)
class Input:
    """
    What one client sends on each of its connections.

    ``make``: makes the bytes of one connection. ``units``: how many requests these are; other units are counted by the
    sender. ``piece``: the bytes of one packet. ``connections``: how many are made for one measurement. ``ends``: the
    server ends the connection after the last request; otherwise the client does. ``logged``: the server writes an
    access log. ``holds``: its memory is measured too, if it is an unfinished request (without ``ends``).
    """

    name: str
    title: str
    make: Callable[[], bytes]
    unit: Unit = Unit.BYTE
    units: int = 1
    piece: int = 4 * WHOLE
    connections: int = 1
    ends: bool = False
    logged: bool = False
    holds: bool = True


def fill(unit: bytes, size: int = WHOLE) -> bytes:
    """Repeat some bytes up to a size."""
    return unit * (size // len(unit))


def _content(head: bytes, unit: bytes, size: int = 400 * KIB) -> Callable[[], bytes]:
    return lambda: head + fill(unit, size)


def _announced(length: int) -> bytes:
    return b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % length


def _one_chunk(unit: bytes) -> Callable[[], bytes]:
    return _content(CHUNKED + b"100000\r\n", unit)


def _head(before: bytes, unit: bytes) -> Callable[[], bytes]:
    return lambda: before + fill(unit, WHOLE - KIB)


def _distinct_fields() -> bytes:
    return HEAD + b"".join(b"%x:\r\n" % number for number in range(8000))


def _requests(one: bytes, count: int) -> Callable[[], bytes]:
    return lambda: one * (count - 1) + LAST


def _with(field: bytes) -> Callable[[], bytes]:
    return lambda: HEAD + field + b"\r\nConnection: close\r\n\r\n"


def _targets(target: bytes) -> Callable[[], bytes]:
    return _requests(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n", 20)


def _behind_content() -> bytes:
    """Content and, in the same read, thousands of requests."""
    return CHUNKED + b"1\r\nx\r\n" + b"0\r\n\r\n" + SMALLEST * 4000 + LAST


HONEST: tuple[Input, ...] = (
    Input("upload", "64 KiB posted", lambda: (_announced(WHOLE) + fill(b"x")) * 40 + LAST, ends=True, holds=False),
    Input("request", "the smallest request", _requests(SMALLEST, 400), Unit.REQUEST, 400, len(SMALLEST), ends=True),
    Input("connection", "one request on a new connection", lambda: LAST, Unit.CONNECTION, connections=200, ends=True),
    Input("packet", "an upload, one byte a packet", _content(_announced(WHOLE), b"x", 4000), Unit.PACKET, piece=1),
    Input("held upload", "an upload that stops", _content(_announced(1024 * KIB), b"x")),
)
"""The honest input of each unit comes first in the table with that unit. The last one is for memory alone."""

_OF_BYTES = (
    Input("blank-lines-in-chunk", "a chunk of blank lines", _one_chunk(b"\r\n\r\n")),
    Input("false-ends-in-chunk", "a chunk of what looks like last chunks", _one_chunk(b"\r\n0\r\n\r\n")),
    Input("false-trailers-in-chunk", "a chunk of what looks like trailers", _one_chunk(b"\r\n0\r\na:b\r\n\r\n")),
    Input("zeros-in-chunk", "a chunk of lines of 0", _one_chunk(b"\n0\r\n")),
    Input("blank-lines-as-chunks", "chunks of a line break each", _content(CHUNKED, b"2\r\n\r\n\r\n")),
    Input("one-byte-chunks", "chunks of one byte", _content(CHUNKED, b"1\r\nx\r\n")),
    Input("two-byte-chunks", "chunks of two bytes", _content(CHUNKED, b"2\r\nxx\r\n")),
    Input("sixteen-byte-chunks", "chunks of sixteen bytes", _content(CHUNKED, b"10\r\n" + b"x" * 16 + b"\r\n")),
    Input("extended-chunks", "chunks with an extension", _content(CHUNKED, b'1;a="b"\r\nx\r\n')),
    Input("kib-with-blanks", "chunks of 1 KiB with blanks around an extension",
          _content(CHUNKED, b"400 ;a\r\n" + b"x" * KIB + b"\r\n")),
    Input("chunks-of-128", "chunks of 128 bytes", _content(CHUNKED, b"80\r\n" + b"x" * 128 + b"\r\n")),
    Input("zeros-before-size", "chunk sizes with zeros before them", _content(CHUNKED, b"0000000001\r\nx\r\n")),
    Input("endless-extension", "an extension without end", _content(CHUNKED + b"1;", b"e")),
    Input("endless-size", "a chunk size without end", _content(CHUNKED, b"0")),
    Input("short-trailers", "short trailer fields", _content(CHUNKED + b"0\r\n", b"a:\r\n", WHOLE)),
    Input("long-trailer", "a trailer field without end", _content(CHUNKED + b"0\r\na:", b"x", WHOLE)),
    Input("upgrade-of-blank-lines", "the same blank lines after an Upgrade",
          _content(CHUNKED[:-2] + b"Connection: upgrade\r\nUpgrade: x\r\n\r\n100000\r\n", b"\r\n\r\n")),
    Input("blank-lines-as-content", "content of blank lines", _content(_announced(1024 * KIB), b"\r\n\r\n")),
    Input("blank-lines-ahead", "blank lines before a request", _head(b"", b"\r\n")),
    Input("blank-lines-between", "blank lines between two requests", _head(SMALLEST, b"\r\n")),
    Input("short-fields", "fields of four bytes", _head(HEAD, b"a:\r\n")),
    Input("distinct-fields", "fields with different names", _distinct_fields),
    Input("repeated-cookie", "the same field again and again", _head(HEAD, b"Cookie: a=b\r\n")),
    Input("dropped-fields", "fields that are dropped", _head(HEAD, b"a_:\r\n")),
    Input("long-field", "one field without end", _head(HEAD + b"a:", b"x")),
    Input("long-name", "a field name without end", _head(HEAD, b"x")),
    Input("long-target", "a target without end", _head(b"GET /", b"x")),
    Input("long-method", "a method without end", _head(b"", b"X")),
    Input("long-host", "a long Host", lambda: LAST.replace(b": a", b": " + fill(b"a.", 60 * KIB)), ends=True, holds=False),
    Input("referer-of-pairs", "a Referer of pairs, logged", _with(b"Referer: /?" + fill(b"&", 60 * KIB)),
          connections=4, ends=True, logged=True, holds=False),
    Input("referer-of-slashes", "a Referer of slashes, logged", _with(b"Referer: " + fill(b"/", 60 * KIB)),
          connections=4, ends=True, logged=True, holds=False),
    Input("referer-of-parameters", "a Referer of path parameters, logged", _with(b"Referer: /" + fill(b";a=b", 60 * KIB)),
          connections=4, ends=True, logged=True, holds=False),
    Input("agent-of-quotes", "a User-Agent of quotation marks, logged", _with(b"User-Agent: " + fill(b'"\\', 60 * KIB)),
          connections=4, ends=True, logged=True, holds=False),
)  # fmt: skip

_OF_REQUESTS = (
    Input("pipelined", "requests in one packet", _requests(SMALLEST, 400), Unit.REQUEST, 400, ends=True),
    Input("pipelined-behind-content", "4,000 requests behind content", _behind_content, Unit.REQUEST, 4002, ends=True),
    Input("upgrades", "requests that ask for an upgrade",
          _requests(HEAD + b"Connection: upgrade\r\nUpgrade: x\r\n\r\n", 400), Unit.REQUEST, 400, ends=True),
    Input("unknown-methods", "requests with a method that the parser does not know",
          _requests(SMALLEST.replace(b"GET", b"FOO"), 400), Unit.REQUEST, 400, ends=True),
    Input("expects", "content of one byte with 100-continue",
          _requests(_announced(1).replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n") + b"x", 400),
          Unit.REQUEST, 400, ends=True),
    Input("asterisks", "OPTIONS *", _requests(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400), Unit.REQUEST, 400, ends=True),
    Input("blanks-in-extensions", "chunks of one byte with blanks around an extension",
          _requests(CHUNKED + b'1 ; a = "b"\r\nx\r\n' * 16 + b"0\r\n\r\n", 100), Unit.REQUEST, 100, ends=True),
    Input("list-of-extensions", "a chunk with a list of extensions",
          _requests(CHUNKED + b"1" + b" ;a" * 682 + b"\r\nx\r\n0\r\n\r\n", 100), Unit.REQUEST, 100, ends=True),
    Input("hundred-chunks", "a hundred chunks of one byte", _requests(CHUNKED + b"1\r\nx\r\n" * 100 + b"0\r\n\r\n", 100),
          Unit.REQUEST, 100, ends=True),
    Input("hundred-fields", "requests with 98 short fields",
          _requests(HEAD + b"".join(b"%x:\r\n" % n for n in range(98)) + b"\r\n", 100), Unit.REQUEST, 100, ends=True),
    Input("target-of-escapes", "a target of percent-escapes", _targets(b"/" + fill(b"%41", 8000)),
          Unit.REQUEST, 20, ends=True),
    Input("target-of-broken-escapes", "a target of broken escapes", _targets(b"/" + fill(b"%", 8000)),
          Unit.REQUEST, 20, ends=True),
    Input("target-of-mixed-escapes", "a target of escapes between backslashes and equals signs",
          _targets(b"/%" + fill(b"%41=\\", 8000)), Unit.REQUEST, 20, ends=True),
    Input("target-of-backslashes", "a target of backslashes behind 17 escapes",
          _targets(b"/" + b"%41" * 17 + fill(b"\\", 7900)), Unit.REQUEST, 20, ends=True),
    Input("target-of-pairs", "a target of pairs, logged", _targets(b"/?" + fill(b"&", 8000)),
          Unit.REQUEST, 20, ends=True, logged=True),
    Input("target-of-segments", "a target of path segments, logged", _targets(fill(b"/a", 8000)),
          Unit.REQUEST, 20, ends=True, logged=True),
    Input("target-of-parameters", "a target of path parameters, logged", _targets(b"/" + fill(b";a=b", 8000)),
          Unit.REQUEST, 20, ends=True, logged=True),
)  # fmt: skip

_OF_CONNECTIONS = tuple(
    Input(name, title, lambda data=data: data, Unit.CONNECTION, connections=200, holds=holds)  # type: ignore[misc]
    for name, title, data, holds in (
        ("silent", "connects and says nothing", b"", True),
        ("half-head", "half a head", HEAD, True),
        ("half-content", "half of its content", _announced(10) + b"x", True),
        ("tls", "speaks TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), False),
        ("no-host", "breaks HTTP", b"GET / HTTP/1.1\r\n\r\n", False),
        ("no-method", "a method that is no token", b"X{Z / HTTP/1.1\r\nHost: a\r\n\r\n", False),
    )
)

_OF_PACKETS = (
    Input("dribbled-head", "a long field, one byte a packet", _content(HEAD + b"a:", b"x", 4000), Unit.PACKET, piece=1),
    Input("dribbled-blank-lines", "blank lines in a chunk, one byte a packet",
          _content(CHUNKED + b"100000\r\n", b"\r\n\r\n", 4000), Unit.PACKET, piece=1),
    Input("dribbled-chunks", "chunks of one byte, one byte a packet", _content(CHUNKED, b"1\r\nx\r\n", 4000),
          Unit.PACKET, piece=1),
    Input("dribbled-trailer", "a trailer, one byte a packet", _content(CHUNKED + b"0\r\na:", b"x", 4000),
          Unit.PACKET, piece=1),
)  # fmt: skip

HOSTILE: tuple[Input, ...] = _OF_BYTES + _OF_REQUESTS + _OF_CONNECTIONS + _OF_PACKETS
