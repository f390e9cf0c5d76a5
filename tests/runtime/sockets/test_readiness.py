"""Which sockets are ready, by epoll and by ``selectors``: the same shape, the same masks."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable, Iterator

import pytest

from pastepool.runtime.sockets import readiness as readiness_module
from pastepool.runtime.sockets.readiness import (
    HANGUP,
    HANGUP_ONCE,
    READ,
    WRITE,
    Readiness,
    SelectorReadiness,
    open_readiness,
)

KINDS = [pytest.param(open_readiness, id="best"), pytest.param(SelectorReadiness, id="selectors")]
Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Our side and the client's, over TCP."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture(params=KINDS)
def readiness(request: pytest.FixtureRequest) -> Iterator[Readiness]:
    """Each kind in turn."""
    made: Readiness = request.param()
    yield made
    made.close()


def poll(readiness: Readiness) -> dict[int, int]:
    """What is ready now, or within a moment."""
    return dict(readiness.poll(0.2, 10))


def test_masks_are_the_kernels() -> None:
    """The numbers written here are those of this system's epoll."""
    if not hasattr(select, "epoll"):
        pytest.skip("no epoll here")
    assert (READ, WRITE) == (select.EPOLLIN, select.EPOLLOUT)
    assert HANGUP == select.EPOLLERR | select.EPOLLHUP | select.EPOLLRDHUP
    assert HANGUP_ONCE & 0xFFFFFFFF == select.EPOLLRDHUP | select.EPOLLONESHOT


def test_reading_and_writing(readiness: Readiness, pair: Pair) -> None:
    """A socket with input is readable, one with room writable; what is not asked for is not told."""
    ours, theirs = pair
    readiness.register(ours.fileno(), READ)
    assert poll(readiness) == {}
    theirs.send(b"x")
    assert poll(readiness) == {ours.fileno(): READ}
    readiness.modify(ours.fileno(), WRITE)
    assert poll(readiness) == {ours.fileno(): WRITE}
    readiness.unregister(ours.fileno())
    assert poll(readiness) == {}


def test_event_stays_until_it_is_dealt_with(readiness: Readiness, pair: Pair) -> None:
    """Level-triggered: what the holder leaves unread it is told of again."""
    ours, theirs = pair
    readiness.register(ours.fileno(), READ)
    theirs.send(b"xy")
    assert poll(readiness)
    ours.recv(1)
    assert poll(readiness)
    ours.recv(1)
    assert not poll(readiness)


def test_masked_socket_is_silent_about_input(readiness: Readiness, pair: Pair) -> None:
    """While a worker has a connection its input wakes nobody; it is there when it is asked for again."""
    ours, theirs = pair
    readiness.register(ours.fileno(), READ)
    readiness.modify(ours.fileno(), HANGUP_ONCE)
    theirs.send(b"x")
    assert poll(readiness) == {}
    readiness.modify(ours.fileno(), READ)
    assert poll(readiness) == {ours.fileno(): READ}


@pytest.mark.parametrize("leave", [lambda sock: sock.shutdown(socket.SHUT_WR), socket.socket.close])
def test_masked_socket_tells_once_of_a_hangup(pair: Pair, leave: Callable[[socket.socket], None]) -> None:
    """With epoll a client that leaves behind unread input is known, once, and does not wake us again and again."""
    if not hasattr(select, "epoll"):
        pytest.skip("no epoll here")
    ours, theirs = pair
    readiness = open_readiness()
    readiness.register(ours.fileno(), HANGUP_ONCE)
    theirs.send(b"unread")
    leave(theirs)
    (mask,) = poll(readiness).values()
    assert mask & HANGUP
    assert poll(readiness) == {}
    readiness.close()


def test_no_more_events_than_asked_for(readiness: Readiness) -> None:
    """A batch is bounded; the rest comes with the next."""
    pipes = [os.pipe() for _ in range(5)]
    try:
        for reading, writing in pipes:
            os.write(writing, b"x")
            readiness.register(reading, READ)
        assert len(readiness.poll(1, 3)) == 3
        assert len(readiness.poll(1, 10)) == 5
    finally:
        for end in (end for pipe in pipes for end in pipe):
            os.close(end)


def test_waiting_for_ever_is_a_negative_timeout(readiness: Readiness, pair: Pair) -> None:
    """-1 waits until something happens."""
    ours, theirs = pair
    readiness.register(ours.fileno(), READ)
    theirs.send(b"x")
    assert readiness.poll(-1.0, 10) == [(ours.fileno(), READ)]


def test_selectors_serve_where_there_is_no_epoll(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other systems get the same over ``selectors``."""
    monkeypatch.delattr(readiness_module.select, "epoll", raising=False)
    readiness = open_readiness()
    assert isinstance(readiness, SelectorReadiness)
    readiness.close()


def test_it_is_close_on_exec() -> None:
    """A child process does not inherit it (contract F5)."""
    if not hasattr(select, "epoll"):
        pytest.skip("no epoll here")
    readiness = select.epoll()
    assert not os.get_inheritable(readiness.fileno())
    readiness.close()
