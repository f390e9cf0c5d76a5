"""
Receive and send without releasing the GIL.

The methods of a socket release the GIL around the system call. Afterwards they wait for it, behind every other thread
that wants it. This costs much in two cases: when the holder of the baton reads a batch of requests while workers return
from calls of half a millisecond, it waits once for each request; when several workers send responses in a hundred
pieces, each waits once for each piece. The system call itself takes a few microseconds, because it never waits. So the
functions here keep the GIL.

Measured (docs/performance.md). Without the accelerator these functions need ``ctypes``, and the methods of the socket are
cheaper when no other thread wants the GIL. With it these functions are always cheaper, and always used. A leader of short
requests then releases the GIL once for each batch, when it polls. If it released the GIL for each system call, it would
wake a waiting thread each time, mostly for nothing: it has the GIL back before that thread runs (docs/adr/0017).

The race: another thread may close the socket at any moment. The next file that is opened then gets the same number, and
a read or write with the old number would go to that file. So the number is asked for (-1 if the socket is closed) and
used within one call written in C, ``next``, in which no other thread runs.

With TLS the number is -1 too. Then nothing is received or sent here, and the methods of the socket do it.

The accelerator does the same without ``ctypes``, for less (docs/adr/0017).

Without the GIL (a free-threaded build) there is nothing to keep, and other threads run in that call too. So there the
methods of the socket are used.
"""

from __future__ import annotations

import ctypes
import socket
from collections.abc import Callable
from itertools import repeat, starmap

from pastepool._fast import fast
from pastepool.core.interpreter import runs_without_gil
from pastepool.runtime.sockets.tls_socket import ClientSocket

HELD_AT_MOST = 16384
"""The most bytes that are copied while the GIL is held. Copying so many takes some microseconds."""

HeldReceive = Callable[[ClientSocket, int], "bytes | None"]

_NEVER_WAIT = socket.MSG_DONTWAIT
"""
The sockets are non-blocking already. But a child process that shares a socket can make it blocking for both processes,
and a wait that holds the GIL would stop every thread.
"""


_libc = ctypes.PyDLL(None)
_receive, _send = _libc.recv, _libc.send
for _function in (_receive, _send):
    _function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int)
    _function.restype = ctypes.c_ssize_t

_ONCE = [()]
_RECEIVE_FLAGS = repeat(_NEVER_WAIT)
_SEND_FLAGS = repeat(_NEVER_WAIT | getattr(socket, "MSG_NOSIGNAL", 0))


def held_at_most() -> int:
    """
    Return how many bytes ``held_send`` may send at once; -1, so that it is never called, without the GIL.

    Ask once, at the start: Python may switch the GIL on later, but never off.
    """
    return -1 if runs_without_gil() else HELD_AT_MOST


def held_receiver() -> HeldReceive | None:
    """
    Return a function that receives from a socket, at most as many bytes as it is told, and at most ``HELD_AT_MOST``. None
    without the GIL.

    The function returns ``b""`` if the client has ended, and None if there are no bytes yet or there was an error;
    ``socket.recv`` then tells which. Each function has one buffer, so only one thread at a time may call it: the holder
    of the baton.
    """
    return None if runs_without_gil() else fast.held_receive or _receiver()


def holding_is_always_cheaper() -> bool:
    """Return whether to receive and send without releasing the GIL also if no other thread wants it."""
    return fast.held_receive is not None and not runs_without_gil()


def whole_held_at_most() -> int:
    """Return the same as ``held_at_most`` for a response that is sent in one piece."""
    return HELD_AT_MOST if holding_is_always_cheaper() else -1


def _receiver() -> HeldReceive:
    buffer = ctypes.create_string_buffer(HELD_AT_MOST)
    buffers = repeat(buffer)

    def held_receive(sock: ClientSocket, most: int) -> bytes | None:
        size = (min(most, HELD_AT_MOST),)
        received: int = next(map(_receive, starmap(sock.fileno, _ONCE), buffers, size, _RECEIVE_FLAGS))
        return buffer[:received] if received >= 0 else None  # type: ignore[return-value]  # a slice of chars is bytes

    return held_receive


def _send_held(sock: ClientSocket, data: bytes) -> int:
    sent: int = next(map(_send, starmap(sock.fileno, _ONCE), (data,), (len(data),), _SEND_FLAGS))
    return max(0, sent)


held_send: Callable[[ClientSocket, bytes], int] = fast.held_send or _send_held
"""
Send as much of some bytes as a socket takes, at most ``HELD_AT_MOST``.

Returns: how many bytes were sent. 0 when none could be sent; ``socket.send`` then tells why. Runs on: any thread.
"""
