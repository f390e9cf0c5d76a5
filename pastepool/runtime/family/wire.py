"""
Send words between the parent and one worker process, both ways, over a pair of sockets.

Nobody ever waits to send: what a peer that has ended or stands still does not take is lost. The end of a peer is seen as
the end of the stream, because no other process keeps its side open.
"""

from __future__ import annotations

import json
import socket

_AT_ONCE = 65536
LONGEST = 32768
"""How many characters of a text are sent. Its size in bytes stays below what the kernel's buffer takes at once."""


class Wire:
    """One side. A message is a word and a text, which may be empty."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._unread = b""

    def fileno(self) -> int:
        """Return the descriptor, for poll."""
        return self._sock.fileno()

    def send(self, word: str, text: str = "") -> None:
        """Send a message. It is lost if the peer has ended, or has not read for very long. Runs on: any thread."""
        try:
            self._sock.send(f"{word} {json.dumps(text[:LONGEST])}\n".encode(), socket.MSG_DONTWAIT)
        except OSError:
            pass  # the end of the peer is noticed elsewhere

    def receive(self, wait: bool) -> list[tuple[str, str]] | None:
        """
        Return the messages that are complete by now; None if the peer has ended and all was read.

        ``wait``: wait until something comes.
        """
        try:
            data = self._sock.recv(_AT_ONCE, 0 if wait else socket.MSG_DONTWAIT)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not data:
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
