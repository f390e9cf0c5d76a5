"""
Receiving without letting go of the interpreter's lock.

``socket.recv`` lets go of it around the system call and then has to wait for it: behind every worker that has meanwhile
come back from a call of half a millisecond. Whoever reads a batch of requests for others pays that for each of them.
The call itself takes two microseconds, because it never waits: so here the lock is kept.

Measured with calls of 0.5 ms (docs/performance.md); where nobody else wants the lock ``socket.recv`` is the cheaper one.
"""

from __future__ import annotations

import ctypes
import socket
from collections.abc import Callable


def held_receiver(size: int) -> Callable[[int], bytes]:
    """
    Make a function that receives from a descriptor, at most ``size`` bytes at a time.

    It answers ``b""`` where there is nothing, where the client has ended and where anything is wrong: ``socket.recv``
    tells which. Each receiver has a buffer of its own, so only one thread at a time may use it: the baton's holder.
    """
    receive = ctypes.PyDLL(None).recv
    receive.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int)
    receive.restype = ctypes.c_ssize_t
    buffer = ctypes.create_string_buffer(size)
    # The socket does not wait anyway; but a child process that has it too can change that for both, and to wait here
    # would be to stop every thread.
    never_wait = socket.MSG_DONTWAIT

    def held_receive(fd: int) -> bytes:
        received: int = receive(fd, buffer, size, never_wait)
        return buffer[:received] if received > 0 else b""  # type: ignore[return-value]  # a slice of chars is bytes

    return held_receive
