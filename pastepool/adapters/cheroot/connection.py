"""A connection of cheroot as a piece of work for our pool."""

from __future__ import annotations

import logging
from typing import Any

from pastepool import Work
from pastepool.errors import WorkerKilled


class Connection(Work):
    """
    One turn of a connection. ``pool``: cheroot's pool, on ours. ``keep``: the connection goes back to cheroot's manager
    after it.
    """

    holds_requests = True

    def __init__(self, pool: Any, conn: Any) -> None:
        self.conn = conn
        self._pool = pool
        self._keep = False
        self._interrupt: BaseException | None = None

    def run(self) -> None:
        self._pool.begin(self.conn)
        self._keep = bool(self.conn.communicate())

    def title(self) -> str:
        return f"connection of {self.conn.remote_addr or 'a client'}"

    def failed(self, error: BaseException) -> None:
        log, whose = self._pool.server.error_log, f"{self.conn.remote_addr}:{self.conn.remote_port}"
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
        server = self._pool.server
        try:
            if self._keep:
                server.put_conn(self.conn)
            else:
                self.conn.close()
        finally:
            self._pool.end(self.conn)
        if self._interrupt is not None:
            server.interrupt = self._interrupt  # stops the server, this pool too, from this thread

    def refused(self, reason: str) -> None:
        self.conn.close()
