"""DribbleSocket: a slow other end, for code that moves bytes."""

from __future__ import annotations

import socket

import pytest

from pastepool.runtime.http.output import Output
from pastepool.testing import DribbleSocket


def test_input_comes_in_pieces_and_then_ends() -> None:
    """recv gives at most so many bytes, and b"" at the end."""
    sock = DribbleSocket(b"abcde", at_once=2)
    assert [sock.recv(100) for _ in range(5)] == [b"ab", b"cd", b"e", b"", b""]
    assert DribbleSocket(b"abc", at_once=9).recv(2) == b"ab"


def test_input_that_has_not_come_yet_would_block() -> None:
    """An other end that stays silent is not one that hung up."""
    sock = DribbleSocket(b"a", hangs_up=False)
    assert sock.recv(9) == b"a"
    with pytest.raises(BlockingIOError):
        sock.recv(9)
    sock.feed(b"b")
    assert sock.recv(9) == b"b"


def test_output_is_taken_in_pieces() -> None:
    """send takes at most so many bytes and says how many."""
    sock = DribbleSocket(at_once=3)
    assert [sock.send(b"abcd"), sock.send(memoryview(b"de")), sock.send(b"")] == [3, 2, 0]
    assert sock.sendmsg([b"f", b"ghi"]) == 3
    assert sock.sent == b"abcdefgh"


def test_output_without_room_would_block() -> None:
    """When the room is used up send blocks until there is more."""
    sock = DribbleSocket(at_once=9, room=3)
    assert sock.send(b"abcde") == 3
    with pytest.raises(BlockingIOError):
        sock.send(b"de")
    assert sock.send(b"") == 0
    sock.make_room(1)
    assert sock.send(b"de") == 1
    assert sock.sent == b"abcd"
    unlimited = DribbleSocket()
    unlimited.make_room(1)
    assert unlimited.room == 1


def test_shut_down_socket_neither_gives_nor_takes() -> None:
    """After shutdown input has ended and output breaks."""
    sock = DribbleSocket(b"abc")
    sock.shutdown(socket.SHUT_RDWR)
    assert sock.recv(9) == b""
    with pytest.raises(BrokenPipeError):
        sock.send(b"x")


def test_closed_socket_refuses_everything() -> None:
    """After close, which may be repeated, everything is an OSError."""
    sock = DribbleSocket(b"abc")
    sock.close()
    sock.close()
    assert sock.closed
    assert sock.fileno() == -1
    for use in (lambda: sock.recv(1), lambda: sock.send(b"x"), lambda: sock.shutdown(socket.SHUT_WR)):
        with pytest.raises(OSError, match="closed"):
            use()


def test_output_of_a_connection_is_flushed_in_order() -> None:
    """The server's own output gets through it, whatever the other end takes at a time."""
    sock = DribbleSocket(at_once=2, room=5)
    output = Output(0.0)
    output.add(memoryview(b"abc"))
    output.add(memoryview(b"defgh"))
    assert not output.flush(sock)  # type: ignore[arg-type]
    assert (sock.sent, output.size) == (b"abcde", 3)
    sock.make_room(9)
    assert output.flush(sock)  # type: ignore[arg-type]
    assert (sock.sent, output.size, output.flushed) == (b"abcdefgh", 0, True)
