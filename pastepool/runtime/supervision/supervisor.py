"""
The supervisor: the thread that looks at the pool, makes a plan, and applies it.

The supervisor decides nothing: ``core.supervision.plan`` decides, and ``applying`` applies the plan. The supervisor
sleeps until the instant that the plan names, or until it is nudged. So no action has to wait until a request comes
(contract P13, P14).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from pastepool.core.actions import KillAsked
from pastepool.core.history import History
from pastepool.core.interpreter import runs_without_gil, told_without_gil
from pastepool.core.policy import PoolPolicy
from pastepool.core.sizing import wears_out_after
from pastepool.core.supervision import plan
from pastepool.core.telling.notices import Notice
from pastepool.errors import InjectionUnavailable
from pastepool.runtime.inspection.inspector import Inspector
from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.pool.baton import Baton
from pastepool.runtime.pool.pool import Pool
from pastepool.runtime.pool.worker import Worker
from pastepool.runtime.supervision.applying import Applying
from pastepool.runtime.supervision.event_journal import EventJournal
from pastepool.runtime.supervision.kill_ladder import KillLadder
from pastepool.runtime.supervision.lock_watch import LockWatch
from pastepool.runtime.supervision.reporting import Reporting
from pastepool.runtime.window.async_exc import check_available
from pastepool.runtime.window.interruption import interruption
from pastepool.runtime.window.reach import found_reach
from pastepool.types import Clock, Seconds, Signal


class Supervisor:
    """
    Keeps the pool as the policy wants it.

    ``signal``: makes the supervisor look when any thread sets it. ``no_kills``: why no request is killed here, as a
    sentence; empty if requests are killed. ``nudge``, ``ask_kill`` and ``close`` may be called from any thread;
    everything else runs on the supervisor's own thread.
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
        self._signal = signal
        self._ladder = KillLadder(policy.unblock_sockets)
        self._reporting = Reporting(pool, baton, policy, clock, inspector, journal, mail=mail, mail_hung=mail_hung)
        self._lock_watch = LockWatch(journal, logger)
        self._applying = Applying(
            pool, baton, policy, clock, self._ladder, self._reporting, journal, self._lock_watch,
            logger=logger, end_process=end_process,
        )  # fmt: skip
        self._log = scribbled(logger)
        self._asked: deque[KillAsked] = deque()
        self._history = History()
        self.no_kills = ""
        self._serving_since: Seconds = -math.inf
        self._closed = False

    def nudge(self) -> None:
        """Make the supervisor look now. Runs on: any thread."""
        self._signal.set()

    def ask_kill(self, worker: int, serial: int) -> None:
        """
        Ask for the kill of one task, for an operator. The next plan decides on it. Runs on: any thread.
        """
        self._asked.append(KillAsked(worker, serial))
        self._signal.set()

    @property
    def condemned(self) -> str:
        """Return why this process should be replaced: a lock that a killed request has left taken. Empty if it need not."""
        return self._lock_watch.condemned

    def close(self) -> None:
        """End the supervisor's thread after the present look. Runs on: any thread."""
        self._closed = True
        interruption.end(self)
        self._signal.set()

    def run(self) -> None:
        """Look until ``close``. This is the body of the thread; it begins when the server begins to serve."""
        self._serving_since = self._clock.now()
        self._find_out_about_kills()
        while not self._closed:
            self._signal.clear()
            look_again_at = self._guarded_look()
            self._clock.wait(self._signal, look_again_at)
        interruption.end(self)  # again: it may have begun after it was closed

    def _find_out_about_kills(self) -> None:
        try:
            check_available(without_gil=self._policy.kill_without_gil)
        except InjectionUnavailable as error:
            self.no_kills = str(error)
        else:
            found_reach()  # tried now, while the system has threads, and not at the first kill
            interruption.begin(self)
        if runs_without_gil():
            self._log.warning("%s", told_without_gil(kills=not self.no_kills))
        elif self.no_kills:
            self._log.warning("%s", self.no_kills)

    def _guarded_look(self) -> Seconds:
        try:
            return self.look()
        except Exception:
            # Without a supervisor the pool would stop when all its workers hang. So the thread goes on. It waits a
            # second, because otherwise this line could fill the disk.
            self._log.critical("Internal error in the supervisor; please report this", exc_info=True)
            return self._clock.now() + 1.0

    def look(self) -> Seconds:
        """Make one plan and apply it. Returns the instant of the next look."""
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
            can_kill=not self.no_kills,
            serving_since=self._serving_since,
        )
        if self.no_kills:
            for kill in asked:
                self._log.warning("worker %d is not killed, although it was asked for: %s", kill.worker, self.no_kills)
        self._history = decided.history
        for action in decided.actions:
            self._applying.apply(action)
        self._ladder.finish()
        if self._ladder.missed:
            self._signal.set()  # look again at once: the next plan says when to try these kills again
        self._reporting.send(self.no_kills)
        return min(decided.look_again_at, self._lock_watch.look(self._clock.now()))

    def _is_worn(self, worker: Worker) -> bool:
        limit = wears_out_after(worker.worker_id, self._policy)
        return 0 < limit <= worker.served
