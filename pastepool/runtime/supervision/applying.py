"""
Apply the actions of a plan. There is one method for each kind of action.

This module decides nothing. If one action fails, the others are applied all the same.

Runs on: supervisor.
"""

from __future__ import annotations

from collections.abc import Callable

from pastepool.core.actions import (
    Action,
    Capped,
    CutReader,
    ExitProcess,
    Forget,
    Kill,
    NoteHung,
    NoteOverdue,
    NoteZombie,
    Retire,
    Spawn,
)
from pastepool.core.policy import PoolPolicy
from pastepool.core.states import Phase, Status, classify
from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.pool.baton import Baton
from pastepool.runtime.pool.pool import Pool, record_of
from pastepool.runtime.supervision.event_journal import EventJournal
from pastepool.runtime.supervision.kill_ladder import KillLadder
from pastepool.runtime.supervision.lock_watch import LockWatch
from pastepool.runtime.supervision.reporting import Reporting
from pastepool.types import Clock


class Applying:
    """
    Applies the supervisor's plan to the pool. ``end_process``: called with the reason; this is the last step of an end.
    """

    def __init__(
        self,
        pool: Pool,
        baton: Baton,
        policy: PoolPolicy,
        clock: Clock,
        ladder: KillLadder,
        reporting: Reporting,
        journal: EventJournal,
        lock_watch: LockWatch,
        *,
        logger: str,
        end_process: Callable[[str], None],
    ) -> None:
        self._pool = pool
        self._baton = baton
        self._policy = policy
        self._clock = clock
        self._ladder = ladder
        self._reporting = reporting
        self._journal = journal
        self._lock_watch = lock_watch
        self._end_process = end_process
        self._log = scribbled(logger)
        self._apply_by_type: dict[type, Callable[..., None]] = {
            Forget: self._forget,
            Kill: self._kill,
            NoteHung: self._note_hung,
            NoteOverdue: self._note_overdue,
            NoteZombie: self._note_zombie,
            Spawn: self._spawn,
            CutReader: self._cut_reader,
            Capped: self._capped,
            Retire: self._retire,
            ExitProcess: self._exit,
        }

    def apply(self, action: Action) -> None:
        """Apply one action. An error is logged; this method raises nothing."""
        try:
            self._apply_by_type[type(action)](action)
        except Exception:
            # The other actions of this plan must be applied all the same. The next plan takes this action for applied,
            # except for a kill, which it is told of.
            self._log.critical("Internal error in: %s; please report this", action.describe(), exc_info=True)
            if isinstance(action, Kill):
                self._ladder.missed.append((action.worker, action.serial))

    def _forget(self, action: Forget) -> None:
        worker = self._pool.workers.get(action.worker)
        if worker is not None:
            self._lock_watch.gone(worker)
        self._pool.forget(action.worker)
        self._reporting.forget_ended()
        self._journal.note("gone", f"worker {action.worker} is gone", worker=action.worker)

    def _spawn(self, action: Spawn) -> None:
        self._log.info("%s", action.describe())
        self._journal.note("spawned", action.describe())
        for _ in range(action.count):
            if self._pool.spawn() is None:
                break  # the machine has no thread for the next worker either; a later plan tries again

    def _cut_reader(self, action: CutReader) -> None:
        worker = self._pool.workers.get(action.worker)
        task = None if worker is None else worker.task
        if task is None or task.serial != action.serial or task.client_wait is None:
            return
        if task.client_wait.cut():
            self._log.warning("%s", action.describe())
            self._journal.note_cut(self._clock.now())

    def _capped(self, action: Capped) -> None:
        self._log.error("%s", action.describe())
        self._journal.note("capped", action.describe())

    def _retire(self, action: Retire) -> None:
        worker = self._pool.workers.get(action.worker)
        if worker is None:
            return
        if action.even_busy:
            worker.leaving = True
        if self._baton.dismiss(worker) or action.even_busy:
            self._log.info("%s", action.describe())
            self._journal.note("retired", action.describe(), worker=action.worker)

    def _note_hung(self, action: NoteHung) -> None:
        report = self._reporting.report(action.worker, action.serial, action.title, action.ran_for, Status.HUNG)
        if report is not None:
            self._log.warning("%s; %s\n%s", action.describe(), report.diagnosis, "\n".join(report.stack))
            self._reporting.note("hung", action, report)
            self._reporting.hung.append(report)

    def _note_overdue(self, action: NoteOverdue) -> None:
        report = self._reporting.report(action.worker, action.serial, action.title, action.ran_for, Status.HUNG)
        if report is not None:
            self._log.warning("%s; %s", action.describe(), "\n".join((report.diagnosis, *report.stack)))
            self._reporting.note("not killed", action, report)
            self._reporting.overdue.append(report)

    def _note_zombie(self, action: NoteZombie) -> None:
        report = self._reporting.report(action.worker, action.serial, action.title, action.dying_for, Status.ZOMBIE)
        if report is None:
            self._log.error("%s", action.describe())
            self._journal.note("zombie", action.describe(), worker=action.worker)
            return
        self._log.error("%s; %s\n%s", action.describe(), report.diagnosis, "\n".join(report.stack))
        self._reporting.note("zombie", action, report)

    def _kill(self, action: Kill) -> None:
        worker = self._pool.workers.get(action.worker)
        if worker is None:
            return
        now = self._clock.now()
        record = record_of(worker.worker_id, worker.fact, now)
        first = (
            record.phase is not Phase.DYING
        )  # not by ``action.attempt``: an earlier one may have found the window shut
        status = classify(record, now, self._policy)
        report = self._reporting.report(action.worker, action.serial, action.title, action.ran_for, status)
        if report is None or not self._ladder.kill(worker, action.serial, now):
            return
        if not first:
            self._log.info("%s; %s", action.describe(), report.diagnosis)
            if action.attempt == 2:  # notes of later attempts would push all other events out of the journal
                self._reporting.note("killed again", action, report)
        else:
            self._log.warning("%s; %s\n%s", action.describe(), report.diagnosis, "\n".join(report.stack))
            self._reporting.note("killed", action, report)
            self._pool.tally.count("killed")
            self._lock_watch.killed(action.worker, action.title)
            self._reporting.killed.append(report)

    def _exit(self, action: ExitProcess) -> None:
        """
        Log, note and mail that the process ends, then end it.

        The process ends even if one of these fails, because the plan names its end only once.
        """
        try:
            self._log.critical("%s", action.describe())
            self._journal.note("ending", action.describe())
        finally:
            try:
                self._reporting.mail_end(action)
            finally:
                self._end_process(action.reason)
