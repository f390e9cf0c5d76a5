"""What an engine makes of bytes, however they are cut: the one way every test here feeds one."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from pastepool.errors import PeerError
from pastepool.http1.engine import Engine
from pastepool.http1.limits import Limits
from pastepool.http1.request import Request

PROTOTYPE = {"SERVER_NAME": "localhost", "REMOTE_ADDR": "127.0.0.1"}


class Seen(NamedTuple):
    """One request as the engine handed it over. ``fields`` without the prototype's keys."""

    method: str
    target: bytes
    path: bytes
    query: bytes
    version: str
    keep_alive: bool
    expects_continue: bool
    content: bytes
    fields: dict[str, Any]


class Outcome(NamedTuple):
    """
    Everything that came of a stretch of bytes.

    ``refused``: status and reason, or None. ``unread``: bytes left alone behind a request that ends its connection.
    ``pending``: whether a message had begun that never became complete.
    """

    requests: tuple[Seen, ...]
    refused: tuple[int, str] | None
    unread: bytes
    pending: bool


def whole(data: bytes) -> list[bytes]:
    """One delivery."""
    return [data]


def dribbled(data: bytes, size: int = 1) -> list[bytes]:
    """Deliveries of so many bytes each."""
    return [data[begin : begin + size] for begin in range(0, len(data), size)]


def cut_at(data: bytes, places: Iterable[int]) -> list[bytes]:
    """Deliveries that end at these places."""
    edges = [0, *sorted(places), len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(edges)]


def halves(data: bytes) -> Iterator[list[bytes]]:
    """Every way to make two deliveries of it; of what is long, every third."""
    return (cut_at(data, [place]) for place in range(1, len(data), 1 if len(data) < 250 else 3))


def outcome(pieces: Iterable[bytes], limits: Limits | None = None, *, engine: Engine[Request] | None = None) -> Outcome:
    """Feed the pieces as a server does: serve each request before the next is looked at, stop where one says so."""
    engine = engine or Engine(limits or Limits(), PROTOTYPE)
    requests: list[Seen] = []
    remaining = iter(pieces)
    try:
        for piece in remaining:
            engine.feed(piece)
            while engine.complete:
                requests.append(taken(engine))
                if not requests[-1].keep_alive:
                    return Outcome(tuple(requests), None, engine.rest + b"".join(remaining), False)
                engine.feed(b"")
    except PeerError as error:
        return Outcome(tuple(requests), (error.status, error.reason), b"", False)
    finally:
        engine.close()
    return Outcome(tuple(requests), None, b"", engine.started)


def taken(engine: Engine[Request]) -> Seen:
    """The complete request with its content."""
    content = engine.take_body()
    request = engine.next_request()
    assert all(request.fields[key] == value for key, value in PROTOTYPE.items())
    return Seen(
        request.method,
        request.target,
        request.path,
        request.query,
        request.version,
        request.keep_alive,
        request.expects_continue,
        content,
        {key: value for key, value in request.fields.items() if key not in PROTOTYPE},
    )


def only_request(data: bytes, limits: Limits | None = None) -> Request:
    """The one request in ``data``, straight from the engine."""
    engine: Engine[Request] = Engine(limits or Limits(), PROTOTYPE)
    engine.feed(data)
    assert engine.complete
    request = engine.next_request()
    engine.close()
    return request


def refusal(pieces: Iterable[bytes], limits: Limits | None = None) -> tuple[int, str]:
    """Status and reason of what has to be refused."""
    refused = outcome(pieces, limits).refused
    assert refused is not None
    return refused
