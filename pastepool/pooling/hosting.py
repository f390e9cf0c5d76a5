"""
Make all parts of a ``WorkerPool``: the same objects as in our own server, without a poller and without a caretaker.

Nobody polls, so no worker takes the baton: each idle worker sleeps as a follower, and the thread that submits work wakes
the one that fell asleep last (docs/adr/0015).
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from pastepool.core.overload import UNLIMITED
from pastepool.core.policy import OverloadPolicy
from pastepool.errors import PoolClosed
from pastepool.pooling.assembly import PoolBase, assemble_base, assemble_pool, assemble_view
from pastepool.pooling.keywords import shown_of
from pastepool.runtime.mail.mailer import Mailer
from pastepool.runtime.mail.smtp import deliver
from pastepool.runtime.pool.host_worker import HostWorker
from pastepool.runtime.pool.leading import Leading
from pastepool.runtime.pool.pool import Pool
from pastepool.runtime.supervision.supervisor import Supervisor
from pastepool.runtime.system.threads import spawn_thread
from pastepool.runtime.watching.paste_pool import PastePool
from pastepool.runtime.watching.sampler import Sampler
from pastepool.runtime.watching.server_view import OpenNow
from pastepool.settings.values import Settings
from pastepool.types import Clock, Seconds, Spawner

LOOK_EVERY: Seconds = 0.05
"""
A worker that waits for its host is replaced this late at most. A look takes half a millisecond with ten busy workers: with
0.02 the looks took 2.3 % of the CPU time of a loaded cheroot (measured). Otherwise the number is a choice.
"""


_nothing: Callable[[], None] = itertools.repeat(None).__next__
"""Does nothing: there is no poll to wake. Each piece of work calls it twice, and a function of ours would cost more."""


class _PacedSignal(threading.Event):
    """
    The supervisor's signal. Between two looks that others have asked for it lets pass ``LOOK_EVERY``.

    Under load the backlog is empty and not empty in turns, and each time a look is asked for. So that the looks of a
    loaded pool stay cheap, there are no more than twenty in a second. Runs on: the supervisor, except ``set``.
    """

    def __init__(self) -> None:
        super().__init__()
        self._looked_at = -math.inf

    def wait(self, timeout: float | None = None) -> bool:
        woken = super().wait(timeout)
        if woken:
            time.sleep(max(0.0, self._looked_at + LOOK_EVERY - time.monotonic()))
            self._looked_at = time.monotonic()
        return woken


class _PastePool(PastePool):
    """The pool in the shape of Paste's. What is added to it is work like any other."""

    def __init__(self, submit: Callable[[Callable[[], object]], bool], *rest: Any) -> None:
        super().__init__(*rest)
        self._submit = submit

    def add_task(self, task: Callable[[], Any]) -> None:
        if not self._submit(task):
            raise PoolClosed("The task was not taken: the pool stops, or queue_limit tasks wait already.")


class HostedParts(NamedTuple):
    """The parts of one ``WorkerPool``. They work once: after a stop and after a fork it gets new ones."""

    base: PoolBase
    pool: Pool
    supervisor: Supervisor
    mailer: Mailer
    sampler: Sampler
    paste_pool: PastePool


def assemble_hosted(
    settings: Settings,
    name: str,
    clock: Clock,
    end_process: Callable[[str], None],
    draining: Callable[[], bool],
    submit: Callable[[Callable[[], object]], bool],
    spawn: Spawner = spawn_thread,
) -> HostedParts:
    """
    Make the parts; none has a thread yet.

    Args:
        settings: its pool, mail, logger and limit of the backlog are read.
        name: of the host, for the page.
        clock: tells the time.
        end_process: called with the reason when there are too many zombies. Runs on: supervisor.
        draining: says whether the pool stops.
        submit: takes a callable that a program gives to Paste's ``add_task``.
        spawn: starts the thread of a worker.
    """
    overload = OverloadPolicy(queue_limit=settings.overload.queue_limit, queue_timeout=0.0)
    base = assemble_base(overload, clock, _nothing, _PacedSignal())
    mailer = Mailer(settings.mail, clock, config_file=settings.config_file, deliver=base.journal.noting_mail(deliver))
    # Nobody leads, so a worker of this pool calls the last of these alone.
    leading = Leading(lambda: None, lambda most: (), lambda task: None, _nothing)
    parts = assemble_pool(
        base,
        settings.pool,
        leading,
        end_process=end_process,
        logger=settings.logger,
        spawn=spawn,
        mail=mailer.submit,
        mail_hung=settings.mail.when_hung,
        make_worker=HostWorker,
    )
    _, pool, supervisor = parts
    view = assemble_view(
        parts, settings, host=name, overload=overload, shown=shown_of(settings), draining=draining, connections=OpenNow
    )
    paste_pool = _PastePool(submit, pool, base.baton, settings.pool, clock, base.serials, supervisor.ask_kill, view)
    return HostedParts(base, pool, supervisor, mailer, view.sampler, paste_pool)


def unlimited(settings: Settings) -> Settings:
    """Return the settings of a pool that holds any number of tasks back. Without a limit in the keywords it has none."""
    return replace(settings, overload=replace(settings.overload, queue_limit=UNLIMITED))
