"""Bound what the contents of requests and the output of responses take on the disk, for all connections together."""

from __future__ import annotations

import _thread
import math
import threading
from collections import deque
from typing import IO

from pastepool.types import Seconds

_SAID_FOR: Seconds = 60.0
"""How long a failure to write is not logged again. A full disk fails for every response."""

_QUICK = 1048576
"""
A file up to this size is closed at once. To delete one of 64 MiB takes the system some 30 milliseconds (measured), and
the baton's holder must not wait for that.
"""


class SpoolFull(OSError):
    """All temporary files together hold as much as they may. The code that catches it should answer 503."""


class SpoolRoom:
    """
    Counts the bytes in temporary files.

    ``total``: how many there may be; 0 for no limit. ``taken``: how many there are. ``files``: has an element for each
    temporary file that is open. Runs on: any thread.
    """

    __slots__ = ("total", "taken", "files", "_lock", "_said_at")

    def __init__(self, total: int) -> None:
        self.total = total
        self.taken = 0
        self.files: deque[None] = deque()
        self._said_at = -math.inf
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Take ``size`` bytes. Returns False, and takes nothing, if that would be too much."""
        with self._lock:
            if self.total and self.taken + size > self.total:
                return False
            self.taken += size
            return True

    def take_or_raise(self, size: int) -> None:
        """Take ``size`` bytes. Raises: SpoolFull, and takes nothing, if that would be too much."""
        if not self.take(size):
            raise SpoolFull(f"temporary files hold {self.taken} bytes already, and spool_total = {self.total}")

    def give_back(self, size: int) -> None:
        """Give bytes back. Each byte that was taken must be given back once."""
        with self._lock:
            self.taken -= size

    def is_news(self, now: Seconds) -> bool:
        """Say whether a failure to write is to be logged: it is once a minute."""
        with self._lock:
            news = now >= self._said_at + _SAID_FOR
            if news:
                self._said_at = now
            return news


def close_spool_file(file: IO[bytes], size: int) -> None:
    """
    Close a temporary file, which deletes it; a large one in a thread of its own. Raises nothing.

    ``size``: bytes in the file. Runs on: any thread.
    """
    if size > _QUICK:
        try:
            _thread.start_new_thread(_close, (file,))  # not ``threading``: its ``start`` waits until the thread runs
            return
        except RuntimeError:
            pass  # the system has no thread left
    _close(file)


def _close(file: IO[bytes]) -> None:
    try:
        file.close()
    except OSError:
        pass  # buffered bytes do not fit on the disk; they are not needed any more
