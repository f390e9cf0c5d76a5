"""One accepted socket: what it knows at first, and how it ends."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from pastepool.errors import ClientGone
from pastepool.http1.limits import Limits
from pastepool.runtime.http.body_memory import BodyMemory
from pastepool.runtime.http.connection import NEVER, Connection, Waiting
from pastepool.runtime.http.content import Content
from pastepool.runtime.http.exchange import Exchange
from pastepool.runtime.http.output import Output
from pastepool.runtime.http.spool_room import SpoolRoom
from pastepool.runtime.sockets.readiness import READ


@pytest.fixture
def client() -> Iterator[socket.socket]:
    """The other end."""
    with socket.socket() as sock:
        sock.settimeout(5)
        yield sock


@pytest.fixture
def connection(client: socket.socket) -> Iterator[Connection]:
    """A connection just accepted."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client.connect(listener.getsockname())
        sock, (peer, port) = listener.accept()
    connection = Connection(sock, peer, port, Limits(), {}, Exchange)
    yield connection
    connection.close()


def test_new_connection_waits_for_a_head(connection: Connection, client: socket.socket) -> None:
    """It belongs to the poller's side, is watched for input, and has no deadline until it is given one."""
    assert (connection.peer, connection.port) == client.getsockname()
    assert (connection.waiting, connection.owner, connection.watched) == (Waiting.HEAD, None, READ)
    assert connection.deadline == NEVER
    assert not (connection.gone or connection.closed or connection.engine.started)


def test_close_may_come_twice(connection: Connection, client: socket.socket) -> None:
    """Poller, worker and supervisor may each find a reason; the client sees one end."""
    connection.close()
    connection.close()
    assert connection.closed
    assert client.recv(1) == b""


def test_close_lets_go_of_what_waits(connection: Connection) -> None:
    """A worker that waits for its output is told, and an unfinished upload's file is closed."""
    output = connection.output = Output(0.0)
    content = connection.content = Content(BodyMemory(0, 1000000, SpoolRoom(0)))
    content.add(b"x")
    before = len(os.listdir("/proc/self/fd"))
    connection.close()
    assert len(os.listdir("/proc/self/fd")) == before - 2
    with pytest.raises(ClientGone):
        output.add(memoryview(b"more"))


def test_closed_connection_sends_nothing(connection: Connection) -> None:
    """A worker that comes back late cannot write: the number of the descriptor may belong to another connection."""
    send = connection.send
    connection.close()
    assert connection.sock.fileno() == -1
    with pytest.raises(OSError, match="Bad file descriptor"):
        send(b"late")


def test_shutdown_ends_both_directions_and_may_come_at_any_time(connection: Connection, client: socket.socket) -> None:
    """A thread that waits on the socket wakes; a closed socket is no error."""
    connection.shutdown()
    assert client.recv(1) == b""
    assert connection.recv(1) == b""
    connection.shutdown()
    connection.close()
    connection.shutdown()


def test_reset_at_close_tells_the_client_that_it_is_not_whole(connection: Connection, client: socket.socket) -> None:
    """Where only the end of the connection ends a response, a farewell would make half of it look whole."""
    connection.send(b"half")
    assert client.recv(4) == b"half"
    connection.reset_at_close()
    connection.close()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    connection.reset_at_close()
