"""Random heads of requests and of responses: mostly usual ones, and every way not to be one. Same seed, same heads."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

METHODS = [b"GET"] * 12 + [b"HEAD", b"POST", b"PUT", b"OPTIONS", b"PROPFIND", b"BREW", b"CONNECT", b"get", b"G T", b""]
TARGETS = [
    b"/",
    b"/a/b",
    b"/a?b=c",
    b"/a?b?c",
    b"/%E9%2f",
    b"/\xe9",
    b"/#",
    b"/a#b?c",
    b"*",
    b"http://b.example/x",
    b"?",
    b"a",
    b"",
    b"/" + b"t" * 50,
]
VERSIONS = [b"HTTP/1.1"] * 12 + [b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.2", b" HTTP/1.1", b"RTSP/1.0", b""]
NAMES = [
    *(
        b"Accept",
        b"User-Agent",
        b"Cookie",
        b"X-A",
        b"x-a",
        b"Accept",
        b"Content-Type",
        b"X_Y",
        b"Proxy",
        b"Host",
        b"N" * 70,
    ),
    *(b"Content-Length", b"Transfer-Encoding", b"Expect", b"Connection", b"Upgrade", b"", b"A B", b"X\x00"),
]
VALUES = [
    *(
        b"a",
        b"",
        b"  a \t",
        b"\xe9",
        b"a,b",
        b"close",
        b"keep-alive",
        b"0",
        b"3",
        b"+3",
        b"chunked",
        b"100-continue",
        b"b.example",
    ),
    *(b"\x0ba", b"a\x0b", b"a\x00", b"a\rb", b"v" * 300),
]
BREAKS = [b"\r\n"] * 40 + [b"\n", b"\r", b"\r\n "]


def request(chance: random.Random) -> bytes:
    """One request, and sometimes the beginning of a next one."""
    pick = chance.choice
    if chance.random() < 0.4:
        fields = b"".join(
            b"%b: %b\r\n" % (pick(NAMES[:7]), pick(VALUES[:6])) for _ in range(chance.choice([0, 1, 3, 12]))
        )
        return b"%b %b HTTP/1.1\r\nHost: a.example\r\n%b\r\n" % (pick(METHODS[:15]), pick(TARGETS[:5]), fields)
    line = b" ".join([pick(METHODS), pick(TARGETS), pick(VERSIONS)])
    lines = (
        [line]
        if chance.random() < 0.1
        else [line, b"Host: " + pick([b"a.example"] * 6 + [b"b.example:80", b"a b", b""])]
    )
    lines += [
        pick(NAMES) + pick([b":", b": ", b":", b" :"]) + pick(VALUES) for _ in range(chance.choice([0, 1, 3, 12]))
    ]
    data = b"".join(each + pick(BREAKS) for each in lines) + b"\r\n"
    return data + (pick([b"abc", b"3\r\nabc\r\n0\r\n\r\n", b"GET / HTTP/1.1\r\n"]) if chance.random() < 0.2 else b"")


def requests(seed: int, count: int) -> Iterator[list[bytes]]:
    """Pieces in which bytes arrive: one to three requests, whole, cut anywhere or byte by byte."""
    chance = random.Random(seed)
    for _ in range(count):
        data = b"".join(request(chance) for _ in range(chance.choice([1, 1, 1, 2, 3])))
        way = chance.random()
        if way < 0.8:
            yield [data]
        elif way < 0.97:
            place = chance.randrange(len(data))
            yield [data[:place], data[place:]]
        else:
            yield [data[place : place + 1] for place in range(len(data))]


class Text(str):
    """A subclass, as frameworks have some."""


STATUSES: list[Any] = ["200 OK"] * 8 + [
    "404 Not Found",
    "200",
    "299 \xe9",
    "99 X",
    "100 Continue",
    "200 \u20ac",
    "",
    None,
    200,
    Text("200 OK"),
]
FIELDS: list[Any] = [
    *("Content-Type", "Set-Cookie", "X-A", "x-a", "ETag", "Content-Length", "content-length", "Date", "Server", "DATE"),
    *("Connection", "Transfer-Encoding", "A B", "", "X\r\n", "\xe9", None, b"X", Text("X-T"), "\ud800"),
]
CONTENTS: list[Any] = [
    *(
        "text/plain",
        "a=b",
        "",
        "5",
        "5",
        "0",
        "007",
        "-1",
        "5 ",
        "\u0665",
        "9" * 18,
        "9" * 19,
        "9" * 40,
        "\xe9",
        "\u20ac",
        "\ud800",
    ),
    *("a\r\nb", "a\nb", "a\x00b", "a\tb", "v" * 5000, None, 5, b"x", Text("t")),
]


def response(chance: random.Random) -> tuple[Any, Any]:
    """A status and headers as an application may give them."""
    usual = chance.random() < 0.6
    names, contents = (FIELDS[:10], CONTENTS[:6]) if usual else (FIELDS, CONTENTS)
    pairs: list[Any] = [(chance.choice(names), chance.choice(contents)) for _ in range(chance.choice([0, 1, 2, 5]))]
    if not usual and chance.random() < 0.2:
        pairs.append(chance.choice([("a",), ("a", "b", "c"), ["X-L", "list"], "ab", None, 5, iter(("X-I", "b"))]))
    return chance.choice(STATUSES[:9] if usual else STATUSES), pairs if chance.random() < 0.97 else tuple(pairs)
