"""Receiving and sending with the interpreter's lock in hand, and nothing where the socket has to be asked."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import sys
from collections.abc import Callable, Iterator

import pytest

from pastepool._fast import fast
from pastepool.runtime.sockets import held_io
from pastepool.runtime.sockets.held_io import (
    HELD_AT_MOST,
    HeldReceive,
    held_at_most,
    held_receiver,
    held_send,
    holding_is_always_cheaper,
    whole_held_at_most,
)
from pastepool.runtime.sockets.tls_socket import TlsSocket


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def receiver() -> HeldReceive:
    """A function that receives."""
    receive = held_receiver()
    assert receive is not None
    return receive


def test_without_the_gil_neither_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """There another thread may close the socket within the call, and its number would be somebody else's."""
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    assert held_receiver() is None
    assert held_at_most() == whole_held_at_most() == -1 and not holding_is_always_cheaper()
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: True)
    assert held_at_most() == HELD_AT_MOST
    assert holding_is_always_cheaper() == (fast.LANGUAGE == "C")
    assert whole_held_at_most() == (HELD_AT_MOST if fast.LANGUAGE == "C" else -1)


def test_end_of_the_client_is_told_from_nothing_yet(pair: tuple[socket.socket, socket.socket]) -> None:
    """So a closed connection costs no second system call. A closed socket of ours is an error, and nothing yet."""
    ours, theirs = pair
    receive = receiver()
    assert receive(ours, HELD_AT_MOST) is None
    theirs.close()
    assert receive(ours, HELD_AT_MOST) == b""
    ours.close()
    assert receive(ours, HELD_AT_MOST) is None


def test_what_came_is_received_in_pieces_of_bounded_size(pair: tuple[socket.socket, socket.socket]) -> None:
    """Zero bytes among it."""
    ours, theirs = pair
    receive = receiver()
    theirs.sendall(b"a\0b" * HELD_AT_MOST)
    received = receive(ours, HELD_AT_MOST)
    assert received is not None and len(received) == HELD_AT_MOST
    assert received.startswith(b"a\0ba\0b")
    assert len(receive(ours, 2) or b"") == 2
    assert len(receive(ours, 10 * HELD_AT_MOST) or b"") == HELD_AT_MOST


def test_what_was_received_is_kept_when_more_comes(pair: tuple[socket.socket, socket.socket]) -> None:
    """The buffer is used again, its content is handed out as a copy."""
    ours, theirs = pair
    receive = receiver()
    theirs.sendall(b"first")
    first = receive(ours, HELD_AT_MOST)
    theirs.sendall(b"second")
    assert (first, receive(ours, HELD_AT_MOST)) == (b"first", b"second")


def test_what_is_sent_arrives(pair: tuple[socket.socket, socket.socket]) -> None:
    """Zero bytes among it; the answer is how much."""
    ours, theirs = pair
    assert held_send(ours, b"a\0b") == 3
    assert theirs.recv(10) == b"a\0b"


def test_neither_waits_even_on_a_socket_that_would(pair: tuple[socket.socket, socket.socket]) -> None:
    """Waiting with the interpreter's lock in hand would stop every thread of the process."""
    ours, _ = pair
    assert ours.getblocking()
    assert receiver()(ours, HELD_AT_MOST) is None
    sent = 0
    while more := held_send(ours, b"x" * HELD_AT_MOST):
        sent += more
    assert sent > 0


def test_the_end_and_trouble_are_left_to_the_socket(pair: tuple[socket.socket, socket.socket]) -> None:
    """Both look like nothing here; who asks the socket next is told. No signal ends the process."""
    ours, theirs = pair
    receive = receiver()
    theirs.close()
    assert receive(ours, HELD_AT_MOST) == b""
    assert held_send(ours, b"x") == 0


def test_socket_that_was_closed_is_nobody_elses(pair: tuple[socket.socket, socket.socket]) -> None:
    """Its number goes to whatever is opened next, and that is neither read nor written."""
    ours, theirs = pair
    number = ours.fileno()
    ours.close()
    with contextlib.closing(socket.socket(fileno=os.dup(theirs.fileno()))) as other:
        assert other.fileno() == number
        assert receiver()(ours, HELD_AT_MOST) is None
        assert held_send(ours, b"x") == 0


@pytest.mark.parametrize("send", [held_send, held_io._send_held])
@pytest.mark.parametrize("receiving", [receiver, held_io._receiver])
def test_nothing_goes_round_tls(
    pair: tuple[socket.socket, socket.socket], send: Callable[..., int], receiving: Callable[[], Callable[..., bytes]]
) -> None:
    """The bytes would leave or enter in plain text. So the methods of the socket have to do it."""
    ours, theirs = pair
    theirs.setblocking(False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls = TlsSocket(ours, lambda name: context, lambda: True, lambda tls, name: None)
    assert send(tls, b"secret") == 0
    theirs.send(b"hello")
    assert receiving()(tls, HELD_AT_MOST) is None
    with pytest.raises(BlockingIOError):
        theirs.recv(100)
    with open(__file__, "rb") as file, pytest.raises(OSError, match="Bad file descriptor"):
        os.sendfile(tls.fileno(), file.fileno(), 0, 10)
