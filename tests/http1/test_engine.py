"""One connection's engine: one request at a time, content, upgrades, faults that are nobody's but ours."""

from __future__ import annotations

import gc
import weakref

import pytest

from pastepool.errors import InternalError, PeerError
from pastepool.http1.engine import Engine
from pastepool.http1.limits import Limits
from pastepool.http1.request import Request
from tests.http1.feeding import dribbled, only_request, outcome, refusal, whole

GET = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def fresh(**prototype: object) -> Engine[Request]:
    """An engine with the default limits."""
    return Engine(Limits(), prototype)


def test_sixteen_requests_in_one_packet_come_out_in_order() -> None:
    """Pipelined requests come out one after the other, and nothing is left."""
    engine = fresh()
    engine.feed(b"".join(GET % number for number in range(16)))
    targets = []
    while engine.complete:
        targets.append(engine.next_request().target)
        engine.feed(b"")
    assert targets == [b"/%d" % number for number in range(16)]
    assert not engine.started


@pytest.mark.parametrize(
    "first",
    [
        GET % 0,
        POST + b"Content-Length: 3\r\n\r\nabc",
        CHUNKED + b"3\r\nabc\r\n0\r\n\r\n",
        POST + b"Upgrade: x\r\nConnection: upgrade\r\n\r\n",
        POST + b"Upgrade: x\r\nConnection: upgrade\r\nContent-Length: 3\r\n\r\nabc",
    ],
)
def test_nothing_is_parsed_beyond_one_message(first: bytes) -> None:
    """While a complete request waits, all bytes behind it wait too, however many come."""
    engine = fresh()
    behind = b"".join(GET % number for number in range(3))
    engine.feed(first + behind)
    assert engine.complete
    assert engine.rest == behind
    engine.feed(b"nonsense")
    assert engine.rest == behind + b"nonsense"
    assert engine.started
    assert b"GET" not in engine.take_body()


@pytest.mark.parametrize("place", [1, 10, 26, 27])
def test_bytes_that_wait_come_before_new_ones(place: int) -> None:
    """What waits behind a served request is read first, though what comes now may look like a whole head."""
    engine = fresh()
    second = GET % 2
    engine.feed(GET % 1 + second[:place])
    engine.next_request()
    assert engine.started
    engine.feed(second[place:])
    assert engine.next_request().target == b"/2"
    assert not engine.started


def test_request_that_is_waited_for_says_so() -> None:
    """``started`` tells an idle connection from one in the middle of a head."""
    engine = fresh()
    assert not engine.started
    engine.feed(b"G")
    assert engine.started
    engine.feed((GET % 1)[1:])
    engine.next_request()
    assert not engine.started


def test_request_is_known_before_its_content() -> None:
    """``request`` is there from the end of the head on, with what the head says of its content."""
    engine = fresh()
    engine.feed(POST + b"Content-Length: 5\r\nExpect: 100-continue\r\n")
    assert engine.request is None
    engine.feed(b"\r\n")
    assert engine.request is not None
    assert engine.remaining == 5
    assert engine.request.expects_continue
    assert not engine.complete


def test_content_may_be_taken_as_it_comes() -> None:
    """The owner may empty the buffer at any time; every byte comes once."""
    for head, data in (
        (POST + b"Content-Length: 6\r\n\r\n", b"abcdef"),
        (CHUNKED, b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"),
    ):
        engine = fresh()
        engine.feed(head)
        content = b""
        for piece in dribbled(data):
            engine.feed(piece)
            content += engine.take_body()
        assert engine.complete
        assert content == b"abcdef"
        assert engine.take_body() == b""


def test_how_much_is_left_is_unknown_where_content_comes_in_chunks() -> None:
    """A chunked request announces content, but no length."""
    engine = fresh()
    engine.feed(CHUNKED + b"2\r\nx")
    assert engine.request is not None and engine.request.announces_content
    assert (engine.remaining, engine.has_content, engine.take_body(), engine.has_content) == (0, True, b"x", False)
    assert not only_request(GET % 1).announces_content


def test_transfer_coding_is_not_passed_on() -> None:
    """Framing is the server's business: an application never sees Transfer-Encoding."""
    assert "HTTP_TRANSFER_ENCODING" not in only_request(CHUNKED + b"0\r\n\r\n").fields


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_empty_transfer_coding_is_refused(version: bytes) -> None:
    """A Transfer-Encoding that names nothing is refused, with and without a length; parsers differ in the words."""
    for more in (b"", b"Content-Length: 3\r\n"):
        for order in (b"Transfer-Encoding:\r\n" + more, more + b"Transfer-Encoding:\r\n"):
            data = b"POST / HTTP/" + version + b"\r\nHost: a\r\n" + order + b"\r\nabc"
            for pieces in (whole(data), dribbled(data)):
                assert refusal(pieces)[0] in (400, 501)


def test_version_is_not_read_from_a_later_piece() -> None:
    """A field that looks like the end of a request line, at its very place in its own packet, does not make a 1.1."""
    seen = outcome([b"GET / HTTP/1.0\r\n", b"abcd: HTTP/1.1\r\n\r\n"])
    assert seen.requests[0].version == "1.0"
    coded = [b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", b"Xabcd: HTTP/1.1\r\n\r\n0\r\n\r\n"]
    assert refusal(coded) == (400, "Transfer-Encoding does not exist in HTTP/1.0.")


def test_prototype_is_copied_for_each_request() -> None:
    """What one request adds to its fields no other request sees."""
    prototype = {"REMOTE_ADDR": "::1"}
    engine = Engine(Limits(), prototype)
    engine.feed(b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n" + GET % 2)
    first = engine.next_request().fields
    engine.feed(b"")
    assert engine.next_request().fields == {"REMOTE_ADDR": "::1", "HTTP_HOST": "a"}
    assert first == {"REMOTE_ADDR": "::1", "HTTP_HOST": "a", "HTTP_X": "1"}
    assert prototype == {"REMOTE_ADDR": "::1"}


def test_host_is_checked_again_when_it_changes() -> None:
    """A host that was once found valid does not vouch for the next one."""
    engine = fresh()
    for host in (b"a", b"a", b"b"):
        engine.feed(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
        assert engine.next_request().fields["HTTP_HOST"] == host.decode()
    with pytest.raises(PeerError, match="not a host name"):
        engine.feed(b"GET / HTTP/1.1\r\nHost: b c\r\n\r\n")


def test_version_is_checked_also_where_the_host_is_known() -> None:
    """A second request from a client that was found in order is judged like the first."""
    first = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    assert refusal([first + b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"])[0] == 505
    assert refusal([first, b"GET / HTTP/1.1\r\n\r\n"]) == (400, "The request has no Host field.")
    last = b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n"
    assert [seen.keep_alive for seen in outcome([first + last]).requests] == [True, False]


def test_refusal_keeps_its_words_inside_an_except_block() -> None:
    """What the engine refuses is told alike where the owner is just handling another exception."""
    for data, status in (
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    ):
        expected = refusal(whole(data))
        try:
            raise KeyError("another")
        except KeyError:
            assert refusal(whole(data)) == expected
        assert expected[0] == status
        assert "callback" not in expected[1]


@pytest.mark.parametrize("line", [b"GET / HTTP/2.0", b"GET / HTTP/1.2", b"GET /", b"GET / RTSP/1.0"])
def test_505_says_what_is_spoken(line: bytes) -> None:
    """Whatever version a client names, it is told which ones there are (RFC 9110 15.6.6)."""
    status, reason = refusal(whole(line + b"\r\nHost: a\r\n\r\n"))
    assert (status, reason.endswith("HTTP/1.1 and HTTP/1.0 are.")) == (505, True)


def test_refusal_says_where_it_happened() -> None:
    """What the parser refuses is told with its words, and whether they are about the head or the content."""
    assert refusal([b"GET / HTTP/1.1\r\nX : a\r\n"]) == (
        400,
        "The request is not valid HTTP (head: Invalid header token).",
    )
    words = "The request is not valid HTTP (content: Invalid character in chunk size)."
    assert refusal([CHUNKED + b"zz\r\n"]) == (400, words)


def test_closed_engine_is_not_kept_alive_by_its_parser() -> None:
    """After ``close`` an engine goes without the garbage collector."""

    class Watched(Engine[Request]):
        __slots__ = ("__weakref__",)

    gc.collect()
    gc.disable()
    try:
        engine = Watched(Limits(), {})
        engine.feed(GET % 1)
        gone = weakref.ref(engine)
        engine.close()
        del engine
        assert gone() is None
    finally:
        gc.enable()


def test_request_that_is_not_there_cannot_be_taken() -> None:
    """Asking for a request before its head is complete is a mistake of ours, and is called one."""
    engine = fresh()
    with pytest.raises(InternalError, match="No request is complete"):
        engine.next_request()


def test_parser_that_breaks_its_promises_is_a_mistake_of_ours() -> None:
    """What no parser should do is noticed: a head without a beginning, an upgrade before the head, bytes run over."""
    engine = fresh()
    with pytest.raises(InternalError, match="ended a head"):
        engine.on_headers_complete()
    with pytest.raises(InternalError, match="before the end of a head"):
        engine._decline_upgrade(b"")
    engine.feed(POST + b"Content-Length: 3\r\n\r\n")
    with pytest.raises(InternalError, match="5 bytes were fed"):
        engine._decline_upgrade(b"abcde")


def test_request_run_over_is_refused() -> None:
    """Were the parser ever fed beyond a message, the second request would be refused, not mixed with the first."""
    engine = fresh()
    engine.feed(GET % 1)
    with pytest.raises(PeerError, match="before the one ahead of it had ended"):
        engine.on_url(b"/2")


def test_it_tells_how_much_content_is_to_come() -> None:
    """So that no more is asked for at once; not of a chunked one, whose length nobody knows."""
    engine = Engine(Limits(), {})
    engine.feed(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n")
    left = [engine.remaining]
    for piece in (b"ab", b"cdef"):
        engine.feed(piece)
        left.append(engine.remaining)
    assert left == [6, 4, 0]
    assert (engine.complete, engine.take_body(), engine.rest) == (True, b"abcdef", b"")
    engine.next_request()
    engine.feed(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n")
    assert engine.remaining == 0
    engine.close()
