"""Chunk extensions: those that are well-formed change nothing, others are refused, and bytes of content are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pastepool.errors import InternalError
from pastepool.http1.engine import Engine
from pastepool.http1.limits import Limits
from tests.http1.feeding import cut_at, dribbled, halves, outcome, refusal, whole
from tests.http1.fuzz.test_fuzz import bounded, contents, places

POST = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
CHUNKED = POST + b"\r\n"
HEADS = (
    CHUNKED,
    CHUNKED.replace(b"POST", b"FOO"),
    POST + b"Connection: upgrade\r\nUpgrade: x\r\n\r\n",
)
BEHIND = b"GET /behind HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"0\r\n\r\n"

_NO_EXTENSION = "What follows the size of a chunk is no chunk extension."

blanks = st.text(" \t", max_size=3)
tokens = st.text("ab09!#$%&'*+-.^_`|~", min_size=1, max_size=5)
quoted_parts = st.sampled_from([*"a 0;=,\t\xff", '\\"', "\\\\", "\\a"])
quoted = st.lists(quoted_parts, max_size=6).map(lambda parts: f'"{"".join(parts)}"')
one_extension = st.one_of(
    st.tuples(blanks, st.just(";"), blanks, tokens),
    st.tuples(blanks, st.just(";"), blanks, tokens, blanks, st.just("="), blanks, tokens | quoted),
).map("".join)
extensions = st.lists(one_extension, max_size=3).map(lambda found: "".join(found).encode("latin-1"))
sizes = st.tuples(st.sampled_from([b"", b"0", b"00000000000000000000"]), st.booleans())
trailers = st.sampled_from([b"", b"0: b\r\n", b"3:\r\n"])


def chunk(content: bytes, extension: bytes = b"") -> bytes:
    """One chunk."""
    return b"%x%b\r\n%b\r\n" % (len(content), extension, content)


@bounded
@given(
    st.sampled_from(HEADS),
    st.lists(st.tuples(contents.filter(len), extensions, sizes), max_size=4),
    extensions,
    trailers,
    places,
)
def test_extension_changes_nothing(
    head: bytes,
    chunks: list[tuple[bytes, bytes, tuple[bytes, bool]]],
    last: bytes,
    trailer: bytes,
    cuts: list[int],
) -> None:
    """Chunks with any extensions that RFC 9112 allows are read as the same chunks without them, in any pieces."""
    bare = b"".join(chunk(content) for content, _, _ in chunks)
    framed = b""
    for content, extension, (zeros, large) in chunks:
        size = b"%x" % len(content)
        framed += zeros + (size.upper() if large else size) + extension + b"\r\n" + content + b"\r\n"
    expected = outcome(whole(head + bare + b"0\r\n" + trailer + b"\r\n" + BEHIND))
    assert [request.path for request in expected.requests] == [b"/", b"/behind"]
    data = head + framed + b"0" + last + b"\r\n" + trailer + b"\r\n" + BEHIND
    for pieces in (whole(data), cut_at(data, cuts), dribbled(data), dribbled(data, 3)):
        assert outcome(pieces) == expected


@pytest.mark.parametrize(
    "extension",
    [
        *(b";", b" ", b"\t", b" ;", b"; ", b";;a", b";a;", b";a;;b", b";=b", b";a=", b";a=;b", b";a==b", b";a=b=c"),
        *(b";a ", b";a=b\t", b';a="b" ', b";a b", b";a=b c", b";a=b\x0b", b"\xa0;a", b";\xe9", b";a=\xe9"),
        *(b';"a"', b';a="b', b';a="b\\"', b';a="b"c', b';a=b"c"', b';a="\x00"', b';a="\x7f"'),
        *(b';a="\\\x01"', b";a=(b)", b" 1", b" 1;a", b"\t\t", b" \x00;a", b";a=b/c", b";a:b", b";{}"),
    ],
)
@pytest.mark.parametrize("size", [b"3", b"0", b"0003"])
@pytest.mark.parametrize("head", HEADS)
def test_malformed_extension_is_refused(head: bytes, size: bytes, extension: bytes) -> None:
    """Whatever else stands behind a size is 400, at the first chunk and later, in any pieces."""
    for before in (b"", chunk(b"x"), chunk(b"x", b" ;a")):
        data = head + before + size + extension + b"\r\nabc\r\n" + LAST
        seen = refusal(whole(data))
        assert seen[0] == 400
        if not extension.startswith(b"\xa0"):
            assert seen[1] == _NO_EXTENSION
        assert refusal(dribbled(data)) == seen
        if not before:
            assert all(refusal(pieces) == seen for pieces in halves(data))


@pytest.mark.parametrize("line_break", [b"\n", b"\r", b"\r\r\n", b"\n\n", b"\n\r\n"])
@pytest.mark.parametrize("extension", [b";a", b" ;a", b';a="b'])
def test_line_of_an_extension_ends_with_cr_lf_alone(extension: bytes, line_break: bytes) -> None:
    """Some parsers end the line of a chunk's size at a bare LF, others read on: what both read differently is refused."""
    data = CHUNKED + b"3" + extension + line_break + b"abc\r\n" + LAST
    seen = refusal(whole(data))
    assert seen[0] == 400
    assert refusal(dribbled(data)) == seen


@pytest.mark.parametrize(
    "content",
    [
        *(b"3 ;a\r\n", b"\r\n3 ;a\r\n", b"\r\n3;;\r\nabc\r\n", b"\n0 ;\r\n\r\n", b"\r\n0;=\r\n\r\n", b";", b" ;a\r\n"),
        b"2026;12;5\n" * 5000,  # the lines of a table look like sizes with malformed extensions
        b"0 ;a\r\n\r\n" * 5000,
    ],
)
def test_content_is_never_an_extension(content: bytes) -> None:
    """What would be an extension in another place is content there, and the next chunk's extension is still judged."""
    for before in (b"", chunk(b"x", b" ;a")):
        data = CHUNKED + before + chunk(content, b"\t;b") + b"0 ;last\r\n\r\n"
        for each in (whole(data), dribbled(data, 7), *(halves(data) if len(data) < 250 else ())):
            assert [seen.content for seen in outcome(each).requests] == [(b"x" if before else b"") + content]
        assert refusal(whole(data.replace(b"0 ;last", b"0;=last"))) == (400, _NO_EXTENSION)


def test_small_chunks_have_a_limit_beyond_which_the_parser_judges_alone() -> None:
    """A hundred chunks of one byte may go before. Behind 10,000 blanks are refused, and the rest is as llhttp has it."""
    few, many = CHUNKED + chunk(b"x") * 100, CHUNKED + chunk(b"x") * 10_000
    for cut in (whole, lambda data: dribbled(data, 1000)):
        assert len(outcome(cut(few + b"0 ;a\r\n\r\n")).requests) == 1
        assert refusal(cut(few + b"0;=\r\n\r\n")) == (400, _NO_EXTENSION)
        assert len(outcome(cut(many + b"0;a\r\n\r\n")).requests) == 1
        assert len(outcome(cut(many + b"0;=\r\n\r\n")).requests) == 1
        assert refusal(cut(many + b"0 ;a\r\n\r\n"))[0] == 400


def test_larger_chunks_with_extensions_have_no_limit() -> None:
    """One for each 2 KiB is judged however long the content is, blanks and all."""
    data = CHUNKED + chunk(b"x" * 2048, b" ;signature = 0123456789abcdef") * 1000 + b"0 ;a\r\n\r\n"
    for pieces in (whole(data), dribbled(data, 65536)):
        assert [len(seen.content) for seen in outcome(pieces).requests] == [2048 * 1000]


def test_chunk_of_2_to_the_64_is_left_to_the_parser() -> None:
    """A size that the parser does not know is refused by it, with an extension and without."""
    for extension in (b"", b";a", b" ;a"):
        data = CHUNKED + b"1" + b"0" * 16 + extension + b"\r\n"
        assert refusal(whole(data))[0] == refusal(dribbled(data))[0] == 400


def test_parser_that_disagrees_about_the_content_is_a_mistake_of_ours() -> None:
    """Were the lines ever looked for in the wrong place, nothing would be skipped there."""
    engine = Engine(Limits(), {})
    engine.feed(CHUNKED + b"5\r\na")
    assert engine._chunked is not None
    engine._chunked._lines._left = 0
    with pytest.raises(InternalError, match="4 bytes of content came where the chunks have 5"):
        engine.feed(b"3 ;a\r\n")
