"""Content of a known length is kept as it came; the parser only counts it. Nobody may see a difference."""

from __future__ import annotations

import pytest

from pastepool.http1.engine import Engine
from pastepool.http1.limits import Limits
from tests.http1.feeding import Outcome, cut_at, dribbled, outcome

NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
HEADS = {
    "usual": b"POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n",
    "unknown method": b"MINGLE /first HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n",
    "upgrade": b"POST /first HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n",
    "kept 1.0": b"POST /first HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: %d\r\n",
    "awaited": b"POST /first HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n",
    "closing": b"POST /first HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n",
}
HEAD_IN_CONTENT = b"\r\n\r\nPOST /smuggled HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n0\r\n\r\n"


def content(size: int) -> bytes:
    """Content full of what a parser would take for a request, or for the end of one."""
    return (HEAD_IN_CONTENT * (size // len(HEAD_IN_CONTENT) + 1))[:size]


def deliveries(data: bytes, head: int) -> list[list[bytes]]:
    """The data whole, and cut at each place that matters, in the middle and into many pieces."""
    end = len(data) - len(NEXT)
    places = (1, head - 2, head, head + 1, head + 9000, end - 1, end, end + 1, end + 20)
    return [[data], *(cut_at(data, [place]) for place in places), cut_at(data, places), dribbled(data, 4096)]


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("size", [1, 2, 100, 16_384, 100_000])
def test_it_is_the_same_however_it_is_cut(kind: str, size: int) -> None:
    """The request behind it is the next one, and nothing within it is a request."""
    head = HEADS[kind] % size + b"\r\n"
    data = head + content(size) + NEXT
    for pieces in deliveries(data, len(head)):
        seen = outcome(pieces)
        first = seen.requests[0]
        assert (first.path, first.content) == (b"/first", content(size))
        if kind == "closing":
            assert (len(seen.requests), seen.unread) == (1, NEXT)
        else:
            assert [request.path for request in seen.requests] == [b"/first", b"/next"]
            assert (seen.refused, seen.pending) == (None, False)


def test_two_in_a_row_and_a_fault_behind_them() -> None:
    """The parser has counted right: it reads the next head, and refuses what is none."""
    one = HEADS["usual"] % 50_000 + b"\r\n" + content(50_000)
    for pieces in ([one + one + b"nonsense\r\n\r\n"], dribbled(one + one + b"nonsense\r\n\r\n", 1000)):
        seen: Outcome = outcome(pieces)
        assert [len(request.content) for request in seen.requests] == [50_000, 50_000]
        assert seen.refused is not None and seen.refused[0] == 400


def test_one_byte_less_is_not_the_end() -> None:
    """It waits for the byte, says how many are left, and gives what it has."""
    engine = Engine(Limits(), {})
    engine.feed(HEADS["usual"] % 20_000 + b"\r\n" + content(19_999))
    assert (engine.complete, engine.remaining, engine.has_content) == (False, 1, True)
    assert engine.take_body() == content(19_999)
    assert not engine.has_content
    engine.feed(b"!?")
    assert (engine.complete, engine.remaining, engine.take_body(), engine.rest) == (True, 0, b"!", b"?")
    engine.close()


def test_what_comes_in_one_piece_is_not_copied() -> None:
    """A piece of content that is the whole delivery is handed on as it is: uploads cost no copy here."""
    engine = Engine(Limits(), {})
    engine.feed(HEADS["usual"] % 60_000 + b"\r\n")
    piece = content(60_000)
    engine.feed(piece)
    assert engine.take_body() is piece
    engine.close()
