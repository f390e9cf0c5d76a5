"""``ThreadPool``: cheroot's pool. Names in this module are cheroot's."""

from __future__ import annotations

import queue
import threading
import time
import weakref
from typing import Any

from pastepool import Work, WorkerPool
from pastepool.adapters.cheroot.connection import Connection
from pastepool.adapters.cheroot.gateway import hang_up, stamped
from pastepool.adapters.cheroot.statistics import NOTHING, Counted, WorkerStatistics, WorkerThread, added, since


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
        if min < 1:
            raise ValueError(f"min={min!s} must be > 0")
        if max != float("inf") and (not isinstance(max, int) or max == 0):
            raise TypeError(f"Expected an integer or the infinity value for the `max` argument but got {max!r}.")
        self.max = float("inf") if max < 0 else max
        if self.max < min:
            raise ValueError(f"max={max!s} must be > min={min!s} (or infinity for no max)")
        self.server = server
        self.min = min
        self._options = {**options, **({"queue_limit": accepted_queue_size} if accepted_queue_size > 0 else {})}
        self._queue_put_timeout = accepted_queue_timeout
        self._changed = threading.Condition()
        self._full_since: float | None = None
        self._getting = 0
        self._faces: dict[str, WorkerThread] = {}
        self.ended = NOTHING
        self._seen: weakref.WeakKeyDictionary[Any, Counted] = weakref.WeakKeyDictionary()
        self._started = False
        self.pool = self._make()

    def _make(self) -> WorkerPool:
        most = self.max if self.max != float("inf") else self.min
        return WorkerPool("cheroot", most=int(most), workers=self.min, **self._options)

    def start(self) -> None:
        """Start the workers. Raises: RuntimeError: they were started already."""
        if self._started:
            raise RuntimeError("Threadpools can only be started once.")
        if self.pool.settings.pool.workers != self.min:
            self.pool = self._make()
        self._started = True
        self._faces.clear()
        self._gateway = self.server.gateway
        self.server.gateway = stamped(self._gateway, self.pool, self._count_request)
        self.server.stats["Worker Threads"] = WorkerStatistics(self)
        self.pool.start()

    def stop(self, timeout: float | None = 5) -> None:
        """
        Finish what was taken, then cut its connections. Returns within ``timeout`` and a second, whatever hangs.

        ``timeout``: None for as long as it takes; a negative one is 0.
        """
        if self._started:
            self._started = False
            self.server.gateway = self._gateway
        if not self.pool.stop(timeout):
            for thread in self._threads:
                if thread.conn is not None:
                    hang_up(thread.conn)

    def put(self, obj: Any) -> None:
        """
        Give a connection to a worker. Raises: queue.Full: the queue has had no room for ``accepted_queue_timeout``.

        Only the first connection that finds it full waits that long. Otherwise those behind it would wait for the sum.
        """
        work = Connection(self, obj)
        if self._full_since is None and not self._getting and self.pool.submit(work):
            return
        with self._changed:
            while not self.pool.submit(work):
                now = time.monotonic()
                since = self._full_since = now if self._full_since is None else self._full_since
                left = since + self._queue_put_timeout - now
                if left <= 0 or not self._started or threading.current_thread().name in self._faces:
                    raise queue.Full
                self._changed.wait(left)
            self._full_since = None
            self._changed.notify_all()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Take a waiting connection away from the workers. Raises: queue.Empty: none came in time."""
        found: list[Work] = []

        def came() -> bool:
            work = self.pool.take_back()
            found.extend([] if work is None else [work])
            return bool(found)

        with self._changed:
            self._getting += 1
            try:
                if not self._changed.wait_for(came, timeout if block else 0):
                    raise queue.Empty
            finally:
                self._getting -= 1
        return found[0].conn  # type: ignore[attr-defined]

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
    def _threads(self) -> list[WorkerThread]:
        """Return the live workers. What those that are gone have counted is kept in one sum."""
        names = {worker.name for worker in self.pool.workers}
        with self._changed:
            for name in self._faces.keys() - names:
                self.ended = added(self.ended, self._faces.pop(name).counted)
            return [self._face(name) for name in sorted(names)]

    def _face(self, name: str) -> WorkerThread:
        return self._faces.get(name) or self._faces.setdefault(name, WorkerThread(self.server, name))

    def begin(self, conn: Any) -> None:
        """Note that the calling worker serves a connection, and that there is room in the queue."""
        face = self._face(threading.current_thread().name)
        face.conn = conn
        if self.server.stats["Enabled"]:
            before = self._seen.get(conn) or _done_by(conn)
            self._seen[conn] = (*before[:3], time.monotonic())
        if self._full_since is not None:
            with self._changed:
                self._changed.notify_all()

    def _count_request(self) -> None:
        # cheroot itself counts a connection that its client closes as one more request.
        if self.server.stats["Enabled"]:
            face = self._face(threading.current_thread().name)
            face.counted = added(face.counted, (1, 0, 0, 0.0))

    def end(self, conn: Any) -> None:
        """Count what the calling worker did for a connection since ``begin``; what came before was counted then."""
        face = self._face(threading.current_thread().name)
        face.conn = None
        if self.server.stats["Enabled"]:
            now = _done_by(conn)
            face.counted = added(face.counted, since(self._seen.get(conn, now), now))
            self._seen[conn] = now


def _done_by(conn: Any) -> Counted:
    return (0, conn.rfile.bytes_read, conn.wfile.bytes_written, time.monotonic())
