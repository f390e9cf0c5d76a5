"""
Response bytes that the socket would not take yet, and the worker that may have to wait for them.

A worker adds, the baton's holder flushes; the one lock here keeps the two apart. An undisturbed response never comes
here.
"""

from __future__ import annotations

import os
import socket
import threading
from collections import deque

from pastepool.errors import ClientGone
from pastepool.types import Seconds

_STRETCH = 1048576
"""Bytes per flush, about: the other connections' turn comes between. Nothing derives it."""


class FilePart:
    """A stretch of an open file; the descriptor is ours (a duplicate) and closed with the part."""

    __slots__ = ("fd", "offset", "left")

    def __init__(self, fd: int, offset: int, left: int) -> None:
        self.fd = fd
        self.offset = offset
        self.left = left

    def send(self, sock: socket.socket) -> int:
        """Send some of it. Raises: BlockingIOError; ClientGone if the file has become shorter than it was."""
        sent = os.sendfile(sock.fileno(), self.fd, self.offset, min(self.left, _STRETCH))
        if sent == 0:
            raise ClientGone(
                "The file became shorter while it was sent; the connection is cut so that the client can tell."
            )
        self.offset += sent
        self.left -= sent
        return sent

    def close(self) -> None:
        os.close(self.fd)


class Output:
    """
    One connection's unsent bytes.

    ``began_at``: when the socket first would not take something; the deadline counts from there. ``moved``: bytes
    taken since. All fields are written under ``_lock``. ``finished``: the response is whole; what comes after the
    flush is decided by then. ``flushed``: all was sent before that; this object has served.
    """

    def __init__(self, began_at: Seconds) -> None:
        self.began_at = began_at
        self.moved = 0
        self.size = 0
        self.finished = False
        self._parts: deque[memoryview | FilePart] = deque()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._broken = False
        self.flushed = False

    def add(self, part: memoryview | FilePart) -> bool:
        """
        Queue a part behind the others. Answers False if everything was flushed meanwhile: then send it yourself.

        Raises: ClientGone if the connection broke.
        """
        with self._lock:
            if self._broken:
                if isinstance(part, FilePart):
                    part.close()
                raise ClientGone("The client has gone.")
            if self.flushed:
                return False
            self._parts.append(part)
            self.size += part.left if isinstance(part, FilePart) else len(part)
            return True

    def wait_below(self, watermark: int) -> None:
        """
        Block the worker until less than ``watermark`` bytes wait. The poller ends this at the send deadline.

        Raises: ClientGone.
        """
        with self._changed:
            while self.size > watermark and not self._broken:
                self._changed.wait()
            if self._broken:
                raise ClientGone("The client has gone, or took too long to read.")

    def finish(self) -> bool:
        """Say that the response is whole. Answers False if it was flushed already, so nobody else will act on it."""
        with self._lock:
            if self.flushed or self._broken:
                return False
            self.finished = True
            return True

    def flush(self, sock: socket.socket) -> bool:
        """
        Send what the socket takes, a stretch at most: a fast reader of a large file must not keep the baton. Answers
        whether nothing is left.

        Runs on: baton. Raises: OSError, ClientGone.
        """
        with self._changed:
            enough = self.moved + _STRETCH
            while self._parts:
                if self.moved >= enough:
                    self._changed.notify_all()
                    return False
                part = self._parts[0]
                try:
                    sent = part.send(sock) if isinstance(part, FilePart) else sock.send(part)
                except (BlockingIOError, InterruptedError):
                    self._changed.notify_all()
                    return False
                self.size -= sent
                self.moved += sent
                self._forget_sent(part, sent)
            self.flushed = True
            self._changed.notify_all()
            return True

    def _forget_sent(self, part: memoryview | FilePart, sent: int) -> None:
        if isinstance(part, FilePart):
            if part.left == 0:
                part.close()
                self._parts.popleft()
        elif sent == len(part):
            self._parts.popleft()
        else:
            self._parts[0] = part[sent:]

    def break_off(self) -> None:
        """Give up: wake the waiting worker, let go of files. May be called twice, from any thread."""
        with self._changed:
            self._broken = True
            for part in self._parts:
                if isinstance(part, FilePart):
                    part.close()
            self._parts.clear()
            self.size = 0
            self._changed.notify_all()
