"""
Pretend to be a socket whose other end is slow.

There is no other end: the test says what it sends and takes. Runs on: the thread of the test.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable


class DribbleSocket:
    """
    A socket that receives and sends only a few bytes at a time. It has the methods of a socket that move bytes.

    ``sent``: the bytes the other end has received. ``room``: how many more bytes the other end takes before ``send``
    raises BlockingIOError; None for any number. ``closed``: whether this end was closed. The socket has no file
    descriptor, so it cannot be polled.
    """

    def __init__(
        self, incoming: bytes = b"", *, at_once: int = 1, room: int | None = None, hangs_up: bool = True
    ) -> None:
        """
        Make a socket.

        Args:
            incoming: what the other end sends.
            at_once: the most bytes that one ``recv`` or ``send`` moves.
            room: how many bytes the other end takes until ``make_room`` is called; None for any number.
            hangs_up: whether the input ends after ``incoming``. If not, ``recv`` raises BlockingIOError there.
        """
        self.sent = b""
        self.room = room
        self.closed = False
        self._incoming = incoming
        self._at_once = at_once
        self._hangs_up = hangs_up
        self._shut = False

    def feed(self, data: bytes) -> None:
        """Let the other end send ``data`` as well."""
        self._incoming += data

    def make_room(self, size: int) -> None:
        """Let the other end take ``size`` more bytes."""
        self.room = (self.room or 0) + size

    def recv(self, size: int) -> bytes:
        """Return received bytes. Raises: BlockingIOError when there are none yet; OSError after ``close``."""
        self._refuse_if_closed()
        if self._shut or (self._hangs_up and not self._incoming):
            return b""
        if not self._incoming:
            raise BlockingIOError(errno.EAGAIN, "the other end has sent nothing more")
        size = min(size, self._at_once)
        data, self._incoming = self._incoming[:size], self._incoming[size:]
        return data

    def send(self, data: bytes | memoryview) -> int:
        """
        Send bytes, and return how many were sent.

        Raises: BlockingIOError without room; BrokenPipeError after ``shutdown``; OSError after ``close``.
        """
        self._refuse_if_closed()
        if self._shut:
            raise BrokenPipeError(errno.EPIPE, "the socket was shut down")
        size = min(len(data), self._at_once)
        if self.room is not None:
            size = min(size, self.room)
            if not size and len(data):
                raise BlockingIOError(errno.EAGAIN, "the other end takes nothing more")
            self.room -= size
        self.sent += bytes(data[:size])
        return size

    def sendmsg(self, buffers: Iterable[bytes | memoryview]) -> int:
        """Send all buffers joined, as ``send`` does."""
        return self.send(b"".join(buffers))

    def shutdown(self, how: int) -> None:
        """End both directions, whatever ``how`` says."""
        self._refuse_if_closed()
        self._shut = True

    def close(self) -> None:
        """Close this end. A second call does nothing, as with a real socket."""
        self.closed = True

    def fileno(self) -> int:
        """Return -1, as a closed socket does: there is no descriptor."""
        return -1

    def _refuse_if_closed(self) -> None:
        if self.closed:
            raise OSError(errno.EBADF, "the socket is closed")
