"""
Report workers that hang, are killed or do not die: in the journal at once, and by one mail for each look.

This module knows how to look into a thread and what a report of it contains. The plan decides what is reported.

Runs on: supervisor.
"""

from __future__ import annotations

from collections.abc import Callable

from pastepool.core.actions import ExitProcess, Kill, NoteHung, NoteOverdue, NoteZombie
from pastepool.core.policy import PoolPolicy
from pastepool.core.states import Status, classify, count_by_status
from pastepool.core.telling.masking import masked_path
from pastepool.core.telling.notices import BecameHung, HungKilled, Notice, NotKilled, ProcessDies, TaskReport
from pastepool.core.telling.report import counts_line, sentence
from pastepool.core.wording import printable
from pastepool.runtime.inspection.inspector import Inspector
from pastepool.runtime.inspection.stacks import stack_lines
from pastepool.runtime.pool.baton import Baton
from pastepool.runtime.pool.pool import Pool
from pastepool.runtime.supervision.event_journal import EventJournal
from pastepool.types import Clock, Seconds


class Reporting:
    """
    Looks at workers and reports what they do.

    ``mail``: takes each notice that should be mailed; must return at once. ``mail_hung``: whether requests that became
    hung are mailed too. ``killed``, ``hung``, ``overdue``: the reports of this look, until ``send`` mails them.
    """

    def __init__(
        self,
        pool: Pool,
        baton: Baton,
        policy: PoolPolicy,
        clock: Clock,
        inspector: Inspector,
        journal: EventJournal,
        *,
        mail: Callable[[Notice], None],
        mail_hung: bool,
    ) -> None:
        self.killed: list[TaskReport] = []
        self.hung: list[TaskReport] = []
        self.overdue: list[TaskReport] = []
        self._pool = pool
        self._baton = baton
        self._policy = policy
        self._clock = clock
        self._inspector = inspector
        self._journal = journal
        self._mail = mail
        self._mail_hung = mail_hung

    def report(self, worker_id: int, serial: int, title: str, ran_for: Seconds, status: Status) -> TaskReport | None:
        """Report what a worker does now. Returns None if it does not run the task ``serial`` any more."""
        worker = self._pool.workers.get(worker_id)
        if worker is None:
            return None
        diagnosis = self._inspector.look(worker.ident, worker.native_id, self._clock.now())
        task = worker.task
        if task is None or task.serial != serial:
            return None
        return TaskReport(
            worker_id,
            title,
            ran_for,
            sentence(status, ran_for, diagnosis),
            tuple(stack_lines(diagnosis.frames)),
            tuple(task.described().items()),
            diagnosis.frames,
        )

    def forget_ended(self) -> None:
        """Forget what was seen of threads whose workers are not in the table any more."""
        workers = list(self._pool.workers.values())
        self._inspector.remember_only([(worker.ident, worker.native_id) for worker in workers])

    def note(self, kind: str, action: NoteHung | NoteOverdue | NoteZombie | Kill, report: TaskReport) -> None:
        """Note an action in the journal, with the worker's stack and diagnosis."""
        self._journal.note(
            kind,
            action.describe(),
            detail=report.diagnosis,
            worker=action.worker,
            serial=action.serial,
            title=printable(masked_path(action.title)),
            stack=report.frames,
        )

    def mail_end(self, action: ExitProcess) -> None:
        """Mail that the process ends, with the reason, the state of the pool, and a report of each zombie."""
        self._mail(self._obituary(action))

    def _obituary(self, action: ExitProcess) -> ProcessDies:
        now = self._clock.now()
        records = self._pool.records()
        standing = counts_line(count_by_status(records, now, self._policy), len(self._baton.backlog))
        zombies = [
            self.report(record.worker, record.serial, record.title, now - record.since, Status.ZOMBIE)
            for record in records
            if classify(record, now, self._policy) is Status.ZOMBIE
        ]
        return ProcessDies(action.reason, standing, tuple(report for report in zombies if report is not None))

    def send(self, no_kills: str) -> None:
        """
        Mail the reports of one look. Ten kills in one look are one mail (contract P12).

        ``no_kills``: why no request is killed; empty if requests are killed.
        """
        if self.killed:
            self._mail(HungKilled(tuple(self.killed)))
            self.killed = []
        if self.hung:
            if self._mail_hung:
                self._mail(BecameHung(tuple(self.hung), no_kills))
            self.hung = []
        if self.overdue:
            self._mail(NotKilled(tuple(self.overdue), no_kills))
            self.overdue = []
