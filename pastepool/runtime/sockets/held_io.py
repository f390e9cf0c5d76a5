"""
Receiving and sending without letting go of the interpreter's lock.

A socket's own methods let go of it around the system call and then have to wait for it, behind every thread that wants
it meanwhile. Whoever reads a batch of requests for others, while workers come back from calls of half a millisecond,
pays that for each of them; whoever sends a response in a hundred pieces, while others do the same, for each piece. The
system call itself takes a few microseconds, because it never waits: so here the lock is kept.

Measured (docs/performance.md). Where nobody else wants the lock the socket's own methods are the cheaper ones.

Against reading or writing somebody else's descriptor: another thread may close the socket at any moment, and its number
goes to whatever is opened next. So the number is asked for (-1 of a socket that is closed) and used within one call
written in C, ``next``, in which no other thread runs.
"""

from __future__ import annotations

import ctypes
import socket
from collections.abc import Callable
from itertools import repeat, starmap

HELD_AT_MOST = 16384
"""Bytes that may be copied with the lock in hand: some microseconds. Nothing derives it."""

_NEVER_WAIT = socket.MSG_DONTWAIT
"""
The sockets do not wait anyway; but a child process that has one too can change that for both, and to wait with the lock
in hand would be to stop every thread.
"""

_libc = ctypes.PyDLL(None)
_receive, _send = _libc.recv, _libc.send
for _function in (_receive, _send):
    _function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int)
    _function.restype = ctypes.c_ssize_t

_ONCE = [()]
_RECEIVE_FLAGS = repeat(_NEVER_WAIT)
_SEND_FLAGS = repeat(_NEVER_WAIT | getattr(socket, "MSG_NOSIGNAL", 0))


def held_receiver() -> Callable[[socket.socket], bytes]:
    """
    Make a function that receives from a socket, at most ``HELD_AT_MOST`` bytes at a time.

    It answers ``b""`` where there is nothing, where the client has ended and where anything is wrong: ``socket.recv``
    tells which. Each receiver has a buffer of its own, so only one thread at a time may use it: the baton's holder.
    """
    buffer = ctypes.create_string_buffer(HELD_AT_MOST)
    buffers, sizes = repeat(buffer), repeat(HELD_AT_MOST)

    def held_receive(sock: socket.socket) -> bytes:
        received: int = next(map(_receive, starmap(sock.fileno, _ONCE), buffers, sizes, _RECEIVE_FLAGS))
        return buffer[:received] if received > 0 else b""  # type: ignore[return-value]  # a slice of chars is bytes

    return held_receive


def held_send(sock: socket.socket, data: bytes) -> int:
    """
    Send what the socket takes of ``data``, which is no longer than ``HELD_AT_MOST``.

    Returns: how many bytes; 0 where none could be sent, and ``socket.send`` tells why. Runs on: any thread.
    """
    sent: int = next(map(_send, starmap(sock.fileno, _ONCE), (data,), (len(data),), _SEND_FLAGS))
    return max(0, sent)
