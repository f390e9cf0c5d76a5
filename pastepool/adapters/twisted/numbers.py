"""The numbers that Twisted's pool shows. Names in this module are Twisted's."""

from __future__ import annotations

import threading
from typing import Any

from twisted.python import log

from pastepool import WorkerPool


class Numbers:
    """The read-only part of Twisted's pool. ``pool``: the ``WorkerPool`` below it."""

    pool: WorkerPool

    @property
    def threads(self) -> list[threading.Thread]:
        """Return the live threads."""
        return [worker.thread for worker in self.pool.workers if worker.ident]

    @property
    def workers(self) -> int:
        """Return the number of threads."""
        return len(self.pool.workers)

    @property
    def waiters(self) -> list[None]:
        """Return a list as long as there are idle threads."""
        return [None] * self.pool.idle

    @property
    def working(self) -> list[None]:
        """Return a list as long as there are busy threads."""
        return [None] * max(0, self.workers - len(self.waiters))

    @property
    def _queue(self) -> Any:
        return self

    q = _queue

    def qsize(self) -> int:
        """Return how many calls wait for a thread."""
        return self.pool.qsize

    def dumpStats(self) -> None:
        """Log the state of the pool."""
        log.msg(f"waiters: {self.waiters}")
        log.msg(f"workers: {self.working}")
        log.msg(f"total: {self.threads}")
