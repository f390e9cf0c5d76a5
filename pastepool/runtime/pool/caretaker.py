"""
The caretaker: the thread that called ``serve``. It watches the baton while workers lead, and holds the baton while no
worker is free.

So some promises hold even if every worker hangs: the server accepts clients, keeps requests in a bounded backlog,
refuses them in time, answers health checks and acts on deadlines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pastepool.core.dispatch import REST
from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.pool.baton import SIGNALS_WITHIN, Baton
from pastepool.runtime.pool.leading import Polling
from pastepool.runtime.pool.task import ShedReason, Task
from pastepool.types import Clock, Seconds

_log = scribbled("pastepool.pool")

_AT_ONCE = 1000
"""More tasks than one poll can bring."""


class Caretaker:
    """
    Watches the leaders, and polls itself while no worker is free. ``take_care`` blocks until ``finish``.

    ``on_first_waiting``: called when a request begins to wait because no worker is free. ``on_shed``: called for each
    task that no worker will run, with ``refused``, ``expired`` or ``dropped``, and the instant.

    Runs on: caretaker; but ``finish`` on any thread, and ``refuse`` and ``hung_up`` on the baton's holder.
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

    def take_care(self, poller: Polling) -> None:
        """Watch the leaders, or hold the baton and poll, until ``finish``. Then refuse all waiting tasks."""
        while not self._finished:
            if self._baton.caretaker_holds():
                self._hold(poller)
            else:
                self._baton.watch(self._is_finished)
        for task in self._baton.close():
            _give_back(task, ShedReason.STOPPING)

    def _is_finished(self) -> bool:
        return self._finished

    def _hold(self, poller: Polling) -> None:
        """
        Hold the baton while no worker is free: poll, and put tasks into the backlog.

        While tasks wait there, a request that is read a little later runs no later. To poll for each request would cost a
        thread switch each time, and mostly a wait for the GIL. So this thread rests between two polls
        (``core.dispatch.REST``). A worker that finds the backlog empty ends the rest, because it wakes the poll.
        """
        baton = self._baton
        if baton.backlog:
            self._on_first_waiting()  # a leader put these tasks there, before its own call turned out to be long
        while not self._finished:
            if baton.hand_over():
                return
            task = poller.next_task(min(baton.next_expiry(), self._clock.now() + SIGNALS_WITHIN))
            now = self._clock.now()
            self._expire(now)
            if task is not None:
                self._keep([task, *poller.ready_tasks(_AT_ONCE)], now)
                if baton.backlog:
                    poller.rest(REST)

    def _keep(self, tasks: Sequence[Task], now: Seconds) -> None:
        """Put tasks into the backlog, and refuse those for which there is no room."""
        baton = self._baton
        none_waited = not baton.backlog
        for task in tasks:
            task.arrived_at = now
        for task in baton.offer_all(tasks):
            self.refuse(task)
        if none_waited and baton.backlog:
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
        """Drop the request of a client that has gone, if the request still waits. Runs on: baton."""
        if self._baton.discard(task):
            self._on_shed("dropped", self._clock.now())
            _give_back(task, None)


def _give_back(task: Task, reason: ShedReason | None) -> None:
    """
    End a task that no worker has run. ``reason``: None if its client has gone.

    An error in the task is logged and goes no further, because it must not end the caretaker or a leader.
    """
    try:
        if reason is None:
            task.dropped()
        else:
            task.refused(reason)
    except Exception:
        _log.exception("a task that was not run could not be cleared away; please report this")
