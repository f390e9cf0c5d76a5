"""
Keep response bytes that the socket does not take yet. A worker may have to wait until fewer of them are left.

A worker adds bytes and the baton's holder sends them; one lock protects the object. A response that the socket takes at
once never comes here.
"""

from __future__ import annotations

import socket
import threading
from collections import deque

from pastepool.errors import ClientGone
from pastepool.runtime.http.file_part import FilePart
from pastepool.types import Seconds

_STRETCH = 1048576
"""About how many bytes one flush sends. After that, other connections have their turn."""


class Output:
    """
    The unsent bytes of one connection.

    ``began_at``: when the socket first did not take something; the send deadline counts from this instant. ``moved``:
    how many bytes the socket has taken since. ``finished``: the worker has added the whole response; after the last
    byte the baton's holder takes the connection back. ``flushed``: all bytes were sent; this object is not used again.
    ``taken``: how many bytes the client has acknowledged since ``began_at``, as far as they were counted. ``moved_at``:
    when this number last grew. ``unacknowledged``: how many bytes the kernel had for the client at first. Only the
    baton's holder writes these last three; all other fields are written under ``_lock``.
    """

    def __init__(self, began_at: Seconds) -> None:
        self.began_at = began_at
        self.moved = 0
        self.taken = 0
        self.moved_at = began_at
        self.unacknowledged = 0
        self.size = 0
        self.finished = False
        self._parts: deque[memoryview | FilePart] = deque()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._broken = False
        self.flushed = False

    def add(self, part: memoryview | FilePart) -> bool:
        """
        Append a part. Returns False if everything was flushed meanwhile: the caller must then send the part itself.

        Raises: ClientGone: the connection is broken. Runs on: worker.
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
        Block the worker until at most ``watermark`` bytes are left. The poller ends this wait at the send deadline.

        Raises: ClientGone: the client has gone, or the send deadline has passed. Runs on: worker.
        """
        with self._changed:
            while self.size > watermark and not self._broken:
                self._changed.wait()
            if self._broken:
                raise ClientGone("The client has gone, or took too long to read.")

    def finish(self) -> bool:
        """
        Say that the worker has added the whole response.

        Returns False if it was flushed already or the connection is broken: the baton's holder then does nothing more,
        and the worker must give the connection back. Runs on: worker.
        """
        with self._lock:
            if self.flushed or self._broken:
                return False
            self.finished = True
            return True

    def flush(self, sock: socket.socket) -> bool:
        """
        Send what the socket takes, up to about ``_STRETCH`` bytes. Returns whether nothing is left.

        There is a limit because a client that reads a large file fast must not keep the baton for itself.

        Raises: OSError, ClientGone, AppError (see ``FilePart.send``). Runs on: baton.
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

    def note_progress(self, unacknowledged: int, now: Seconds) -> None:
        """
        Note how far the client has come. Runs on: baton.

        ``unacknowledged``: how many bytes the kernel has for the client now.
        """
        taken = self.moved + self.unacknowledged - unacknowledged
        if taken > self.taken:
            self.taken = taken
            self.moved_at = now

    def _forget_sent(self, part: memoryview | FilePart, sent: int) -> None:
        if isinstance(part, FilePart):
            if part.left == 0:
                part.close()
                self._parts.popleft()
        elif sent == len(part):
            self._parts.popleft()
        else:
            self._parts[0] = part[sent:]

    def in_child(self) -> None:
        """
        Close this process's copies of the files: the process is a child of the one that serves.

        Takes no lock: another thread may have held it at the fork. Runs on: the only thread of the child.
        """
        for part in self._parts:
            if isinstance(part, FilePart):
                part.close()
        self._parts.clear()

    def break_off(self) -> None:
        """Drop all bytes, close the files and wake the waiting worker. May be called twice, from any thread."""
        with self._changed:
            self._broken = True
            for part in self._parts:
                if isinstance(part, FilePart):
                    part.close()
            self._parts.clear()
            self.size = 0
            self._changed.notify_all()
