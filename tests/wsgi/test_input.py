"""wsgi.input ends where the content ends, however it is read, and whatever comes behind it on the connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pastepool.testing import converse

CONTENT = b"one\ntwo\n\nfour"
BEHIND = b"GET /behind HTTP/1.1\r\nHost: a\r\n\r\n"
KNOWN = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(CONTENT), CONTENT)
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\none\nt\r\n8\r\nwo\n\nfour\r\n0\r\n\r\n"

Read = Callable[[Any], object]

WAYS: dict[str, tuple[Read, object]] = {
    "read": (lambda stream: stream.read(), CONTENT),
    "read minus one": (lambda stream: stream.read(-1), CONTENT),
    "read some": (lambda stream: [stream.read(5), stream.read(5)], [CONTENT[:5], CONTENT[5:10]]),
    "read none": (lambda stream: stream.read(0), b""),
    "read beyond": (lambda stream: [stream.read(1000), stream.read(1000), stream.read()], [CONTENT, b"", b""]),
    "readline": (
        lambda stream: [stream.readline() for _ in range(6)],
        [b"one\n", b"two\n", b"\n", b"four", b"", b""],
    ),
    "readline with a size": (lambda stream: [stream.readline(2), stream.readline(9)], [b"on", b"e\n"]),
    "readlines": (lambda stream: stream.readlines(), [b"one\n", b"two\n", b"\n", b"four"]),
    "readlines with a hint": (lambda stream: stream.readlines(5), [b"one\n", b"two\n"]),
    "iteration": (list, [b"one\n", b"two\n", b"\n", b"four"]),
    "next": (lambda stream: next(iter(stream)), b"one\n"),
}


def reading(read: Read, seen: list[object]) -> Any:
    """An application that reads the content of POST in the given way and tells nobody but the test."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        seen.append(read(environ["wsgi.input"]) if environ["REQUEST_METHOD"] == "POST" else environ["PATH_INFO"])
        start_response("200 OK", [])
        return []

    return application


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("request_data", [KNOWN, CHUNKED], ids=["known length", "chunked"])
@pytest.mark.parametrize("dribble", [0, 1])
def test_input_is_bounded(way: str, request_data: bytes, dribble: int) -> None:
    """Every way to read stops at the end of the content, and what was not read disturbs no later request."""
    read, expected = WAYS[way]
    seen: list[object] = []
    converse(reading(read, seen), request_data + BEHIND, dribble=dribble)
    assert seen == [expected, "/behind"]


@pytest.mark.parametrize("way", ["read", "read minus one", "readline", "readlines", "iteration", "read beyond"])
def test_input_without_content_is_at_its_end(way: str) -> None:
    """A request without content reads as nothing, at once, in every way."""
    seen: list[object] = []
    converse(reading(WAYS[way][0], seen), b"POST / HTTP/1.1\r\nHost: a\r\n\r\n" + BEHIND)
    assert seen[1] == "/behind"
    assert not b"".join(seen[0]) if isinstance(seen[0], list) else seen[0] == b""


def test_content_that_is_not_read_is_not_the_next_request() -> None:
    """An application that ignores an upload that looks like a request has not opened a way in."""
    evil = b"GET /evil HTTP/1.1\r\nHost: a\r\n\r\n"
    seen: list[object] = []
    upload = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(evil), evil)
    converse(reading(lambda stream: None, seen), upload + BEHIND)
    assert seen == [None, "/behind"]
