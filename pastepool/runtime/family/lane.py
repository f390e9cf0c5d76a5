"""
The way of broadcast messages between the parent and one worker process: sockets that pass on whole packets.

It is apart from the wire, so that no number of messages keeps an order of the parent from its worker.
"""

from __future__ import annotations

import math
import select
import socket
import struct
import time
from collections.abc import Callable

from pastepool.core.broadcast import LONGEST_PAYLOAD, LONGEST_TOPIC
from pastepool.errors import BroadcastError
from pastepool.types import Seconds

LOST = struct.Struct("!I")
"""What stands before each message on its way to a worker: how many were lost before it."""

MOST_BYTES = LOST.size + 3 + LONGEST_TOPIC + LONGEST_PAYLOAD
"""How long a packet may be."""

_TAKEN_WITHIN: Seconds = 1.0
"""How long a thread of the application waits until the parent takes a message, which usually is at once."""


class Lane:
    """The end of the worker."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def fileno(self) -> int:
        """Return the descriptor, for poll."""
        return self._sock.fileno()

    def send(self, data: bytes) -> None:
        """Send a message to the parent. Raises: BroadcastError: the parent does not take it. Runs on: any thread."""
        deadline = time.monotonic() + _TAKEN_WITHIN
        while not self._takes(data):
            left = deadline - time.monotonic()
            if left <= 0:
                raise BroadcastError(
                    f"the message was not sent: the parent has not taken one for {_TAKEN_WITHIN:g} s; very much is sent, or"
                    " the parent is stopped"
                )
            ready = select.poll()
            ready.register(self._sock, select.POLLOUT)
            ready.poll(math.ceil(left * 1000))

    def _takes(self, data: bytes) -> bool:
        try:
            self._sock.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError as error:
            raise BroadcastError(f"the message was not sent: the parent has ended ({error.strerror})") from None
        return True

    def take(self, hear: Callable[[bytes, int], None]) -> bool:
        """Take one message that was broadcast, if there is one. Returns whether more may come."""
        try:
            data = self._sock.recv(MOST_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if len(data) > LOST.size:
            hear(data[LOST.size :], LOST.unpack_from(data)[0])
        return bool(data)

    def close(self) -> None:
        """Close this end. May be called twice."""
        self._sock.close()


def packets() -> tuple[socket.socket, socket.socket]:
    """
    Return two ends that pass on whole messages. Raises: OSError: the process may not have more descriptors.

    A system without such sockets (macOS) gets datagrams, which do not tell of the end. It is noticed elsewhere.
    """
    try:
        ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    except OSError:
        ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MOST_BYTES)
    return ends
