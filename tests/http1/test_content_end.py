"""Where chunked content may end: every true end is found, and wrong guesses have a limit."""

from __future__ import annotations

import pytest

from pastepool.http1.content_end import ContentEnd
from pastepool.http1.engine import Engine
from pastepool.http1.limits import Limits
from tests.http1.feeding import Outcome, cut_at, dribbled, outcome, whole

CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
UPGRADE = CHUNKED[:-2] + b"Connection: upgrade\r\nUpgrade: x\r\n\r\n"
BEHIND = b"GET /behind HTTP/1.1\r\nHost: a\r\n\r\n"
FALSE_END = b"\r\n0\r\n\r\n"


def chunk(content: bytes) -> bytes:
    """One chunk."""
    return b"%x\r\n%b\r\n" % (len(content), content)


ENDS = [
    b"0\r\n\r\n",
    b"000\r\n\r\n",
    b"0;a=b\r\n\r\n",
    b'0;a="0"\r\n\r\n',
    b"0\r\na:b\r\n\r\n",
    b"0\r\na:0\r\nb:\r\n\r\n",
    chunk(b"x") + b"0\r\n\r\n",
    chunk(b"\r\n\r\n") + b"0\r\n\r\n",
    chunk(FALSE_END) + b"0\r\n\r\n",
    chunk(b"\n0") + b"0\r\n\r\n",
    chunk(b"\n0\n0\n0") + b"0\r\n0:0\r\n\r\n",
    b"00001\r\nx\r\n0\r\n\r\n",
]


@pytest.mark.parametrize("content", ENDS)
def test_end_is_found_however_it_arrives(content: bytes) -> None:
    """A guess is made exactly at the true end, so that the request behind it is served; whole, cut anywhere, dribbled."""
    data = CHUNKED + content + BEHIND
    expected = outcome(whole(data))
    assert [seen.path for seen in expected.requests] == [b"/", b"/behind"]
    assert expected.refused is None
    for place in range(len(data)):
        assert outcome(cut_at(data, [place])) == expected
    assert outcome(dribbled(data)) == expected


def guesses(*pieces: bytes) -> list[int]:
    """The positions up to which each piece may be fed."""
    end = ContentEnd()
    found = []
    for piece in pieces:
        begin = 0
        while begin < len(piece):
            until = end.until(piece, begin, len(piece))
            found.append(until)
            end.went_on(piece[begin:until], until - begin)
            begin = until
    return found


def test_blank_line_is_a_guess_only_behind_a_line_that_begins_with_0() -> None:
    """Blank lines alone are no end; one that comes in two pieces is."""
    assert guesses(b"5\r\n\r\n\r\n\r\n\r\n") == [11]
    assert guesses(b"x\n0 foo\r\n\r\nbar") == [11, 14]
    assert guesses(b"x\r\n0\r\n\r", b"\nmore") == [7, 1, 5]
    assert guesses(b"x\r\n", b"0\r\n\r\n") == [3, 5]


def test_wrong_guesses_have_a_limit_that_grows_with_the_content() -> None:
    """Eight at first, then one for each 4,096 bytes."""
    many = guesses(FALSE_END * 10000)
    assert len(many) == 9
    assert many[-1] == 70000
    later = guesses(FALSE_END * 10000, FALSE_END * 10000)
    assert len(later) == 9 + 70000 // 4096 + 1


PAST_GUESSING = chunk(FALSE_END * 100)


@pytest.mark.parametrize("head", [CHUNKED, UPGRADE])
@pytest.mark.parametrize(
    "behind",
    [BEHIND, BEHIND[:1], b"\r\n" + BEHIND[:2], CHUNKED + chunk(b"evil") + b"0\r\n\r\n", b"nonsense\r\n\r\n", b"\x00"],
)
def test_missed_end_ends_the_connection_with_its_request(head: bytes, behind: bytes) -> None:
    """Beyond the limit a request is served whole, nothing that came with its end is, and the connection is not kept."""
    data = head + PAST_GUESSING + b"0\r\n\r\n"
    seen = outcome(whole(data + behind))
    assert [(request.content, request.keep_alive) for request in seen.requests] == [(FALSE_END * 100, False)]
    assert seen.refused is None
    assert seen.unread


@pytest.mark.parametrize("head", [CHUNKED, UPGRADE])
def test_end_that_nothing_follows_cannot_be_missed(head: bytes) -> None:
    """Beyond the limit a client that waits for its response keeps its connection."""
    data = head + PAST_GUESSING + b"0\r\n\r\n"
    seen = outcome([data, BEHIND])
    assert [request.path for request in seen.requests] == [b"/", b"/behind"]
    assert seen == Outcome(seen.requests, None, b"", False)


def test_missed_end_does_not_say_that_the_request_is_plain() -> None:
    """The fast way of ``Call`` is for plain requests, and it would keep the connection open."""
    engine = Engine(Limits(), {})
    engine.feed(CHUNKED + PAST_GUESSING + b"0\r\n\r\n" + BEHIND)
    assert engine.complete
    assert engine.request is not None
    assert (engine.request.plain, engine.request.keep_alive) == (False, False)
    assert engine.rest
