"""
The same streams through the engine and through h11, another parser: whatever both accept, they must read alike.

A difference would let a client hide a request from a proxy with another parser. h11 takes any token as a method, so it
also shows that a method which llhttp does not know changes nothing but itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import NamedTuple

import h11
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.http1.cases import load, names
from tests.http1.feeding import Outcome, cut_at, dribbled, outcome, whole
from tests.http1.fuzz.test_fuzz import damaged, messages, places, tokens

bounded = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

KNOWN = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "M-SEARCH", "QUERY"]
BESIDE_KNOWN = ["get", "GETS", "GE", "HEADS", "head", "CONNECTS", "PAUSE", "SOURCE", "VERSION-CONTROL", "M-", "FOO"]
methods = (
    st.sampled_from(KNOWN) | st.sampled_from(BESIDE_KNOWN) | tokens | st.text("ACEGHMOPST-", min_size=1, max_size=32)
)
"""Also words that are nearly known ones, and those that llhttp knows from other protocols alone."""

REFUSED_HERE = ("CONNECT", "PRI")


class Read(NamedTuple):
    """What both parsers say of a request."""

    method: bytes
    target: bytes
    version: bytes
    content: bytes


def read_by_h11(data: bytes) -> list[Read]:
    """The requests that h11 finds before it refuses something or a connection ends."""
    found: list[Read] = []
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1_000_000)
    connection.receive_data(data)
    request: h11.Request | None = None
    content = b""
    with contextlib.suppress(h11.RemoteProtocolError):
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                request, content = event, b""
                if request.method == b"CONNECT":
                    return found
            elif isinstance(event, h11.Data):
                content += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                assert request is not None
                found.append(Read(request.method, request.target, request.http_version, content))
                connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                    return found
                connection.start_next_cycle()
            else:
                return found
    return found


def read_here(seen: Outcome) -> list[Read]:
    """What the engine found, in the same form."""
    return [Read(each.method.encode(), each.target, each.version.encode(), each.content) for each in seen.requests]


def replaced(message: bytes, method: str) -> bytes:
    """A message with another method."""
    return method.encode() + message[message.index(b" ") :]


def agree(data: bytes, cuts: list[int]) -> None:
    """Compare as many requests as both found."""
    theirs = read_by_h11(data)
    for pieces in (whole(data), cut_at(data, cuts), dribbled(data)):
        ours = read_here(outcome(pieces))
        common = min(len(ours), len(theirs))
        assert ours[:common] == theirs[:common]


@bounded
@given(st.lists(st.tuples(messages(), methods), min_size=1, max_size=5), places)
def test_any_method_is_read_as_h11_reads_it(data: list[tuple[bytes, str]], cuts: list[int]) -> None:
    """Requests with known and unknown methods, one after the other, in any pieces: none is lost, none appears."""
    stream = b"".join(replaced(message, method) for message, method in data if method not in REFUSED_HERE)
    ours = read_here(outcome(cut_at(stream, cuts)))
    theirs = read_by_h11(stream)
    kept_here_alone = bool(theirs) and theirs[-1].version == b"1.0"  # h11 closes after each request of HTTP/1.0
    assert ours == theirs or (kept_here_alone and ours[: len(theirs)] == theirs)
    agree(stream, cuts)


@bounded
@given(damaged(), methods, places)
def test_damaged_messages_hide_nothing(data: bytes, method: str, cuts: list[int]) -> None:
    """Bytes put in, left out and replaced, under any method: what both parsers accept is the same."""
    agree(data, cuts)
    with contextlib.suppress(ValueError):
        agree(replaced(data, method), cuts)


@pytest.mark.parametrize("kind", ["valid", "invalid"])
@pytest.mark.parametrize("change", [str.lower, lambda method: method + "S", lambda method: "X-" + method])
def test_corpus_under_other_methods(kind: str, change: Callable[[str], str]) -> None:
    """Every message of the corpus with the method of its first request changed to one that llhttp does not know."""
    for name in names(kind):
        data = load(kind, name).data
        method, blank, _ = data.partition(b" ")
        if blank and method.isalpha():
            agree(replaced(data, change(method.decode())), [3, 7])


@pytest.mark.parametrize("name", names("valid"))
def test_method_changes_nothing_else(name: str) -> None:
    """A valid message under an unknown method gives the same request, but for the method; ``*`` is for OPTIONS alone."""
    case = load("valid", name)
    if case.requests[0].target == b"*" or case.data.startswith((b"\r", b"\n")) or case.requests[0].method == "HEAD":
        return
    for seen in map(outcome, (whole(other := replaced(case.data, "VERSION-CONTROL")), dribbled(other))):
        assert seen.requests == (case.requests[0]._replace(method="VERSION-CONTROL"), *case.requests[1:])
