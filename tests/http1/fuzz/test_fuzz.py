"""Random messages, valid, damaged and none at all, in random pieces; for some seconds, and the same ones every time."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.http1.cases import load, names
from tests.http1.fuzz.judge import judge

bounded = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

tokens = st.text("abXY019-.!#$%&'*+^`|~", min_size=1, max_size=12)
values = st.text('ab ,;=\t"\\\xe9\xff:/', max_size=20)
targets = st.sampled_from(["/", "/a/b?c=d", "//x/../%2F%E9", "http://b:8/c?d", "http://b", "/?"])
contents = st.binary(max_size=60) | st.lists(st.sampled_from([b"\r\n", b"0", b"GET / HTTP/1.1", b"a"])).map(b"".join)
places = st.lists(st.integers(0, 4000), max_size=12)
FRAMING = b"""
Content-Length: 5
Content-Length: +5
Transfer-Encoding: chunked
Host: b
Upgrade: x
Connection: upgrade
Connection: close
Expect: 100-continue
X_Y: z
5
fffffffff
0
"""
WORDS = b"HTTP/1.0 HTTP/1.1 HTTP/2.0 RTSP/1.0 GET CONNECT chunked ;x=y ;= , : - # * \x16 \xff \x00 a".split(b" ")
BREAKS = [b"\r\n", b"\n", b"\r", b" ", b"\t", b"\r\n\r\n", b"\r\n ", b"0\r\n\r\n"]
EXTENSIONS = [b"", b";a", b';a="b"', b"; a =\tb ;c", b';a="\\"; 0"']
fragments = st.sampled_from([line + b"\r\n" for line in FRAMING.split(b"\n")] + WORDS + BREAKS)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """A valid request."""
    method = draw(st.sampled_from(["GET", "POST", "HEAD", "PUT", "OPTIONS", "DELETE"]))
    version = draw(st.sampled_from(["1.1", "1.1", "1.1", "1.0"]))
    lines = [f"{method} {draw(targets)} HTTP/{version}", "Host: a.example"]
    for name, value in draw(st.lists(st.tuples(tokens, values), max_size=6)):
        lines.append(f"X{name}:{value}")
    if draw(st.booleans()):
        lines.append(draw(st.sampled_from(["Connection: close", "Connection: keep-alive", "Connection: a, Close"])))
    if draw(st.booleans()):
        lines += ["Upgrade: websocket", "Connection: upgrade"]
    if draw(st.booleans()):
        lines.append("Expect: 100-continue")
    content = draw(contents)
    if version == "1.1" and draw(st.booleans()):
        lines.append("Transfer-Encoding: chunked")
        content = draw(chunked(content))
    elif draw(st.booleans()):
        lines.append(f"Content-Length: {len(content)}")
    else:
        content = b""
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + content


@st.composite
def chunked(draw: st.DrawFn, content: bytes) -> bytes:
    """The content in chunks of random sizes, with extensions and trailers."""
    framed = b""
    while content:
        size = draw(st.integers(1, len(content)))
        framed += b"%x%b\r\n%b\r\n" % (size, draw(st.sampled_from(EXTENSIONS)), content[:size])
        content = content[size:]
    return framed + b"0\r\n" + draw(st.sampled_from([b"", b"X-T: y\r\n", b"Host: evil\r\nX:\r\n"])) + b"\r\n"


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A message of the corpus or a random one, with bytes put in, left out and replaced."""
    kind = draw(st.sampled_from(["valid", "invalid", "random"]))
    data = draw(messages()) if kind == "random" else load(kind, draw(st.sampled_from(names(kind)))).data
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(data)))
        end = begin + draw(st.sampled_from([0, 0, 1, 2, 9]))
        data = data[:begin] + draw(fragments) + data[end:]
    return data


@bounded
@given(st.lists(messages(), min_size=1, max_size=4), places)
def test_valid_messages_are_read_alike_in_any_pieces(data: list[bytes], cuts: list[int]) -> None:
    """Valid messages come out one after the other up to the first that closes, however they are cut."""
    seen = judge(b"".join(data), cuts)
    assert seen.refused is None
    closing = [number for number, request in enumerate(seen.requests) if not request.keep_alive]
    assert closing == [] or closing == [len(seen.requests) - 1]
    assert len(seen.requests) == (len(data) if not closing else closing[0] + 1)


@bounded
@given(damaged(), places)
def test_damaged_messages_are_judged_alike_in_any_pieces(data: bytes, cuts: list[int]) -> None:
    """A damaged message gives the same requests and the same refusal, however it is cut."""
    judge(data, cuts)


@bounded
@given(st.binary(max_size=200) | st.lists(fragments, max_size=40).map(b"".join), places)
def test_no_bytes_raise_anything_but_a_refusal(data: bytes, cuts: list[int]) -> None:
    """Bytes that never were a message are refused or waited with; nothing else comes out."""
    judge(data, cuts)
