"""
The thread that looks, plans and applies.

It decides nothing: ``core.supervision.plan`` does. It sleeps until the instant the plan names or until it is nudged,
so nothing ever waits for a request to come (contract P13, P14).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from pastepool.core.actions import (
    Action,
    Capped,
    ExitProcess,
    Forget,
    Kill,
    KillAsked,
    NoteHung,
    NoteZombie,
    Retire,
    Spawn,
)
from pastepool.core.history import History
from pastepool.core.policy import PoolPolicy
from pastepool.core.sizing import wears_out_after
from pastepool.core.states import Phase, Status, count_by_status
from pastepool.core.supervision import plan
from pastepool.core.telling.masking import masked_path, request_facts
from pastepool.core.telling.notices import BecameHung, HungKilled, Notice, ProcessDies, TaskReport
from pastepool.core.telling.report import counts_line, sentence
from pastepool.core.wording import printable
from pastepool.errors import InjectionUnavailable
from pastepool.runtime.inspection.inspector import Inspector
from pastepool.runtime.inspection.stacks import stack_lines
from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.pool.baton import Baton
from pastepool.runtime.pool.pool import Pool
from pastepool.runtime.pool.worker import Worker
from pastepool.runtime.supervision.event_journal import EventJournal
from pastepool.runtime.supervision.kill_ladder import KillLadder
from pastepool.runtime.window.async_exc import check_available
from pastepool.types import Clock, Seconds, Signal


class Supervisor:
    """
    Keeps the pool as the policy wants it.

    ``signal``: has it look when set, by anybody. ``nudge`` and ``ask_kill`` may be called from any thread; everything
    else runs on the supervisor's own.
    """

    def __init__(
        self,
        pool: Pool,
        baton: Baton,
        policy: PoolPolicy,
        clock: Clock,
        inspector: Inspector,
        *,
        signal: Signal,
        logger: str,
        mail: Callable[[Notice], None],
        mail_hung: bool,
        end_process: Callable[[str], None],
        journal: EventJournal,
    ) -> None:
        self._pool = pool
        self._baton = baton
        self._policy = policy
        self._clock = clock
        self._inspector = inspector
        self._mail = mail
        self._mail_hung = mail_hung
        self._end_process = end_process
        self._journal = journal
        self._ladder = KillLadder(policy.unblock_sockets)
        self._log = scribbled(logger)
        self._signal = signal
        self._asked: deque[KillAsked] = deque()
        self._history = History()
        self._can_kill = True
        self._serving_since: Seconds = -math.inf
        self._closed = False
        self._reports_killed: list[TaskReport] = []
        self._reports_hung: list[TaskReport] = []
        self._apply_by_type: dict[type, Callable[..., None]] = {
            Forget: self._forget,
            Kill: self._kill,
            NoteHung: self._note_hung,
            NoteZombie: self._note_zombie,
            Spawn: self._spawn,
            Capped: self._capped,
            Retire: self._retire,
            ExitProcess: self._exit,
        }

    def nudge(self) -> None:
        """Have it look now. Runs on: any thread."""
        self._signal.set()

    def ask_kill(self, worker: int, serial: int) -> None:
        """
        Ask for one task to be killed, as an operator; a fact for the next plan like any other. Runs on: any thread.
        """
        self._asked.append(KillAsked(worker, serial))
        self._signal.set()

    @property
    def can_kill(self) -> bool:
        """Whether this interpreter can raise in another thread."""
        return self._can_kill

    def close(self) -> None:
        """Look no more. Runs on: any thread."""
        self._closed = True
        self._signal.set()

    def run(self) -> None:
        """The thread's body; it begins when the server begins to serve."""
        self._serving_since = self._clock.now()
        try:
            check_available()
        except InjectionUnavailable as error:
            self._can_kill = False
            self._log.warning("%s", error)
        while not self._closed:
            self._signal.clear()
            look_again_at = self._guarded_look()
            self._clock.wait(self._signal, look_again_at)

    def _guarded_look(self) -> Seconds:
        try:
            return self.look()
        except Exception:
            # A supervisor that died would leave the pool to freeze; one that spins would fill the disk with this line.
            self._log.critical("Internal error in the supervisor; please report this", exc_info=True)
            return self._clock.now() + 1.0

    def look(self) -> Seconds:
        """Plan once and apply it. Answers when to look again."""
        now = self._clock.now()
        asked = [self._asked.popleft() for _ in range(len(self._asked))]
        missed, self._ladder.missed = self._ladder.missed, []
        workers = list(self._pool.workers.values())
        decided = plan(
            self._pool.records(),
            len(self._baton.backlog),
            now,
            self._policy,
            history=self._history,
            asked=asked,
            worn=[worker.worker_id for worker in workers if self._is_worn(worker)],
            start_failed_at=self._pool.start_failed_at,
            missed=missed,
            can_kill=self._can_kill,
            serving_since=self._serving_since,
        )
        self._history = decided.history
        for action in decided.actions:
            self._apply(action)
        self._ladder.finish()
        if self._ladder.missed:
            self._signal.set()  # so that the next plan can say when to try again
        self._send_reports()
        return decided.look_again_at

    def _is_worn(self, worker: Worker) -> bool:
        limit = wears_out_after(worker.worker_id, self._policy)
        return 0 < limit <= worker.served

    def _apply(self, action: Action) -> None:
        try:
            self._apply_by_type[type(action)](action)
        except Exception:
            # The next plan takes it for applied; what failed here must not keep the rest of this one from being so.
            self._log.critical("Internal error in: %s; please report this", action.describe(), exc_info=True)
            if isinstance(action, Kill):
                self._ladder.missed.append((action.worker, action.serial))

    def _forget(self, action: Forget) -> None:
        self._pool.forget(action.worker)
        self._journal.note("gone", f"worker {action.worker} is gone", worker=action.worker)

    def _spawn(self, action: Spawn) -> None:
        self._log.info("%s", action.describe())
        self._journal.note("spawned", action.describe())
        for _ in range(action.count):
            if self._pool.spawn() is None:
                break  # what the machine lacks now it lacks for the next one too; the plan tries again

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
        report = self._report(action.worker, action.serial, action.title, action.ran_for, Status.HUNG)
        if report is not None:
            self._log.warning("%s; %s\n%s", action.describe(), report.diagnosis, "\n".join(report.stack))
            self._tell("hung", action, report)
            self._reports_hung.append(report)

    def _note_zombie(self, action: NoteZombie) -> None:
        report = self._report(action.worker, action.serial, action.title, action.dying_for, Status.ZOMBIE)
        if report is None:
            self._log.error("%s", action.describe())
            self._journal.note("zombie", action.describe(), worker=action.worker)
            return
        self._log.error("%s; %s\n%s", action.describe(), report.diagnosis, "\n".join(report.stack))
        self._tell("zombie", action, report)

    def _kill(self, action: Kill) -> None:
        worker = self._pool.workers.get(action.worker)
        if worker is None:
            return
        now = self._clock.now()
        phase, since, _ = worker.fact
        first = phase is not Phase.DYING  # not ``action.again``: an earlier attempt may have found the window shut
        lasted = Status.ZOMBIE if now >= since + self._policy.dying_for else Status.DYING
        status = Status.HUNG if first else lasted
        report = self._report(action.worker, action.serial, action.title, action.ran_for, status)
        if report is None or not self._ladder.kill(worker, action.serial, now):
            return
        if not first:
            self._log.info("%s; %s", action.describe(), report.diagnosis)
            if action.attempt == 2:  # later ones would push everything else out of the events
                self._tell("killed again", action, report)
        else:
            self._log.warning("%s; %s\n%s", action.describe(), report.diagnosis, "\n".join(report.stack))
            self._tell("killed", action, report)
            self._pool.tally.count("killed")
            self._reports_killed.append(report)

    def _tell(self, kind: str, action: NoteHung | NoteZombie | Kill, report: TaskReport) -> None:
        self._journal.note(
            kind,
            action.describe(),
            detail=report.diagnosis,
            worker=action.worker,
            serial=action.serial,
            title=printable(masked_path(action.title)),
            stack=report.frames,
        )

    def _report(self, worker_id: int, serial: int, title: str, ran_for: Seconds, status: Status) -> TaskReport | None:
        """Look at what a worker does right now. None if it has gone on to something else."""
        worker = self._pool.workers.get(worker_id)
        if worker is None:
            return None
        diagnosis = self._inspector.look(worker.ident, worker.native_id, self._clock.now())
        task = worker.fact[2]
        if task is None or task.serial != serial:
            return None
        environ = task.environ
        return TaskReport(
            worker_id,
            title,
            ran_for,
            sentence(status, ran_for, diagnosis),
            tuple(stack_lines(diagnosis.frames)),
            request_facts(environ) if environ else (),
            diagnosis.frames,
        )

    def _exit(self, action: ExitProcess) -> None:
        """Tell, then end. Whatever fails in the telling, the process ends: that is planned only once."""
        try:
            self._log.critical("%s", action.describe())
            self._journal.note("ending", action.describe())
        finally:
            try:
                self._mail(self._obituary(action))
            finally:
                self._end_process(action.reason)

    def _obituary(self, action: ExitProcess) -> ProcessDies:
        now = self._clock.now()
        records = self._pool.records()
        standing = counts_line(count_by_status(records, now, self._policy), len(self._baton.backlog))
        zombies = [
            self._report(record.worker, record.serial, record.title, now - record.since, Status.ZOMBIE)
            for record in records
            if record.phase is Phase.DYING
        ]
        return ProcessDies(action.reason, standing, tuple(report for report in zombies if report is not None))

    def _send_reports(self) -> None:
        """One mail for all that one look did, so that ten kills at once are one mail (contract P12)."""
        if self._reports_killed:
            self._mail(HungKilled(tuple(self._reports_killed)))
            self._reports_killed = []
        if self._reports_hung:
            if self._mail_hung:
                self._mail(BecameHung(tuple(self._reports_hung)))
            self._reports_hung = []
