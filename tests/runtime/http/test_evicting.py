"""Which connection goes first to make room."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from pastepool.core.deadlines import next_check, transfer_deadline
from pastepool.core.policy import Timeouts
from pastepool.http1.limits import Limits
from pastepool.runtime.http.connection import READER, Connection
from pastepool.runtime.http.evicting import Evicting
from pastepool.runtime.http.exchange import Exchange
from pastepool.runtime.http.open_connections import OpenConnections
from pastepool.runtime.http.output import Output
from pastepool.testing import FakeClock

TIMEOUTS = Timeouts()


@pytest.fixture
def connect() -> Iterator[Callable[[], Connection]]:
    """Make connections, and close them at the end."""
    made: list[Connection] = []
    others: list[socket.socket] = []

    def connecting() -> Connection:
        ours, theirs = socket.socketpair()
        others.append(theirs)
        made.append(Connection(ours, f"10.0.0.{len(made)}", 80, Limits(), {}, Exchange))
        return made[-1]

    yield connecting
    for connection in made:
        connection.close()
    for other in others:
        other.close()


def read_at(connection: Connection, moved_at: float, looked_at: float) -> None:
    """Let a client have read something at an instant; the poller looked at it at another one."""
    output = connection.output = Output(0.0)
    output.moved_at = moved_at
    connection.waiting = READER
    due_at = transfer_deadline(0.0, TIMEOUTS.send, 10_000_000, moved_at)
    connection.deadline = next_check(due_at, looked_at, TIMEOUTS.send)


def test_the_reader_that_has_stopped_goes_before_the_one_that_reads(connect: Callable[[], Connection]) -> None:
    """What counts is when a client last read something, and not when the poller last looked."""
    connections, dropped = OpenConnections(), list[Connection]()
    reads, stopped = connect(), connect()
    read_at(reads, 90.0, looked_at=90.0)
    read_at(stopped, 70.0, looked_at=99.0)
    connections.by_fd = {each.fd: each for each in (reads, stopped)}
    evicting = Evicting(connections, TIMEOUTS, FakeClock(100.0), dropped.append)
    assert evicting.make_room()
    assert dropped == [stopped]
