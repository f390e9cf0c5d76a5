"""
Look after each kill whether the request has left a lock of the standard library taken, and tell it.

``core.left_locks`` decides; this module looks and tells.

Runs on: supervisor.
"""

from __future__ import annotations

from pastepool.core.left_locks import Dead, LockSearch, search
from pastepool.core.telling.masking import masked_path
from pastepool.core.wording import printable
from pastepool.runtime.inspection.library_locks import taken_locks
from pastepool.runtime.inspection.stacks import frame_of
from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.pool.worker import Worker
from pastepool.runtime.supervision.event_journal import EventJournal
from pastepool.types import Seconds, WorkerId


class LockWatch:
    """The search of one server. ``condemned``: why this process should be replaced, empty if it need not be."""

    def __init__(self, journal: EventJournal, logger: str) -> None:
        self.condemned = ""
        self._journal = journal
        self._log = scribbled(logger)
        self._titles: dict[WorkerId, str] = {}
        self._dead: list[Dead] = []
        self._known = LockSearch()

    def killed(self, worker: WorkerId, title: str) -> None:
        """Note which request of a worker is being killed."""
        self._titles[worker] = printable(masked_path(title))

    def gone(self, worker: Worker) -> None:
        """Note that the thread of a worker has ended. If it was killed, the next ``look`` searches."""
        title = self._titles.pop(worker.worker_id, None)
        if title is not None:
            self._dead.append(Dead(worker.worker_id, title, worker.ident))

    def look(self, now: Seconds) -> Seconds:
        """Search, if there is a reason. Returns the instant of the next look; infinity if there is no need for one."""
        if not self._dead and now < self._known.look_again_at:
            return self._known.look_again_at
        dead, self._dead = self._dead, []
        taken = taken_locks()
        living = {lock.owner for lock in taken if lock.owner and frame_of(lock.owner) is not None}
        told, self._known = self._known.left, search(self._known, taken, living, dead, now)
        self.condemned = self._known.condemned
        for key, lock in self._known.left.items():
            if key not in told:
                first = lock.by[0]
                self._log.critical("%s", lock.describe())
                self._journal.note("lock left", lock.describe(), worker=first.worker, title=first.title)
        return self._known.look_again_at
