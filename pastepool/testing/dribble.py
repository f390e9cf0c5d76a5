"""
A socket whose other end is slow.

Knows bytes on their way in and out; there is no other end. Runs on the test's thread.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable


class DribbleSocket:
    """
    Hands data out and takes data only so many bytes at a time; has the part of a socket's shape that moves bytes.

    ``sent``: what the other end has got. ``room``: bytes it will still take before it says it would block; None for
    any number. ``closed``: whether this end was closed. It has no file descriptor, so nothing can poll it.
    """

    def __init__(
        self, incoming: bytes = b"", *, at_once: int = 1, room: int | None = None, hangs_up: bool = True
    ) -> None:
        """
        Args:
            incoming: what the other end sends.
            at_once: bytes a single ``recv`` or ``send`` moves at most.
            room: bytes the other end takes until ``make_room``; None for any number.
            hangs_up: whether the input ends after ``incoming``; otherwise ``recv`` would block there.
        """
        self.sent = b""
        self.room = room
        self.closed = False
        self._incoming = incoming
        self._at_once = at_once
        self._hangs_up = hangs_up
        self._shut = False

    def feed(self, data: bytes) -> None:
        """Let the other end send more."""
        self._incoming += data

    def make_room(self, size: int) -> None:
        """Let the other end take so many bytes more."""
        self.room = (self.room or 0) + size

    def recv(self, size: int) -> bytes:
        """Raises: BlockingIOError when nothing is there yet; OSError after ``close``."""
        self._refuse_if_closed()
        if self._shut or (self._hangs_up and not self._incoming):
            return b""
        if not self._incoming:
            raise BlockingIOError(errno.EAGAIN, "the other end has sent nothing more")
        size = min(size, self._at_once)
        data, self._incoming = self._incoming[:size], self._incoming[size:]
        return data

    def send(self, data: bytes | memoryview) -> int:
        """Raises: BlockingIOError without room; BrokenPipeError after ``shutdown``; OSError after ``close``."""
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
        """Like ``send`` of all buffers joined."""
        return self.send(b"".join(buffers))

    def shutdown(self, how: int) -> None:
        """End both directions, whatever ``how`` says."""
        self._refuse_if_closed()
        self._shut = True

    def close(self) -> None:
        """May be called twice, as a socket's."""
        self.closed = True

    def fileno(self) -> int:
        """-1, as a closed socket answers: there is no descriptor."""
        return -1

    def _refuse_if_closed(self) -> None:
        if self.closed:
            raise OSError(errno.EBADF, "the socket is closed")
