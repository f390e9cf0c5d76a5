"""``ThreadPool``: flup's pool, ``addJob`` and ``shutdown``. Names in this module are flup's."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from typing import Any

from pastepool import Work, WorkerPool

MOST = 2500
"""flup's pool has no limit by itself. So many threads that do not hang, and four times as many with those that hang."""


class _Job(Work):
    """A connection of flup, or one request of a multiplexed one: an object with ``run()``."""

    holds_requests = True

    def __init__(self, pool: ThreadPool, job: Any) -> None:
        self.job = job
        self._pool = pool

    def run(self) -> None:
        self.job.run()

    def title(self) -> str:
        return f"{type(self.job).__name__} of the front-end"

    def finished(self) -> None:
        self._close()
        self._pool.forget(self)

    def refused(self, reason: str) -> None:
        self._close()
        self._pool.forget(self)

    def _close(self) -> None:
        """Close the socket of a connection: flup leaves it to the collector if its peer has gone first."""
        sock = getattr(self.job, "_sock", None)
        if sock is not None:
            sock.close()


class ThreadPool:
    """
    ``flup.server.threadpool.ThreadPool`` on our pool: flup's arguments, and our ``options``.

    The bounds of spare workers hold as in flup, but no thread is started before the first job, and ``addJob`` is exact.
    ``pool``: the ``WorkerPool`` below it. ``shutdown_timeout``: how long ``shutdown`` waits for what runs.
    """

    def __init__(
        self,
        minSpare: int = 1,
        maxSpare: int = 5,
        maxThreads: int = sys.maxsize,
        shutdown_timeout: float = 10.0,
        **options: Any,
    ) -> None:
        self._least = max(1, minSpare)
        self._spare = max(maxSpare, self._least)
        self._shutdown_timeout = shutdown_timeout
        self._lock = threading.Lock()
        self._jobs: set[_Job] = set()
        most = min(max(self._least, maxThreads), MOST)
        self.pool = WorkerPool("flup", most=most, workers=self._least, **options)

    def addJob(self, job: Any, allowQueuing: bool = True) -> bool:
        """
        Have ``job.run()`` called by a worker. Returns whether it was taken.

        ``allowQueuing``: whether it may wait. If not, it is taken only if a worker is free or may be started.
        """
        self.pool.start()
        piece = _Job(self, job)
        with self._lock:
            self._jobs.add(piece)
        if not self.pool.submit(piece, wait=allowQueuing):
            self.forget(piece)
            return False
        missing = self._least - self.pool.idle
        if missing > 0:
            self.pool.grow(missing)
        return True

    def forget(self, piece: _Job) -> None:
        """Note that a job has ended. A worker that is not needed any more leaves."""
        with self._lock:
            self._jobs.discard(piece)
        if self.pool.idle >= self._spare:
            self.pool.shrink(1)

    def shutdown(self) -> None:
        """
        Finish what was taken, then end. Returns within the time for it, whatever hangs.

        A front-end may keep a connection open for more requests. It is closed when the present one has ended.
        """
        with self._lock:
            jobs = [piece.job for piece in self._jobs]
        for job in jobs:
            if hasattr(job, "_keepGoing"):
                with contextlib.suppress(AttributeError):
                    job._keepGoing = False
                    _wake(job)
        self.pool.stop(self._shutdown_timeout)


def _wake(connection: Any) -> None:
    """Wake a connection of AJP that waits for its next request. Others look by themselves, and have no ``_request``."""
    if connection._request is None:
        with contextlib.suppress(OSError):
            connection._sock.shutdown(socket.SHUT_RD)
