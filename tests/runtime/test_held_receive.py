"""Receiving with the interpreter's lock in hand: what came, and nothing where the socket has to be asked."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from pastepool.runtime.held_receive import held_receiver


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_what_came_is_received_in_pieces_of_the_size_asked_for(pair: tuple[socket.socket, socket.socket]) -> None:
    """Zero bytes among it."""
    ours, theirs = pair
    receive = held_receiver(4)
    theirs.sendall(b"ab\0c\0\0")
    assert [receive(ours.fileno()), receive(ours.fileno())] == [b"ab\0c", b"\0\0"]


def test_what_was_received_is_kept_when_more_comes(pair: tuple[socket.socket, socket.socket]) -> None:
    """The buffer is used again, its content is handed out as a copy."""
    ours, theirs = pair
    receive = held_receiver(10)
    theirs.sendall(b"first")
    first = receive(ours.fileno())
    theirs.sendall(b"second")
    assert (first, receive(ours.fileno())) == (b"first", b"second")


def test_it_never_waits_even_on_a_socket_that_would(pair: tuple[socket.socket, socket.socket]) -> None:
    """Waiting with the interpreter's lock in hand would stop every thread of the process."""
    ours, _ = pair
    assert ours.getblocking()
    assert held_receiver(10)(ours.fileno()) == b""


def test_the_end_and_trouble_are_left_to_the_socket(pair: tuple[socket.socket, socket.socket]) -> None:
    """Both look like nothing here; who asks the socket next is told."""
    ours, theirs = pair
    receive = held_receiver(10)
    theirs.close()
    assert receive(ours.fileno()) == b""
    assert receive(-1) == b""
