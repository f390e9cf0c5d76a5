"""
Send words between the parent and one worker process, both ways, over a pair of sockets.

Nobody ever waits to send: what a peer that has ended or stands still does not take is lost. The end of a peer is seen as
the end of the stream, because no other process keeps its side open. A message may bring descriptors.
"""

from __future__ import annotations

import array
import json
import socket
from collections import deque
from collections.abc import Sequence

_AT_ONCE = 65536
LONGEST = 32768
"""How many characters of a text are sent. Its size in bytes stays below what the kernel's buffer takes at once."""


_MOST_DESCRIPTORS = 8
"""More than any message brings."""


class Wire:
    """
    One side. A message is a word and a text, which may be empty.

    ``descriptors``: those that have come and nobody has taken yet, in the order of the messages that brought them.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._unread = b""
        self.descriptors: deque[int] = deque()

    def fileno(self) -> int:
        """Return the descriptor, for poll."""
        return self._sock.fileno()

    def send(self, word: str, text: str = "", descriptors: Sequence[int] = ()) -> bool:
        """
        Send a message. It is lost if the peer has ended, or has not read for very long. Runs on: any thread.

        Returns: whether the kernel has taken it.
        """
        data = f"{word} {json.dumps(text[:LONGEST])}\n".encode()
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        try:
            return self._sock.sendmsg([data], rights, socket.MSG_DONTWAIT) == len(data)
        except OSError:
            return False  # the end of the peer is noticed elsewhere

    def receive(self, wait: bool) -> list[tuple[str, str]] | None:
        """
        Return the messages that are complete by now; None if the peer has ended and all was read.

        ``wait``: wait until something comes. None also if descriptors were lost, because this process may have no more:
        nobody could tell which message has brought which.
        """
        flags = (0 if wait else socket.MSG_DONTWAIT) | getattr(socket, "MSG_CMSG_CLOEXEC", 0)
        try:
            data, rights, state, _ = self._sock.recvmsg(_AT_ONCE, socket.CMSG_SPACE(4 * _MOST_DESCRIPTORS), flags)
        except BlockingIOError:
            return []
        except OSError:
            return None
        for _, _, brought in rights:
            numbers = array.array("i")
            numbers.frombytes(brought[: len(brought) - len(brought) % numbers.itemsize])
            self.descriptors.extend(numbers)
        if not data or state & socket.MSG_CTRUNC:
            return None
        *lines, self._unread = (self._unread + data).split(b"\n")
        parts = [line.decode().partition(" ") for line in lines]
        return [(word, json.loads(text)) for word, _, text in parts]

    def close(self) -> None:
        """Close this side. May be called twice."""
        self._sock.close()


def wires() -> tuple[Wire, Wire]:
    """Make both sides. Raises: OSError: the process may not have more descriptors."""
    ours, theirs = socket.socketpair()
    return Wire(ours), Wire(theirs)
