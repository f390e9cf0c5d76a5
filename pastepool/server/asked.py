"""
What the server does when a signal asks for it and it goes on serving: SIGQUIT, SIGUSR1 and SIGUSR2. One of several
processes goes on after any signal: SIGTERM asks its parent for a replacement, and SIGINT and SIGHUP are the parent's.

Runs on: the thread of ``runtime.system.errands``.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Mapping
from functools import partial

from pastepool.core.interpreter import NO_STACKS, runs_without_gil
from pastepool.core.wording import counted
from pastepool.runtime.inspection.stacks import frame_of, stack_lines, stack_of
from pastepool.runtime.log.reopening import reopen_log_files
from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.pool.pool import Pool
from pastepool.runtime.pool.worker import Worker
from pastepool.runtime.system.errands import Errands
from pastepool.server.membership import Membership
from pastepool.types import Clock

_log = scribbled("pastepool")


def errands_by_signal(
    errands: Errands, pool: Pool, clock: Clock, membership: Membership | None = None
) -> Mapping[int, Callable[[], object]]:
    """Return what each signal asks for, as functions that only ask ``errands`` to do it: safe in a signal handler."""
    of_several: Mapping[int, Callable[[], object]] = {}
    if membership is not None:
        of_several = {
            signal.SIGTERM: partial(errands.ask, partial(membership.condemned, "SIGTERM asked for its end")),
            signal.SIGINT: _leave_to_parent,
            signal.SIGHUP: _leave_to_parent,
        }
    else:
        of_several = {signal.SIGUSR2: partial(errands.ask, _ignore)}  # the parent has stacks written with it
    return {
        **of_several,
        signal.SIGQUIT: partial(errands.ask, partial(_dump_stacks, pool, clock)),
        signal.SIGUSR1: partial(errands.ask, _reopen),
    }


def _dump_stacks(pool: Pool, clock: Clock) -> None:
    """Log the stack of every thread, and for a worker what it runs. One line of the log, so that nothing mixes in."""
    workers = {worker.ident: worker for worker in list(pool.workers.values())}
    threads = threading.enumerate()
    texts = [f"SIGQUIT: {counted(len(threads), 'thread')}"]
    for thread in threads:
        worker = workers.get(thread.ident or 0)
        doing = "" if worker is None else _doing(worker, clock)
        texts.append(f"{thread.name} (native id {thread.native_id}){doing}")
        texts += stack_lines(stack_of(frame_of(thread.ident or 0)))
    if runs_without_gil():
        texts.append(NO_STACKS)
    _log.warning("%s", "\n".join(texts))


def _doing(worker: Worker, clock: Clock) -> str:
    phase, since, task = worker.fact
    lasted = max(0.0, clock.now() - since)
    return f", {phase.value} for {lasted:.1f} s" + ("" if task is None else f": {task.title()}")


def _reopen() -> None:
    opened, failed = reopen_log_files()
    for sentence in failed:
        _log.error("SIGUSR1: the log file %s", sentence)
    if opened:
        _log.info("SIGUSR1: %s opened again: %s", counted(len(opened), "log file"), ", ".join(sorted(opened)))
    elif not failed:
        _log.info("SIGUSR1: no file of a log handler was moved, so none was opened again")


def _leave_to_parent() -> None:
    """Do nothing. The signal came to all processes of a terminal, or to this one by mistake."""


def _ignore() -> None:
    _log.info("SIGUSR2 asks for nothing here; it is ignored")
