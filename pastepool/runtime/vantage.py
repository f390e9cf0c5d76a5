"""
Everything of a running server that ``watch_threads`` may look at and the few things it may ask for, in one place.

The environ's ``paste.httpserver.thread_pool`` leads here. Filled in by the server; knows no HTTP and renders nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pastepool.runtime.baton import Baton
from pastepool.runtime.chronicle import Chronicle
from pastepool.runtime.inspection import Inspector
from pastepool.runtime.pool import Pool
from pastepool.runtime.sampler import Sampler
from pastepool.runtime.site import Site
from pastepool.runtime.supervisor import Supervisor
from pastepool.runtime.tally import Tally, Totals
from pastepool.runtime.worker import Worker
from pastepool.types import Clock, Seconds, Spawner

if TYPE_CHECKING:
    from pastepool.runtime.poller import Poller
    from pastepool.settings.values import Settings


@dataclass
class Vantage:
    """
    The parts of one server. ``began_at``: monotonic. ``inspector``: one of the page's own, so that its CPU figures are
    measured between its own looks. ``shared``: what the pages of one server keep in common.
    """

    pool: Pool
    baton: Baton
    poller: Poller
    supervisor: Supervisor
    site: Site
    settings: Settings
    clock: Clock
    tally: Tally
    chronicle: Chronicle
    sampler: Sampler
    spawn: Spawner
    began_at: Seconds
    inspector: Inspector = field(default_factory=Inspector)
    shared: dict[str, Any] = field(default_factory=dict)

    def workers(self) -> list[Worker]:
        """Those whose thread has started."""
        return [worker for worker in list(self.pool.workers.values()) if worker.ident]

    def totals(self) -> Totals:
        """Everything counted since the last reset."""
        return self.tally.totals([worker.tally for worker in list(self.pool.workers.values())])

    def reset(self) -> None:
        """Count from nothing again."""
        self.tally.reset([worker.tally for worker in list(self.pool.workers.values())])
