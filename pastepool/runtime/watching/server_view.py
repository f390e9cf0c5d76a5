"""
Give ``watch_threads`` one object with everything of a running server that it may see, and the few things it may do.

The object under ``paste.httpserver.thread_pool`` in the environ has it as ``server_view``. The server makes it. It
renders nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pastepool.core.policy import OverloadPolicy, PoolPolicy
from pastepool.runtime.inspection.inspector import Inspector
from pastepool.runtime.pool.baton import Baton
from pastepool.runtime.pool.pool import Pool
from pastepool.runtime.pool.tally import Tally, Totals
from pastepool.runtime.pool.worker import Worker
from pastepool.runtime.supervision.event_journal import EventJournal
from pastepool.runtime.supervision.supervisor import Supervisor
from pastepool.runtime.watching.sampler import Sampler
from pastepool.types import Clock, Seconds, Spawner


class OpenNow(NamedTuple):
    """
    How many connections are open, how many may be (0 for no limit), and the bytes that the responses to them keep on the
    disk. The first two are None where only another program knows them.

    ``proxy_refused``: for each listener with ``proxy``, how many were closed because their header of the PROXY protocol was
    not right. ``tls_failures``: how often new certificates could not be used. ``certificate_ends_at``: when the first
    certificate ends, in UTC as ISO 8601; None without one.
    """

    open: int | None = None
    limit: int | None = None
    spooled: int = 0
    proxy_refused: tuple[tuple[str, int], ...] = ()
    tls_failures: int = 0
    certificate_ends_at: str | None = None


@dataclass
class ServerView:
    """
    The parts of one server, or of a pool that works for the server of another program.

    Large because the page shows all of them, and this object is the only way to them.

    ``host``: the name of the program whose connections the pool serves. ``shown``: the values of the options as text, by
    name. ``config_file``: empty if there is none. ``draining``: says whether the server stops. ``connections``: counts
    those that are open. ``began_at``: monotonic seconds. ``inspector``: belongs to the page alone, so that its CPU
    figures are measured between two looks of the page. ``common``: objects that all pages of one server share, by name.
    """

    host: str
    pool: Pool
    baton: Baton
    supervisor: Supervisor
    policy: PoolPolicy
    overload: OverloadPolicy
    clock: Clock
    tally: Tally
    journal: EventJournal
    sampler: Sampler
    spawn: Spawner
    began_at: Seconds
    shown: tuple[tuple[str, str], ...]
    config_file: str
    draining: Callable[[], bool]
    connections: Callable[[], OpenNow]
    inspector: Inspector = field(default_factory=Inspector)
    common: dict[str, Any] = field(default_factory=dict)

    def workers(self) -> list[Worker]:
        """Return the workers whose thread has started."""
        return [worker for worker in list(self.pool.workers.values()) if worker.ident]

    def totals(self) -> Totals:
        """Return everything counted since the last reset."""
        return self.tally.totals([worker.tally for worker in list(self.pool.workers.values())])

    def reset(self) -> None:
        """Set all counters back to zero."""
        self.tally.reset([worker.tally for worker in list(self.pool.workers.values())])
