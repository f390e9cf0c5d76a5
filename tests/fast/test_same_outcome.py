"""The accelerator and the rules in Python make the same of the same bytes: of the corpus and of random heads."""

from __future__ import annotations

import copy
import random
import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from pastepool.errors import AppError
from pastepool.http1 import engine, response
from pastepool.http1.limits import Limits
from pastepool.http1.request import Request
from tests.fast.heads import requests
from tests.fast.heads import response as random_response
from tests.fast.twins import native, twin
from tests.http1.cases import load, names
from tests.http1.feeding import PROTOTYPE, Outcome, dribbled, halves, outcome

pytestmark = native

pure_engine = twin("pastepool.http1.engine")
pure_response = twin("pastepool.http1.response")

HEADS = 100_000
SMALL = Limits(request_target=40, header_bytes=2000, header_count=8)


def both(pieces: Iterable[bytes], limits: Limits) -> tuple[Outcome, Outcome]:
    """Return what comes of the pieces with the accelerator and without it."""
    pieces = list(pieces)
    without = outcome(pieces, engine=pure_engine.Engine(limits, PROTOTYPE))
    return outcome(pieces, engine=engine.Engine(limits, PROTOTYPE)), without


def test_twins_are_not_the_same_code() -> None:
    """Otherwise the tests here could not fail."""
    assert engine.Engine.on_header is not engine.Engine.any_field
    assert pure_engine.Engine.on_header is pure_engine.Engine.any_field
    assert response.render_head is not response._any_head
    assert pure_response.render_head is pure_response._any_head


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in ("valid", "invalid") for name in names(kind)])
def test_corpus(kind: str, name: str) -> None:
    """Whole, in two pieces with every cut, and byte by byte."""
    data = load(kind, name).data
    for pieces in ([data], *halves(data), dribbled(data)):
        with_it, without = both(pieces, Limits())
        assert with_it == without


def test_random_requests() -> None:
    """A hundred thousand, of which each kind of outcome has many. Refusals are the same to the last letter."""
    kinds: Counter[Any] = Counter()
    for number, pieces in enumerate(requests(20, HEADS)):
        with_it, without = both(pieces, SMALL if number % 4 == 0 else Limits())
        assert with_it == without, pieces
        kinds[without.refused[0] if without.refused else len(without.requests)] += 1
    assert {400, 414, 417, 431, 501, 505, 0, 1, 2, 3} <= kinds.keys()
    assert kinds[1] > HEADS // 10


def test_usual_request_is_not_asked_about() -> None:
    """The second request to a host makes no call into the rules, on this connection and on the next one."""
    asked: list[str] = []

    class Asked(engine.Engine[Request]):
        def any_url(self, piece: bytes) -> None:
            asked.append("url")
            super().any_url(piece)

        def any_field(self, name: bytes, value: bytes) -> None:
            asked.append(name.decode())
            super().any_field(name, value)

        def any_end(self) -> None:
            asked.append("end")
            super().any_end()

    data = b"GET /a?b HTTP/1.1\r\nHost: new-here.example\r\nAccept: x\r\nX-Seldom: y\r\n\r\n"
    one = Asked(Limits(), PROTOTYPE)
    made = []
    for _ in range(2):
        one.feed(data)
        made.append(vars(one.next_request()))
    other = Asked(Limits(), PROTOTYPE)
    other.feed(data)
    made.append(vars(other.next_request()))
    one.close()
    other.close()
    assert asked[-1:] == ["end"]
    assert asked.count("end") == 1
    assert made[0] == made[1] == made[2]


def rendered(render: Any, status: Any, headers: Any) -> Any:
    """Return a rendered head as a tuple of types and values, or the message of the refusal."""
    try:
        head = render(status, headers)
    except AppError as error:
        return str(error)
    return [type(head), *((type(part), part) for part in head)]


def test_random_responses() -> None:
    """Usual heads, and every mistake an application makes: the same bytes or the same message."""
    chance = random.Random(21)
    messages = 0
    for _ in range(HEADS // 2):
        status, headers = random_response(chance)
        copied = status, copy.copy(headers) if not any(hasattr(each, "__next__") for each in headers) else headers
        with_it = rendered(response.render_head, status, headers)
        if any(hasattr(each, "__next__") for each in headers):
            continue  # the first call has used the iterator up
        without = rendered(pure_response.render_head, *copied)
        assert with_it == without, (status, headers)
        messages += isinstance(without, str)
    assert HEADS // 20 < messages < HEADS // 4


def test_types_are_the_same() -> None:
    """Both make a plain tuple of the same values."""
    headers = [("Content-Length", "5"), ("X-A", "b"), ("date", "D")]
    for render in (response.render_head, pure_response.render_head):
        head = render("203 Mine", headers)
        assert type(head) is tuple
        assert head == (203, b"HTTP/1.1 203 Mine\r\n", b"X-A: b\r\ndate: D\r\n", 5, response.WITH_DATE)


def test_requests_leave_nothing() -> None:
    """No reference is left behind: neither objects nor counts of those that live for ever."""
    data = b"GET /a?b HTTP/1.1\r\nHost: a.example\r\nAccept: x\r\nX-A: y\r\nX_Y: z\r\n\r\n"
    reading = engine.Engine(Limits(), PROTOTYPE)
    headers = [("Content-Type", "text/plain"), ("Content-Length", "5")]
    watched = (PROTOTYPE, "HTTP_HOST", "1.1", None, True, False, headers, headers[0], engine.Request)

    def work(times: int) -> None:
        for _ in range(times):
            reading.feed(data)
            reading.next_request()
            response.render_head("200 OK", headers)
            with_error(lambda: response.render_head("200 OK", [("X", "a\nb")]))

    work(1000)
    blocks, counts = sys.getallocatedblocks(), [sys.getrefcount(each) for each in watched]
    work(100_000)
    grown = [sys.getrefcount(each) - count for each, count in zip(watched, counts, strict=True)]
    reading.close()
    assert max(map(abs, grown)) < 1000
    assert abs(sys.getallocatedblocks() - blocks) < 1000


def with_error(call: Any) -> None:
    """Call, and forget the refusal."""
    with pytest.raises(AppError):
        call()
