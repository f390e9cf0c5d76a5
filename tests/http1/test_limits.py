"""How large a request may be, and what it is told when it is larger."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from pastepool.http1.engine import Engine
from pastepool.http1.limits import Limits
from pastepool.http1.request import Request
from pastepool.http1.response import short_answer
from tests.http1.cases import load, names
from tests.http1.feeding import cut_at, dribbled, outcome, refusal, whole

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def chunks(*pieces: bytes) -> bytes:
    """Content in chunks, with its end."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def ways(data: bytes) -> list[list[bytes]]:
    """Whole, byte by byte, in odd pieces."""
    return [whole(data), dribbled(data), dribbled(data, 7), cut_at(data, [len(data) - 1])]


@pytest.mark.parametrize("length", [20, 21])
def test_target_may_be_as_long_as_its_limit(length: int) -> None:
    """A target of exactly the limit passes, one byte more is 414, however it arrives."""
    target = b"/" + b"x" * (length - 1)
    for pieces in ways(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n"):
        seen = outcome(pieces, Limits(request_target=20))
        if length == 20:
            assert seen.requests[0].target == target
        else:
            assert seen.refused == (414, "The request target is longer than 20 bytes.")


@pytest.mark.parametrize("excess", [0, 1])
def test_head_may_be_as_large_as_its_limit(excess: int) -> None:
    """A head of exactly the limit passes, one byte more is 431, however it arrives; content does not count."""
    data = HEAD + b"Content-Length: 3\r\n\r\n"
    for pieces in ways(data + b"abc"):
        seen = outcome(pieces, Limits(header_bytes=len(data) - excess))
        if excess:
            assert seen.refused == (431, f"The request's head is larger than {len(data) - 1} bytes.")
        else:
            assert seen.requests[0].content == b"abc"


@pytest.mark.parametrize("excess", [0, 1])
def test_head_without_content_has_the_same_limit(excess: int) -> None:
    """The limit holds for a head that comes alone and at once, too."""
    data = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    for pieces in ways(data):
        refused = outcome(pieces, Limits(header_bytes=len(data) - excess)).refused
        assert (refused[0] if refused else 0) == (431 if excess else 0)


def test_head_that_never_ends_is_refused_at_its_limit() -> None:
    """A head is refused before its end is seen, so that it is never kept."""
    for pieces in ways(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 1000):
        assert refusal(pieces, Limits(header_bytes=500))[0] == 431


def test_blank_lines_ahead_of_a_request_count() -> None:
    """A client cannot send line breaks for ever in place of a request."""
    for pieces in ways(b"\r\n" * 300):
        assert refusal(pieces, Limits(header_bytes=500))[0] == 431


def test_default_limits_are_those_of_the_rfc() -> None:
    """A target of 8000 bytes passes (RFC 9110 4.1, RFC 9112 3), in either form."""
    path = b"/" + b"x" * 7999
    for target in (path, b"http://a" + path[:7992]):
        data = b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n"
        assert [len(seen.target) for seen in outcome(whole(data)).requests] == [8000]


def test_blanks_in_the_request_line_count() -> None:
    """The parser skips them; so many that the line is longer than any target are 414, however they arrive."""
    for method in (b"GET", b"BREW", b"PAUSE"):
        for blanks, passes in ((100, True), (300, False), (9000, False)):
            for line in (b"%b" + b" " * blanks + b"/ HTTP/1.1", b"%b /" + b" " * blanks + b"HTTP/1.1"):
                data = line % method + b"\r\nHost: a\r\n\r\n"
                found = {outcome(pieces, Limits(request_target=200)).refused for pieces in ways(data)}
                assert len(found) == 1, found
                (refused,) = found
                assert refused is None or refused[0] in (400, 414)
                if line.startswith(b"%b  "):
                    assert (refused is None) == passes


def test_large_head_in_large_pieces() -> None:
    """The end of the request line may lie far behind when the head becomes too large."""
    data = b"BREW / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70000
    assert refusal(cut_at(data, [9000, 20000]))[0] == refusal(whole(data))[0] == 431


def test_unknown_method_has_the_same_limits() -> None:
    """A head whose method the parser does not know is parsed twice, and measured once."""
    for method in (b"BREW", b"GETS", b"PAUSE"):
        fields = b" / HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * 9 + b"\r\n"
        limits = Limits(header_bytes=len(method + fields), header_count=10, request_target=20)
        for pieces in ways((method + fields) * 3):
            assert [seen.method for seen in outcome(pieces, limits).requests] == [method.decode()] * 3
        for pieces in ways(method + b" / HTTP/1.1\r\nHost: a\r\n" + b"Y: 1\r\n" * 10 + b"\r\n"):
            assert refusal(pieces, limits)[0] == 431
        for pieces in ways(method + b" / HTTP/1.1\r\nHost: a\r\nXX: " + b"1" * 100):
            assert refusal(pieces, limits)[0] == 431
        for pieces in ways(method + b" /" + b"x" * 20 + b" HTTP/1.1\r\nHost: a\r\n\r\n"):
            assert refusal(pieces, limits)[0] == 414
        for pieces in ways(method + b" /" + b"x" * 2000):
            assert refusal(pieces, limits)[0] == 414


def test_each_request_has_the_whole_limit() -> None:
    """Bytes of one request do not count for the next on the same connection."""
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    for pieces in ways(request * 5):
        assert len(outcome(pieces, Limits(header_bytes=len(request))).requests) == 5


def test_long_target_is_414_also_where_the_head_is_too_large() -> None:
    """What is wrong within the limit is said, not that the head is too large as well, however much comes at once."""
    data = b"GET /" + b"x" * 2000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    for pieces in ways(data):
        assert refusal(pieces, Limits(request_target=100, header_bytes=500))[0] == 414
    for pieces in ways(b"BR{W /" + b"x" * 2000):
        assert refusal(pieces, Limits(header_bytes=500))[0] == 400


@pytest.mark.parametrize(
    "line", [b"X-%d: 1\r\n", b"X: %d\r\n", b"Cookie: %d\r\n", b"X_Y: %d\r\n", b"Proxy: %d\r\n", b"X-%d:\r\n"]
)
def test_every_field_line_counts(line: bytes) -> None:
    """Field lines beyond the limit are 431, be they new, repeated, dropped or empty; the limit itself passes."""
    for count, passes in ((9, True), (10, False)):
        fields = b"".join(line % number for number in range(count))
        for pieces in ways(b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n"):
            seen = outcome(pieces, Limits(header_count=10))
            assert seen.refused == (None if passes else (431, "The request has more than 10 header fields."))


@pytest.mark.parametrize(("count", "passes"), [(100, True), (101, False)])
def test_trailers_have_a_limit_of_their_own(count: int, passes: bool) -> None:
    """A hundred trailer fields are thrown away, one more is refused; a next request has the whole limit again."""
    request = CHUNKED + b"0\r\n" + b"a:\r\n" * count + b"\r\n"
    for pieces in (whole(request * 2), dribbled(request * 2, 7)):
        seen = outcome(pieces)
        assert len(seen.requests) == (2 if passes else 0)
        assert seen.refused == (None if passes else (431, "The request has more than 100 trailer fields."))


def test_trailers_do_not_count_as_fields() -> None:
    """The number of fields is that of the head."""
    trailers = b"".join(b"X-%d: 1\r\n" % number for number in range(20))
    for pieces in ways(CHUNKED + b"0\r\n" + trailers + b"\r\n"):
        assert len(outcome(pieces, Limits(header_count=2)).requests) == 1


@pytest.mark.parametrize("length", [10, 11])
def test_announced_content_over_the_limit_is_refused_at_once(length: int) -> None:
    """Content-Length beyond the limit is 413 before any content is read; the limit itself passes."""
    head = HEAD + b"Content-Length: %d\r\n\r\n" % length
    for pieces in ways(head):
        seen = outcome(pieces, Limits(body_bytes=10))
        assert seen.refused == (None if length == 10 else (413, "The request's content is larger than 10 bytes."))


@pytest.mark.parametrize(
    "content",
    [chunks(b"x" * 11), chunks(*[b"x"] * 11), chunks(b"x" * 10, b"x"), b"b\r\n" + b"x" * 11, b"c\r\n" + b"x" * 11],
)
def test_chunked_content_over_the_limit_is_refused(content: bytes) -> None:
    """Decoded content beyond the limit is 413, also when it comes with its end in one delivery."""
    for pieces in ways(CHUNKED + content):
        assert refusal(pieces, Limits(body_bytes=10)) == (413, "The request's content is larger than 10 bytes.")


def test_chunked_content_of_the_limit_passes() -> None:
    """Framing does not count as content."""
    for pieces in ways(CHUNKED + chunks(b"xxxx", b"x", b"xxxxx")):
        assert outcome(pieces, Limits(body_bytes=10)).requests[0].content == b"x" * 10


def test_taking_the_content_early_does_not_reset_its_limit() -> None:
    """Chunked content counts from its beginning, however often the owner empties the buffer."""
    engine = Engine(Limits(body_bytes=10), {})
    engine.feed(CHUNKED)
    for _ in range(10):
        engine.feed(b"1\r\nx\r\n")
        assert engine.take_body() == b"x"
    assert refusal_of(engine, b"1\r\nx\r\n")[0] == 413


def test_each_chunked_request_has_the_whole_limit() -> None:
    """Content and framing of one request do not count for the next on the same connection."""
    request = CHUNKED + b"1;%b\r\nx\r\n" % (b"e" * 2000) * 20 + b"0\r\n\r\n"
    for pieces in (whole(request * 3), dribbled(request * 3, 1000)):
        assert [seen.content for seen in outcome(pieces, Limits(body_bytes=20)).requests] == [b"x" * 20] * 3


def test_zero_means_no_limit_for_content() -> None:
    """body_bytes = 0 lets any content pass."""
    for pieces in (whole(CHUNKED + chunks(b"x" * 100)), whole(HEAD + b"Content-Length: 100\r\n\r\n" + b"x" * 100)):
        assert len(outcome(pieces, Limits(body_bytes=0)).requests[0].content) == 100


def test_chunks_of_one_byte_pass() -> None:
    """The framing of one-byte chunks, five times the content, is legal however much there is."""
    data = CHUNKED + chunks(*[b"x"] * 30000)
    for pieces in (whole(data), dribbled(data, 1000)):
        assert outcome(pieces).requests[0].content == b"x" * 30000


@pytest.mark.parametrize("framing", [b"1;%b\r\nx\r\n" % (b"e" * 2000) * 50, b"1;%b\r\nx\r\n" % (b"e" * 100) * 1000])
def test_endless_chunk_extensions_are_refused(framing: bytes) -> None:
    """Chunk framing far beyond the content it carries is 400, in large pieces and in small."""
    for pieces in (whole(CHUNKED + framing), dribbled(CHUNKED + framing, 1000)):
        assert refusal(pieces) == (400, "The request's chunks carry far more framing than content.")


@pytest.mark.parametrize("extension", [b";", b" ;", b';a="', b"\t"])
def test_extensions_of_one_chunk_have_a_limit(extension: bytes) -> None:
    """2,048 bytes behind a size may wait for the end of their line; more are 400 even if it never comes."""
    data = CHUNKED + b"1" + extension.ljust(2048, b"e")
    assert outcome(whole(data)).pending
    assert outcome(dribbled(data)).pending
    for pieces in (whole(data + b"e"), dribbled(data + b"e"), whole(data + b"e" * 100_000)):
        assert refusal(pieces) == (400, "The extensions of a chunk are longer than 2048 bytes.")


def test_endless_trailer_is_refused_whatever_content_went_before() -> None:
    """A trailer is bounded on its own: much content does not buy a large one, which the parser would keep in memory."""
    engine = Engine(Limits(), {})
    engine.feed(CHUNKED + b"100000\r\n" + b"x" * 0x100000 + b"\r\n0\r\nX: ")
    engine.take_body()
    for _ in range(64):
        engine.feed(b"y" * 1024)
    assert refusal_of(engine, b"y" * 1024)[0] == 400


def refusal_by(engine: Engine[Request], pieces: list[bytes]) -> tuple[int, str]:
    """Feed an engine pieces that have to be refused."""
    refused = outcome(pieces, engine=engine).refused
    assert refused is not None
    return refused


def refusal_of(engine: Engine[Request], data: bytes) -> tuple[int, str]:
    """Feed an engine that has begun already."""
    refused = outcome(whole(data), engine=engine).refused
    assert refused is not None
    return refused


class Counted:
    """A parser that counts how often it is fed, and how many bytes."""

    def __init__(self, engine: Engine[Request]) -> None:
        self.feeds = self.fed = 0
        self._parser = engine._parser
        engine._parser = self

    def feed_data(self, data: bytes) -> None:
        self.feeds += 1
        self.fed += len(data)
        self._parser.feed_data(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)


class Weighed(bytes):
    """Bytes that count how many of them are copied."""

    copied = 0

    def __getitem__(self, key: Any) -> Any:
        piece = super().__getitem__(key)
        Weighed.copied += len(piece)
        return piece


HOSTILE_CONTENT = [
    b"10000\r\n" + b"\r\n\r\n" * 16384,
    b"2\r\n\r\n\r\n" * 9362,
    b"20000\r\n" + b"\r\n0\r\n\r\n" * 9362,
    b"20000\r\n" + b"\r\n0\r\na:b\r\n\r\n" * 5461,
    b"4\r\n\n0\r\n\r\n" * 7000,
    b"5\r\n0\r\n\r\n\r\n" * 7000,
]
"""Content in which an end seems to come every few bytes."""


@pytest.mark.parametrize("content", HOSTILE_CONTENT)
def test_what_looks_like_an_end_costs_no_more_than_it_weighs(content: bytes) -> None:
    """The parser is fed a few times and each byte copied a bounded number of times, however often the end seems to come."""
    engine = Engine(Limits(), {})
    engine.feed(CHUNKED)
    parser = Counted(engine)
    Weighed.copied = 0
    engine.feed(Weighed(content))
    assert not engine.complete
    assert parser.fed == len(content)
    assert parser.feeds <= 10 + len(content) // 4096
    assert Weighed.copied <= 3 * len(content)


def test_content_is_collected_in_one_buffer() -> None:
    """Thousands of small chunks, all at once or each by itself, hold hardly more than their content."""
    for pieces in (whole(b"2\r\nxx\r\n" * 50000), [b"2\r\nxx\r\n"] * 50000):
        engine = Engine(Limits(), {})
        engine.feed(CHUNKED)
        for piece in pieces:
            engine.feed(piece)
        assert engine._chunked is not None and sys.getsizeof(engine._chunked._buffer) < 2 * 100_000
        assert engine.take_body() == b"xx" * 50000


@pytest.mark.parametrize("breaks", [b"\r\n", b"\n", b"\r", b"\r\n\r\n"])
def test_line_breaks_ahead_of_a_request_are_not_parsed_one_by_one(breaks: bytes) -> None:
    """However they come, the parser is fed a few times for 60,000 bytes of line breaks and a request."""
    ahead = breaks * (60000 // len(breaks))
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    for pieces in (whole(ahead + request), [breaks] * 1000 + dribbled(ahead, 1000) + [request]):
        engine = Engine(Limits(), {})
        parser = Counted(engine)
        for piece in pieces:
            engine.feed(piece)
        assert engine.complete
        assert parser.feeds <= 3


@pytest.mark.parametrize("line", [b"a:\r\n", b"a_:\r\n", b"Cookie: a=b\r\n"])
def test_fields_beyond_the_limit_are_not_parsed(line: bytes) -> None:
    """Of a head with thousands of fields hardly any is looked at, whether the head comes whole or in pieces."""
    fields = line * (60000 // len(line))
    for pieces in (whole(b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n"), dribbled(HEAD + fields, 700)):
        engine = Engine(Limits(), {})
        parser = Counted(engine)
        assert refusal_by(engine, pieces)[0] == 431
        assert parser.fed <= 2000


def test_dribbled_head_is_not_copied_again_and_again() -> None:
    """Of a head that comes byte by byte no more is kept than its first line."""
    engine = Engine(Limits(request_target=100), {})
    for piece in dribbled(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 10000):
        engine.feed(piece)
    assert len(engine._fed) <= 200


def test_every_refusal_can_be_answered() -> None:
    """Whatever status the engine refuses with has a reason phrase and an answer."""
    statuses = {413, 414, 431} | {int(load("invalid", name).refused[0]) for name in names("invalid")}  # type: ignore[index]
    assert statuses == {400, 413, 414, 417, 431, 501, 505}
    for status in statuses:
        assert short_answer(status, "x", b"").startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize("digits", [b"0" * 5000, b"0" * 4999 + b"5", b"0" * 21, b"0" * 20 + b"3"])
def test_content_length_of_thousands_of_digits(digits: bytes) -> None:
    """A number that long is no length: 400, even if its value is small."""
    assert refusal(whole(HEAD + b"Content-Length: " + digits + b"\r\n\r\nabc"))[0] == 400


def test_content_length_with_some_zeros() -> None:
    """RFC 9110 8.6: one or more digits; 20 of them are read."""
    engine = Engine(Limits(), {})
    engine.feed(HEAD + b"Content-Length: " + b"0" * 19 + b"3\r\n\r\nabc")
    assert engine.complete
    assert engine.take_body() == b"abc"


def test_chunk_size_of_thousands_of_zeros() -> None:
    """A chunk size with many zeros is framing without content, and limited as such."""
    assert refusal(whole(CHUNKED + b"0" * 200_000 + b"3\r\nabc\r\n0\r\n\r\n"))[0] == 400
