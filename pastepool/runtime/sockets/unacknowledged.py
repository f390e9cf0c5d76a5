"""
Ask the kernel how many sent bytes the peer has not acknowledged.

The kernel takes megabytes for a slow client. It reports room for more only after a third of them has left, which may
take longer than a timeout. This number shows in between whether the client still reads.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import termios

_ANSWER = struct.Struct("i")


def unacknowledged(sock: socket.socket) -> int:
    """
    Return how many bytes of a connection the kernel keeps because the peer has not acknowledged them.

    Returns 0 where the system does not tell, and for a socket that is closed. Runs on: any thread.
    """
    try:
        answer = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(_ANSWER.size))
    except (OSError, ValueError):
        return 0
    count: int = _ANSWER.unpack(answer)[0]
    return count
