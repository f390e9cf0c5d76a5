"""
The caretaker: the thread that called ``serve``, which looks after the baton while workers lead, and holds it when
none can.

It keeps the promises that have to hold with every worker hung: clients are accepted, requests wait in a bounded
backlog and are refused in time, health is answered, deadlines pass.
"""

from __future__ import annotations

from collections.abc import Callable

from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.pool.baton import Baton
from pastepool.runtime.pool.leading import NextTask
from pastepool.runtime.pool.task import ShedReason, Task
from pastepool.types import Clock, Seconds

_log = scribbled("pastepool.pool")


class Caretaker:
    """
    ``take_care`` blocks until ``finish``. Everything but ``finish`` runs on the caretaker's thread; ``refuse`` also
    on a leader's.

    ``on_first_waiting``: called when a request begins to wait because no worker is free. ``on_shed``: told of each
    waiting request that was given up: ``refused``, ``expired`` or ``dropped``, and when.
    """

    def __init__(
        self,
        baton: Baton,
        wake_poller: Callable[[], None],
        clock: Clock,
        on_first_waiting: Callable[[], None],
        on_shed: Callable[[str, Seconds], None],
    ) -> None:
        self._baton = baton
        self._wake_poller = wake_poller
        self._clock = clock
        self._on_first_waiting = on_first_waiting
        self._on_shed = on_shed
        self._finished = False

    def finish(self) -> None:
        """End ``take_care``. Runs on: any thread."""
        self._finished = True
        self._baton.ring()
        self._wake_poller()

    def take_care(self, next_task: NextTask) -> None:
        """Watch the leaders, or hold the baton and poll with ``next_task``, until finished. What waits then is refused."""
        while not self._finished:
            if self._baton.caretaker_holds():
                self._hold(next_task)
            else:
                self._baton.watch(self._is_finished)
        for task in self._baton.close():
            _give_back(task, ShedReason.STOPPING)

    def _is_finished(self) -> bool:
        return self._finished

    def _hold(self, next_task: NextTask) -> None:
        """Keep the baton while no worker is free: accept, read, queue, refuse what cannot wait."""
        baton = self._baton
        if baton.backlog:
            self._on_first_waiting()  # a leader left it there before its own call turned out to be long
        while not self._finished:
            if baton.hand_over():
                return
            task = next_task(baton.next_expiry())
            now = self._clock.now()
            self._expire(now)
            if task is None:
                continue
            task.arrived_at = now
            if not baton.offer(task):
                self.refuse(task)
            elif len(baton.backlog) == 1:
                self._on_first_waiting()

    def _expire(self, now: Seconds) -> None:
        for late in self._baton.take_expired(now):
            self._on_shed("expired", now)
            _give_back(late, ShedReason.WAITED_TOO_LONG)

    def refuse(self, task: Task) -> None:
        """End a task for which the backlog has no room. Runs on: baton."""
        self._on_shed("refused", self._clock.now())
        _give_back(task, ShedReason.QUEUE_FULL)

    def hung_up(self, task: Task) -> None:
        """A client has gone: if its request still waits, it is dropped. Runs on: baton."""
        if self._baton.discard(task):
            self._on_shed("dropped", self._clock.now())
            _give_back(task, None)


def _give_back(task: Task, reason: ShedReason | None) -> None:
    """
    End a task that no worker has run; without a reason its client has gone. What fails in it costs neither the
    caretaker nor a leader.
    """
    try:
        if reason is None:
            task.dropped()
        else:
            task.refused(reason)
    except Exception:
        _log.exception("a task that was not run could not be cleared away; please report this")
