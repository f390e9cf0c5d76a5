"""
Give ``watch_threads`` one object with everything of a running server that it may see, and the few things it may do.

The object under ``paste.httpserver.thread_pool`` in the environ has it as ``server_view``. The server makes it. It
renders nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pastepool.runtime.http.shared import Shared
from pastepool.runtime.inspection.inspector import Inspector
from pastepool.runtime.pool.baton import Baton
from pastepool.runtime.pool.pool import Pool
from pastepool.runtime.pool.tally import Tally, Totals
from pastepool.runtime.pool.worker import Worker
from pastepool.runtime.supervision.event_journal import EventJournal
from pastepool.runtime.supervision.supervisor import Supervisor
from pastepool.runtime.watching.sampler import Sampler
from pastepool.types import Clock, Seconds, Spawner

if TYPE_CHECKING:
    from pastepool.runtime.http.poller import Poller
    from pastepool.settings.values import Settings


@dataclass
class ServerView:
    """
    The parts of one server.

    ``began_at``: monotonic seconds. ``inspector``: belongs to the page alone, so that its CPU figures are measured
    between two looks of the page. ``common``: objects that all pages of one server share, by name.
    """

    pool: Pool
    baton: Baton
    poller: Poller
    supervisor: Supervisor
    shared: Shared
    settings: Settings
    clock: Clock
    tally: Tally
    journal: EventJournal
    sampler: Sampler
    spawn: Spawner
    began_at: Seconds
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
