"""
Keep response bytes that the socket does not take yet: in memory, then in a temporary file. If there is no room in either,
the worker has to wait.

A worker adds bytes and the baton's holder sends them; one lock protects the object. A response that the socket takes at
once never comes here.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from pastepool.errors import ClientGone
from pastepool.runtime.http.file_part import FilePart
from pastepool.runtime.http.spool import Spool, SpooledPart
from pastepool.runtime.sockets.tls_socket import ClientSocket
from pastepool.types import Seconds

_STRETCH = 1048576
"""About how many bytes one flush sends. After that, other connections have their turn."""

_COST_OF_PART = 256
"""About how many bytes a part in memory takes beside its content. An application may yield pieces of two bytes."""


class Output:
    """
    The unsent bytes of one connection.

    Large because one lock protects the order of the bytes in memory and on the disk, and how far the client has come.

    ``began_at``: when the socket first did not take something; the send deadline counts from this instant. ``moved``:
    how many bytes the socket has taken since. ``finished``: the worker has added the whole response; after the last
    byte the baton's holder takes the connection back. ``flushed``: all bytes were sent; this object is not used again.
    ``taken``: how many bytes the client has acknowledged since ``began_at``, as far as they were counted. ``moved_at``:
    when this number last grew. ``unacknowledged``: how many bytes the kernel had for the client at first. ``size``: how
    many bytes are left. ``held``: how much memory they take. Only the baton's holder writes ``unacknowledged``; all other
    fields are written under ``_lock``.

    ``_appending``: the worker writes to the spool, without the lock because a disk may be slow. Meanwhile nobody else
    may close the spool: the worker does it afterwards.
    """

    def __init__(self, began_at: Seconds) -> None:
        self.began_at = began_at
        self.moved = 0
        self.taken = 0
        self.moved_at = began_at
        self.unacknowledged = 0
        self.size = 0
        self.held = 0
        self.finished = False
        self._parts: deque[memoryview | FilePart] = deque()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._broken = False
        self.flushed = False
        self._spool: Spool | None = None
        self._spooled_parts = 0
        self._times_closed = 0
        self._appending = False

    def add(self, part: memoryview | FilePart) -> bool:
        """
        Append a part. Returns False if everything was flushed meanwhile: the caller must then send the part itself.

        Raises: ClientGone: the connection is broken. Runs on: worker.
        """
        with self._lock:
            if self._broken and isinstance(part, FilePart):
                part.close()
            self._refuse_if_broken()
            if self.flushed:
                return False
            self._parts.append(part)
            if isinstance(part, FilePart):
                self.size += part.left
            else:
                self.size += len(part)
                self.held += len(part) + _COST_OF_PART
            return True

    def spool(self, piece: memoryview, open_spool: Callable[[], Spool]) -> bool:
        """
        Append a piece to the temporary file. Returns False if it has to be kept elsewhere: there is no room for it, or
        everything was flushed meanwhile.

        ``open_spool``: makes the file, if there is none yet. Raises: ClientGone; OSError: the file cannot be made or
        written. Runs on: worker.
        """
        with self._lock:
            self._refuse_if_broken()
            if self.flushed:
                return False
            self._appending = True
        part = None
        try:
            if self._spool is None:
                self._spool = open_spool()
            part = self._spool.append(piece)
        finally:
            with self._lock:
                self._appending = False
                kept = self._note_appended(part)
        return kept

    def _note_appended(self, part: SpooledPart | None) -> bool:
        """Add what was written, if it can still be sent. If not, do what the others left to this thread."""
        if self._broken or self.flushed:
            self._close_spool()
            self._refuse_if_broken()
            return False
        if part is None:
            self._close_sent_spool()
            return False
        last = self._parts[-1] if self._parts else None
        if type(last) is SpooledPart and last.offset + last.left == part.offset:
            last.left += part.left
        else:
            self._parts.append(part)
            self._spooled_parts += 1
        self.size += part.left
        return True

    def _refuse_if_broken(self) -> None:
        if self._broken:
            raise ClientGone("The client has gone, or took too long to read.")

    def wait_for_room(self, watermark: int, most: Seconds) -> None:
        """
        Block the worker until at most ``watermark`` bytes are in memory, the temporary file was sent, or ``most``
        seconds have passed. The poller ends this wait at the send deadline.

        Raises: ClientGone: the client has gone, or the send deadline has passed. Runs on: worker.
        """
        with self._changed:
            closed = self._times_closed
            self._changed.wait_for(lambda: self.held <= watermark or self._broken or self._times_closed != closed, most)
            self._refuse_if_broken()

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

    def flush(self, sock: ClientSocket) -> bool:
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
            self._close_spool()
            self._changed.notify_all()
            return True

    def note_progress(self, unacknowledged: int, now: Seconds) -> None:
        """
        Note how far the client has come. Runs on: any thread.

        ``unacknowledged``: how many bytes the kernel has for the client now.
        """
        with self._lock:
            taken = self.moved + self.unacknowledged - unacknowledged
            if taken > self.taken:
                self.taken = taken
                self.moved_at = now

    def _forget_sent(self, part: memoryview | FilePart, sent: int) -> None:
        if isinstance(part, FilePart):
            if part.left == 0:
                part.close()
                self._parts.popleft()
                if type(part) is SpooledPart:
                    self._spooled_parts -= 1
                    self._close_sent_spool()
            return
        self.held -= sent
        if sent == len(part):
            self._parts.popleft()
            self.held -= _COST_OF_PART
        else:
            self._parts[0] = part[sent:]

    def _close_sent_spool(self) -> None:
        """Close the temporary file if all of it was sent."""
        if not self._spooled_parts:
            self._close_spool()

    def _close_spool(self) -> None:
        if self._spool is not None and not self._appending:
            self._spool.close()
            self._spool = None
            self._times_closed += 1

    def in_child(self) -> None:
        """
        Close this process's copies of the files: the process is a child of the one that serves.

        Takes no lock: another thread may have held it at the fork. Runs on: the only thread of the child.
        """
        for part in self._parts:
            if isinstance(part, FilePart):
                part.close()
        self._parts.clear()
        if self._spool is not None:
            self._spool.in_child()

    def break_off(self) -> None:
        """Drop all bytes, close the files and wake the waiting worker. May be called twice, from any thread."""
        with self._changed:
            self._broken = True
            for part in self._parts:
                if isinstance(part, FilePart):
                    part.close()
            self._parts.clear()
            self.size = self.held = 0
            self._close_spool()
            self._changed.notify_all()
