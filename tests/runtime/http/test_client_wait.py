"""The waits of a worker for its client: how long they were, how far the client has come, and what a cut does."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from pastepool.errors import ClientGone
from pastepool.http1.limits import Limits
from pastepool.runtime.http.client_wait import ClientWait
from pastepool.runtime.http.connection import Connection
from pastepool.runtime.http.exchange import Exchange
from pastepool.runtime.http.output import Output
from pastepool.testing import FakeClock


@pytest.fixture
def connection() -> Iterator[Connection]:
    """A connection whose client is there and reads nothing."""
    ours, theirs = socket.socketpair()
    with theirs:
        connection = Connection(ours, "", 0, Limits(), {}, Exchange)
        yield connection
        connection.close()


def test_waits_are_added_up_and_each_end_is_told(connection: Connection) -> None:
    """The supervisor is nudged when a wait begins and when it ends."""
    clock, nudges = FakeClock(100.0), []
    wait = ClientWait(connection, clock, lambda: nudges.append(clock.now()))
    for length in (2.0, 3.0):
        wait.begin()
        assert wait.since == clock.now()
        clock.advance(length)
        wait.end()
        assert wait.since is None
        clock.advance(10.0)
    assert wait.lasted == 5.0
    assert nudges == [100.0, 102.0, 112.0, 115.0]
    wait.end()
    assert (wait.lasted, len(nudges)) == (5.0, 4)


def test_client_has_stalled_since_it_last_read_something(connection: Connection) -> None:
    """The kernel is asked each time; without any output left nobody stalls."""
    wait = ClientWait(connection, FakeClock(100.0), lambda: None)
    assert wait.stalled_since(107.0) == 107.0
    output = connection.output = Output(101.0)
    output.unacknowledged = 0
    assert wait.stalled_since(107.0) == 101.0
    output.unacknowledged = 1000  # the kernel has less than that now
    assert wait.stalled_since(108.0) == 108.0
    assert wait.stalled_since(109.0) == 108.0


def test_cut_ends_the_present_wait_and_no_other(connection: Connection) -> None:
    """Between two waits, and when everything was sent, there is nothing to cut."""
    wait = ClientWait(connection, FakeClock(100.0), lambda: None)
    assert not wait.cut()
    wait.begin()
    assert not wait.cut()
    output = connection.output = Output(100.0)
    output.add(memoryview(b"x"))
    assert wait.cut()
    with pytest.raises(ClientGone):
        output.wait_for_room(0, 10.0)
    output.flushed = True
    assert not wait.cut()
    wait.end()
    output.flushed = False
    assert not wait.cut()
