"""
Make a pool, its supervisor, and what the two share with the part that finds their tasks.

This module opens nothing and starts no thread. It knows no HTTP: our own server, ``WorkerPool`` and the tests use it.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import NamedTuple

from pastepool.core.policy import OverloadPolicy, PoolPolicy
from pastepool.core.telling.notices import Notice
from pastepool.runtime.inspection.inspector import Inspector
from pastepool.runtime.pool.baton import Baton
from pastepool.runtime.pool.leading import Leading
from pastepool.runtime.pool.pool import Pool
from pastepool.runtime.pool.tally import Tally
from pastepool.runtime.pool.worker import OwnPool, Worker
from pastepool.runtime.supervision.event_journal import EventJournal
from pastepool.runtime.supervision.supervisor import Supervisor
from pastepool.runtime.system.threads import spawn_thread
from pastepool.runtime.watching.sampler import Sampler
from pastepool.runtime.watching.server_view import OpenNow, ServerView
from pastepool.settings.values import Settings
from pastepool.types import Clock, Seconds, Signal, Spawner, WorkerId


class PoolBase(NamedTuple):
    """
    What the pool shares with the part that finds its tasks. It is made before both.

    ``signal``: makes the supervisor look when it is set. ``serials``: yields the serial numbers of tasks.
    """

    clock: Clock
    signal: Signal
    serials: itertools.count[int]
    tally: Tally
    journal: EventJournal
    baton: Baton

    def note_shed(self, fate: str, now: Seconds) -> None:
        """Count and note in the journal that a waiting task was given up, or a client turned away. Runs on: baton."""
        self.tally.count(fate)
        self.journal.note_shed(fate, now)


class PoolParts(NamedTuple):
    """The pool, the supervisor that keeps it as the policy wants it, and the ``base`` that both were made with."""

    base: PoolBase
    pool: Pool
    supervisor: Supervisor


def assemble_base(
    overload: OverloadPolicy,
    clock: Clock,
    wake_poller: Callable[[], None],
    signal: Signal | None = None,
    first_task: int = 1,
) -> PoolBase:
    """
    Make what the pool and the poller both need.

    ``wake_poller``: makes the thread that polls return. ``signal``: the supervisor's signal; a new event if None.
    ``first_task``: the serial number of the first task.
    """
    return PoolBase(
        clock=clock,
        signal=threading.Event() if signal is None else signal,
        serials=itertools.count(first_task),
        tally=Tally(clock),
        journal=EventJournal(clock),
        baton=Baton(overload, wake_poller),
    )


def assemble_pool(
    base: PoolBase,
    policy: PoolPolicy,
    leading: Leading,
    *,
    end_process: Callable[[str], None],
    logger: str,
    spawn: Spawner = spawn_thread,
    inspector: Inspector | None = None,
    mail: Callable[[Notice], None] = lambda notice: None,
    mail_hung: bool = False,
    make_worker: Callable[[WorkerId, str, OwnPool, Baton, Clock], Worker] = Worker,
) -> PoolParts:
    """
    Make a pool and its supervisor; neither has a thread yet.

    Args:
        base: from ``assemble_base``.
        policy: how many workers, and how long they may take.
        leading: the functions with which workers find tasks.
        end_process: called with the reason when there are too many zombies. Runs on: supervisor.
        logger: the name of the logger for messages about workers.
        spawn: starts a worker's thread.
        inspector: looks into threads; if None, the supervisor gets one of its own.
        mail: takes each notice that should be mailed; must return at once.
        mail_hung: whether requests that became hung are mailed too.
        make_worker: makes each worker.
    """
    clock, baton, changed = base.clock, base.baton, base.signal.set
    pool = Pool(baton, policy, clock, spawn, leading, base.tally, changed, logger, make_worker)
    supervisor = Supervisor(
        pool,
        baton,
        policy,
        clock,
        inspector or Inspector(),
        signal=base.signal,
        logger=logger,
        mail=mail,
        mail_hung=mail_hung,
        end_process=end_process,
        journal=base.journal,
    )
    return PoolParts(base, pool, supervisor)


def assemble_view(
    parts: PoolParts,
    settings: Settings,
    *,
    host: str,
    overload: OverloadPolicy,
    shown: tuple[tuple[str, str], ...],
    draining: Callable[[], bool],
    connections: Callable[[], OpenNow],
) -> ServerView:
    """
    Make what the page sees of a pool, with its sampler.

    ``host``: the name of the program whose work the pool runs. ``shown``: the settings to show. ``draining``: says
    whether the pool stops. ``connections``: counts those that are open.
    """
    base = parts.base
    return ServerView(
        host=host,
        pool=parts.pool,
        baton=base.baton,
        supervisor=parts.supervisor,
        policy=settings.pool,
        overload=overload,
        clock=base.clock,
        tally=base.tally,
        journal=base.journal,
        sampler=Sampler(parts.pool, base.baton, settings.pool, base.clock, spawn_thread),
        spawn=spawn_thread,
        began_at=base.clock.now(),
        shown=shown,
        config_file=settings.config_file,
        draining=draining,
        connections=connections,
    )
