"""Work for the tests of ``WorkerPool``: a piece that lasts until it is released, and counts what happens to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pastepool import Work, WorkerPool
from pastepool.errors import WorkerKilled
from tests.waiting import WATCHDOG


class Piece(Work):
    """
    It lasts until ``released`` is set, in a loop of Python code, where a kill takes effect.

    ``runs``, ``ends``, ``refusals``: how often each happened. ``inside``: called while it lasts, on its worker.
    """

    def __init__(self, *, released: bool = False, inside: Callable[[], object] = lambda: None) -> None:
        self.released = threading.Event()
        self.entered = threading.Event()
        self.over = threading.Event()
        self.runs = self.ends = self.refusals = 0
        self.error: BaseException | None = None
        self._inside = inside
        if released:
            self.released.set()

    def run(self) -> None:
        self.runs += 1
        self.entered.set()
        self._inside()
        self.last()

    def last(self) -> None:
        while not self.released.is_set():
            time.sleep(0.001)

    def title(self) -> str:
        return "a piece"

    def failed(self, error: BaseException) -> None:
        self.error = error

    def finished(self) -> None:
        self.ends += 1
        self.over.set()

    def refused(self, reason: str) -> None:
        self.refusals += 1
        self.over.set()


class Deaf(Piece):
    """It waits in a system call that no kill and no stop ends, until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._lock.acquire()

    def last(self) -> None:
        self._lock.acquire()

    def release(self) -> None:
        self._lock.release()


class Connection(Piece):
    """Work of a host that holds requests: ``inside`` makes them."""

    holds_requests = True


@contextmanager
def running(pool: WorkerPool) -> Iterator[WorkerPool]:
    """Start a pool, and stop it at the end. What runs then must end by itself."""
    pool.start()
    try:
        yield pool
    finally:
        assert pool.stop(WATCHDOG)


def enter(*pieces: Piece) -> None:
    """Wait until each of these pieces runs."""
    for piece in pieces:
        assert piece.entered.wait(WATCHDOG)


def end(*pieces: Piece) -> None:
    """Release pieces and wait until each has ended."""
    for piece in pieces:
        piece.released.set()
    for piece in pieces:
        assert piece.over.wait(WATCHDOG)


def was_killed(piece: Piece) -> bool:
    """Return whether the work was ended by a kill."""
    return isinstance(piece.error, WorkerKilled)
