"""
One thread of the pool: takes turns, leads when it has the baton, runs tasks, and never lets an exception out.

Knows no HTTP and no other worker: tasks are ``Task``, its pool is ``OwnPool``.
"""

from __future__ import annotations

import threading
from bisect import bisect
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Protocol

from pastepool.core.dispatch import LONG, NEGLIGIBLE, PASS_ABOVE, LongKinds, expected_wait
from pastepool.core.ownership import runs_tasks
from pastepool.core.states import Phase
from pastepool.core.telling.histogram import BOUNDS
from pastepool.errors import ClientGone, WorkerKilled
from pastepool.runtime.pool.baton import LEAD, LEAVE, Baton, Turn
from pastepool.runtime.pool.clearing import Clearing
from pastepool.runtime.pool.leading import Leading
from pastepool.runtime.pool.tally import Tally, WorkerTally
from pastepool.runtime.pool.task import Task
from pastepool.runtime.system import forks
from pastepool.runtime.system.loggers import own_logger
from pastepool.runtime.window.window import Window
from pastepool.types import Clock, Seconds, WorkerId

_log = own_logger("pastepool.pool")

_IDLE, _BUSY = Phase.IDLE, Phase.BUSY
"""The members by themselves: looking one up on its class costs more than a tenth of a microsecond on CPython 3.11."""


_FIRST_BOUND = BOUNDS[0]

Fact = tuple[Phase, Seconds, Task | None]


class OwnPool(Protocol):
    """What a worker calls on its pool. ``expected_wait``: as in ``core.dispatch``; every worker updates it."""

    expected_wait: Seconds

    @property
    def leading(self) -> Leading: ...
    @property
    def long_kinds(self) -> LongKinds: ...
    @property
    def long_call(self) -> Seconds: ...
    @property
    def tally(self) -> Tally: ...
    @property
    def changed(self) -> Callable[[], None]: ...
    @property
    def clearing(self) -> Clearing: ...
    @property
    def kill_exception(self) -> type[WorkerKilled]: ...
    def share_ready(self) -> None: ...
    def report_ready(self, worker: Worker) -> None: ...
    def report_exit(self, worker: Worker) -> None: ...


class Worker:
    """
    A pool thread.

    Large because it is a thread and its record: others read the facts, and the loop binds what every task needs.

    ``fact``: its phase, since when, and its task. One tuple, so that readers on other threads never see half of a
    change: a reader that needs two of the three takes the tuple once. Written by this worker, and by the supervisor when
    it retires or kills it; after ``KILL`` the worker leaves it alone. ``leaving``: it exits at its next turn.
    ``native_id``/``ident``: 0 until it runs. ``orphaned``: this process is a child of the one that made this worker. If
    this thread is the one that forked, the only code of ours that it may still run is the end of the process.
    """

    def __init__(self, worker_id: WorkerId, name: str, pool: OwnPool, baton: Baton, clock: Clock) -> None:
        self.worker_id = worker_id
        self.name = name
        self.fact: Fact = (Phase.STARTING, clock.now(), None)
        self.leaving = False
        self.tally = WorkerTally()
        self.ident = 0
        self.native_id = 0
        self.orphaned = False
        self.window: Window
        self.thread: threading.Thread
        self._pool = pool
        self._tally = pool.tally
        self._long_kinds = pool.long_kinds.names
        self._calls = self.tally.calls
        self._baton = baton
        self._now = clock.now
        self._turn: Task | Turn = LEAVE
        self._semaphore = threading.Lock()
        self._semaphore.acquire()
        self._leading = False
        self._killed_by: list[BaseException] = []
        self._cleared = False

    @property
    def polling(self) -> bool:
        """Whether it is the leader and runs no call."""
        return self._leading and self.fact[2] is None

    @property
    def served(self) -> int:
        """How many tasks it has run."""
        return sum(self._calls)

    @property
    def phase(self) -> Phase:
        """What it is in now."""
        return self.fact[0]

    @property
    def task(self) -> Task | None:
        """What it runs now; None if nothing."""
        return self.fact[2]

    def begin_dying(self, task: Task, now: Seconds) -> None:
        """Note that its task is being killed. Runs on: supervisor, with the claim of the worker's window won."""
        self.fact = (Phase.DYING, now, task)

    def in_child(self) -> Task | None:
        """
        Note that this process is a child of the one that serves. Returns the task if this is the thread that forked.

        Takes no lock. Runs on: the only thread of the child.
        """
        self.orphaned = True
        if self.ident != threading.get_ident():
            return None
        self.window.in_child()
        return self.task

    # For the baton, under its lock.

    def retire(self) -> None:
        """Note that this follower is told to leave. Runs on: supervisor."""
        self.fact = (Phase.RETIRING, self._now(), None)

    def wake(self, turn: Task | Turn) -> None:
        """Give this sleeping follower its turn. Runs on: any thread."""
        self._turn = turn
        self._semaphore.release()

    def sleep(self) -> Task | Turn:
        """Wait for a turn. Runs on: this worker."""
        self._semaphore.acquire()
        return self._turn

    # The thread.

    def main(self) -> None:
        """The thread's whole life. Runs on: this worker."""
        self.thread = threading.current_thread()
        self.thread.thread_id = self.ident = threading.get_ident()  # type: ignore[attr-defined]  # Paste's name for it
        self.native_id = threading.get_native_id()
        self.window = Window(self._pool.kill_exception)
        self.fact = (Phase.IDLE, self._now(), None)
        try:
            self._pool.report_ready(self)
            self._work()
        except WorkerKilled as error:
            self._escape(error)
        except BaseException as error:
            if self.orphaned:
                self._end_child(self.name, error)
            # The last line of defence: whatever happens here must not cost the pool a worker it does not know of.
            _log.critical("%s ends because of an internal error; please report this", self.name, exc_info=True)
        finally:
            if self.polling:
                # An internal error ended a leader: the caretaker picks it up. In a call it lies there already.
                self._baton.put_down()
            self.fact = (Phase.GONE, self._now(), None)
            self._pool.report_exit(self)
            if self._cleared:
                self._pool.clearing.collect_after(self.thread)

    def _work(self) -> None:
        """
        Take turns until this worker leaves, in contexts (PEP 567) in which no task finds a variable of an earlier one.

        A context for each task would cost 0.16 us (measured). So tasks share one until a task leaves a variable in it.
        """
        empty = copy_context()
        leaves = False
        while not leaves:
            context = empty.copy()
            leaves = context.run(self._take_turns, context)

    def _take_turns(self, context: Context) -> bool:
        """
        Take turns until this worker leaves, or a task has left a variable in the context. Returns whether it leaves.

        ``context``: the one this function runs in. It is true if it has a variable.
        """
        baton = self._baton
        wake_for_returned = self._pool.leading.wake_for_returned
        while True:
            turn = baton.follow(self)
            if turn is LEAD:
                self._leading = True
                self._lead(context)
            elif turn is LEAVE:
                return True
            else:
                self._run(turn)
            wake_for_returned()
            if self.leaving:
                return True
            if context:
                return False

    def _lead(self, context: Context) -> None:
        """Poll and run what comes, until the baton is with somebody else or the context has a variable."""
        baton = self._baton
        pool = self._pool
        next_task = pool.leading.next_task
        long_kinds = self._long_kinds
        while True:
            # What the leader itself put into the backlog (share_ready) is nobody's if no other worker comes back.
            task = baton.next_waiting() if baton.backlog else next_task()
            if task is None:
                if self.leaving:
                    self._resign()
                    return
                task = baton.next_waiting()
                if task is None:
                    continue
            if pool.expected_wait > PASS_ABOVE:
                pool.share_ready()
                passed = baton.pass_on()
            elif long_kinds and task.kind in long_kinds:
                # What else is ready is left to the next leader: it is short, and not worth waking many for.
                passed = baton.pass_on()
            else:
                passed = False
            if passed:
                self._leading = False
                self._run(task)
                return
            baton.put_down()
            self._run(task)
            # With a used context the baton stays on the table: to drop the context may run code of the application.
            if context or not baton.pick_up():
                self._leading = False
                return
            if self.leaving:
                self._resign()
                return

    def _resign(self) -> None:
        """Give the baton to a follower, or put it down if there is none."""
        self._leading = False
        if not self._baton.pass_on():
            self._baton.put_down()

    @runs_tasks
    def _run(self, task: Task) -> None:
        """Run one task and record it. Nothing it raises gets out."""
        now = self._now
        started = now()
        task.started_at = started
        task.worker_name = self.name
        self.fact = busy = (_BUSY, started, task)
        try:
            ended = task.run(self.window) or now()
        except BaseException as error:
            # The first of the two places that catch everything. The window may still be open.
            self._recover(task, error)
            ended = now()
        if self.orphaned:
            self._end_child(task.title(), None)
        duration = ended - started
        self._count_task(task, duration, ended)
        task.conclude(ended)
        if self.window.killed or self.fact is not busy:
            self.leaving = True
            if self.window.killed:
                self._clear_away(task)
        else:
            self.fact = (_IDLE, ended, None)
        if duration > NEGLIGIBLE or self._pool.expected_wait > NEGLIGIBLE or self._long_kinds:
            self._heed(task, duration)

    def _heed(self, task: Task, duration: Seconds) -> None:
        """
        Do what follows from the duration of a call that has ended.

        It changes how long the next calls are expected to take, unless its kind was known as long. If it was longer than
        ``long_call``, the supervisor is told.
        """
        pool = self._pool
        is_known = (duration >= LONG or self._long_kinds) and pool.long_kinds.note(task.kind, duration)
        if not is_known:
            pool.expected_wait = expected_wait(pool.expected_wait, duration)
        if duration > pool.long_call:
            pool.changed()

    def _count_task(self, task: Task, duration: Seconds, ended: Seconds) -> None:
        if duration > self._tally.slow_above:
            self._tally.note_slow(task, self.worker_id, duration, ended)
        if task.arrived_at:
            self._count_wait(task.started_at - task.arrived_at)
        self._calls[0 if duration < _FIRST_BOUND else bisect(BOUNDS, duration)] += 1

    def _count_wait(self, waited: Seconds) -> None:
        self.tally.waits[bisect(BOUNDS, waited)] += 1
        if waited > self._tally.longest["waits"]:
            self._tally.note_longest("waits", waited)

    def _recover(self, task: Task, error: BaseException) -> None:
        """
        Shut the window and let the task answer for its failure.

        A second kill may land between the arrival of the first one and the shutting, so there is a loop. One that lands
        on its jump back is outside of the ``try`` and gets past it; see ``_escape``.
        """
        if self.orphaned:
            self._end_child(task.title(), error)
        while True:
            try:
                self.window.shut()
                break
            except WorkerKilled:
                continue
        if self.window.killed:
            self._killed_by.append(error)
        try:
            task.failed(error)
        except Exception:
            _log.exception("%s: a failed task could not be cleared away; please report this", self.name)

    def _clear_away(self, task: Task) -> None:
        """
        Clear away what a killed task has left (``clearing``). The task has been concluded, and the window is shut.

        A kill that is repeated meanwhile ends this early. What is left then is cleared when the thread has ended.
        """
        self._cleared = True
        try:
            self._pool.clearing.clear(self._killed_by, self.window, task.serial)
        except BaseException:
            while True:
                try:
                    self.window.shut()
                    break
                except WorkerKilled:
                    continue
        if self.orphaned:
            self._end_child(task.title(), None)

    def _escape(self, error: WorkerKilled) -> None:
        """
        End a task out of which a second kill carried us, past ``_recover``: the other of the two places that catch
        everything.

        The few instructions before that loop, and its jump back, are the only gap. What is done here was not done there:
        the window is open as long as an exception can come out of it.
        """
        task = self.fact[2]
        if task is not None:
            self._recover(task, error)
            task.conclude(self._now())
            self._clear_away(task)

    def _end_child(self, title: str, error: BaseException | None) -> None:
        """
        End this process, which is a child of a fork.

        ClientGone is no failure: the application went on in the child, and its response goes nowhere there.
        """
        forks.end_child(title, None if isinstance(error, ClientGone) else error)
