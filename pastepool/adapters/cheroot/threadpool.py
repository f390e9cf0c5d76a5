"""``ThreadPool``: cheroot's pool. Names in this module are cheroot's."""

from __future__ import annotations

import logging
import operator
import queue
import time
from types import SimpleNamespace
from typing import Any

import cheroot.workers.threadpool

from pastepool import Work, WorkerPool
from pastepool.adapters.cheroot.gateway import stamped
from pastepool.adapters.cheroot.statistics import Statistics, stats_of
from pastepool.adapters.sockets import hang_up
from pastepool.errors import WorkerKilled


class ThreadPool:
    """
    ``cheroot.workers.threadpool.ThreadPool`` on our pool: cheroot's names, arguments and errors, and our ``options``.

    ``pool``: the ``WorkerPool`` below it.
    """

    def __init__(
        self,
        server: Any,
        min: int = 10,
        max: float = -1,
        accepted_queue_size: int = -1,
        accepted_queue_timeout: float = 10,
        **options: Any,
    ) -> None:
        checked = cheroot.workers.threadpool.ThreadPool(server, min, max)  # it starts nothing
        self.server = server
        self.min, self.max = checked.min, checked.max
        if accepted_queue_size > 0:
            options["queue_limit"] = accepted_queue_size
        self.pool = WorkerPool("cheroot", most=self._most, workers=self.min, **options)
        self._queue_put_timeout = accepted_queue_timeout
        self._gateway: Any = None

    @property
    def _most(self) -> int:
        return int(self.max) if self.max != float("inf") else self.min

    def start(self) -> None:
        """Start the workers. Raises: RuntimeError: they were started already."""
        if self._gateway is not None:
            raise RuntimeError("Threadpools can only be started once.")
        self.pool.resize(self.min, self._most)
        self._gateway = self.server.gateway
        self.server.gateway = stamped(self._gateway, self.pool)
        self.server.stats["Worker Threads"] = Statistics(self.pool)
        self.pool.start()

    def stop(self, timeout: float | None = 5) -> None:
        """
        Finish what was taken, then cut its connections. Returns within ``timeout`` and a second, whatever hangs.

        ``timeout``: None for as long as it takes; a negative one is 0.
        """
        if self._gateway is not None:
            self.server.gateway, self._gateway = self._gateway, None
        if not self.pool.stop(timeout):
            for conn in filter(None, [thread.conn for thread in self._threads]):
                hang_up(conn.socket)

    def put(self, obj: Any) -> None:
        """
        Give a connection to a worker. Raises: queue.Full: the queue has had no room for ``accepted_queue_timeout``.

        Only the first connection that finds it full waits that long. Otherwise those behind it would wait for the sum.
        """
        if not self.pool.submit(_Connection(self.pool, self.server, obj), room_within=self._queue_put_timeout):
            raise queue.Full

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Take a waiting connection away from the workers. Raises: queue.Empty: none came in time."""
        work = self.pool.take_back(timeout if block else 0.0)
        if work is None:
            raise queue.Empty
        return work.conn  # type: ignore[attr-defined]

    def grow(self, amount: int) -> None:
        """Start workers, not above ``max``."""
        if self.max == float("inf"):
            self.pool.most = max(self.pool.most, len(self.pool.workers) + amount)
        self.pool.grow(amount)

    def shrink(self, amount: int) -> None:
        """Tell idle workers to leave, not below ``min``."""
        self.pool.shrink(amount)

    @property
    def idle(self) -> int:
        """Return how many workers have no connection."""
        return self.pool.idle

    @property
    def qsize(self) -> int:
        """Return how many connections wait."""
        return self.pool.qsize

    @property
    def _threads(self) -> list[SimpleNamespace]:
        """Return the live workers: the connection that each serves, and what it has done."""
        running, same = self.pool.running(), {"server": self.server, "ready": True}
        return [
            SimpleNamespace(**same, name=name, conn=getattr(running[name], "conn", None), stats=stats_of(counted))
            for name, counted in self.pool.counts.by_worker().items()
            if name in running
        ]


class _Connection(Work):
    """One turn of a connection. ``_keep``: it goes back to cheroot's manager after it."""

    holds_requests = True
    _keep = False
    _before: tuple[float, ...] | None = None
    _interrupt: BaseException | None = None

    def __init__(self, pool: WorkerPool, server: Any, conn: Any) -> None:
        self.conn = conn
        self._pool = pool
        self._server = server

    def run(self) -> None:
        if self._server.stats["Enabled"]:
            self._before = self._done()
        self._keep = bool(self.conn.communicate())

    def _done(self) -> tuple[float, ...]:
        return self.conn.rfile.bytes_read, self.conn.wfile.bytes_written, time.monotonic()

    def title(self) -> str:
        return f"connection of {self.conn.remote_addr or 'a client'}"

    def failed(self, error: BaseException) -> None:
        log, whose = self._server.error_log, f"{self.conn.remote_addr}:{self.conn.remote_port}"
        if isinstance(error, WorkerKilled):
            log(f"A request of {whose} was killed by the pool", level=logging.WARNING)
        elif isinstance(error, ConnectionError):
            log(f"Got a connection error while handling a connection from {whose} ({error!s})", level=logging.INFO)
        elif isinstance(error, (KeyboardInterrupt, SystemExit)):
            log(f"Got a server shutdown request while handling {whose} ({error!s})", level=logging.DEBUG)
            self._interrupt = error
        else:
            log(f"Unhandled error while processing {whose}: {error!r}", level=logging.ERROR, traceback=True)

    def finished(self) -> None:
        try:
            if self._keep:
                self._server.put_conn(self.conn)
            else:
                self.conn.close()
        finally:
            if self._before is not None:
                did = map(operator.sub, self._done(), self._before)
                self._pool.counts.add(dict(zip(("Bytes Read", "Bytes Written", "Work Time"), did, strict=True)))
        if self._interrupt is not None:
            self._server.interrupt = self._interrupt  # stops the server, its pool too, from this thread

    def refused(self, reason: str) -> None:
        self.conn.close()
