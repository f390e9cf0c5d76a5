"""
Decide which thread may poll. The pattern is Leader/Followers, with a caretaker that polls while no worker is free.

Words. The *baton* is the right to run ``Poller.next_task``; at most one thread has it. A worker that has it is the
*leader*. Workers that have nothing to do are *followers* and sleep, each on a lock of its own. The follower that fell
asleep last is woken first, because its stack is still in the processor's caches. The *caretaker* is the thread that
called ``serve``.

The baton is in one of these places:
1. with a leader that polls;
2. on the *table*, while its leader runs an application call. Three threads can pick it up: the leader itself when its
   call returns, a worker that has become free, and the caretaker if the same call still runs at its next look. The
   table is a deque, and picking up is one atomic ``pop``. So exactly one of the threads that try succeeds, and a leader
   of short calls needs no lock;
3. on its way to a follower that is being woken;
4. with the caretaker, which polls because no worker is free. Complete requests then wait in the backlog.

Each operation on more than one of table, followers and backlog happens under ``_lock``.
"""

from __future__ import annotations

import enum
import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Protocol

from pastepool.core.dispatch import LOOK_EVERY, look_after
from pastepool.core.overload import expired, expires_at, room
from pastepool.core.policy import OverloadPolicy
from pastepool.runtime.pool.task import Task
from pastepool.types import Seconds

_LOOKS_BEFORE_PARKING = 10
"""After this many idle looks the caretaker parks. To wake it costs as much as about that many looks (measured)."""

SIGNALS_WITHIN: Seconds = 1.0
"""
The longest time that the caretaker blocks without looking for signals. Python runs signal handlers on the main thread,
and a signal interrupts its ``acquire``. But a signal that comes in the instants before it blocks, or on another thread,
does not: (1) the interpreter looks for signals; (2) the signal comes; (3) ``acquire`` blocks. Between (1) and (3) the
thread may wait for the GIL.
"""


class Turn(enum.Enum):
    """Why a follower is woken, if not for a task."""

    LEAD = "lead"
    LEAVE = "leave"


LEAD: Final = Turn.LEAD
LEAVE: Final = Turn.LEAVE
"""
The members as module constants: to look one up on its class costs more than a tenth of a microsecond on CPython 3.11.
"""


class Follower(Protocol):
    """A worker as the baton knows it. ``leaving``: the worker ends at its next turn."""

    leaving: bool

    def wake(self, turn: Task | Turn) -> None: ...
    def sleep(self) -> Task | Turn: ...
    def retire(self) -> None:
        """Set the worker's phase to retiring. Called before the worker is woken to leave."""


class Baton:
    """
    Gives turns to workers: the baton, or a task from the backlog.

    Large because all that involves more than one of table, followers and backlog happens under one lock, which is here.

    ``backlog``: tasks in the order in which they came. ``calls``: how many application calls leaders have begun with
    the baton on the table; only the baton's holder writes it.
    """

    def __init__(self, overload: OverloadPolicy, wake_poller: Callable[[], None]) -> None:
        self.backlog: deque[Task] = deque()
        self.calls = 0
        self._overload = overload
        self._wake_poller = wake_poller
        self._table: deque[None] = deque()
        self._followers: list[Follower] = []
        self._lock = threading.Lock()
        self._with_caretaker = True
        self._wants_workers = False
        self._parked = False
        self._bell = threading.Lock()
        self._bell.acquire()

    # For workers.

    def follow(self, worker: Follower) -> Task | Turn:
        """
        Return the next turn of a worker: a task, ``LEAD`` or ``LEAVE``. Blocks until there is one.

        A free worker first takes a task that waits. If none waits, it takes the baton from the table. Runs on: worker.
        """
        with self._lock:
            if worker.leaving:
                return LEAVE
            if self.backlog:
                return self.backlog.popleft()
            if self._table and self.pick_up():  # to find out by the exception of an empty table costs a microsecond
                return LEAD
            self._followers.append(worker)
            wake_poller = self._with_caretaker or self._wants_workers
        if wake_poller:
            self._wake_poller()
        return worker.sleep()

    def put_down(self) -> None:
        """Put the baton on the table, because the leader is about to run a call. Wakes a parked caretaker."""
        self.calls += 1
        self._table.append(None)
        if self._parked:
            self.ring()

    def pick_up(self) -> bool:
        """Take the baton from the table. Returns False if it does not lie there: another thread has it."""
        try:
            self._table.pop()
        except IndexError:
            return False
        return True

    def next_waiting(self) -> Task | None:
        """Take the first task out of the backlog; None if it is empty. Runs on: a leader whose poll was woken."""
        with self._lock:
            return self.backlog.popleft() if self.backlog else None

    def pass_on(self) -> bool:
        """Give the caller's baton to a follower. Returns False if there is no follower: the caller keeps the baton."""
        if not self._followers:
            return False  # no lock: a worker could also become a follower right after a look under the lock
        with self._lock:
            if not self._followers:
                return False
            self._followers.pop().wake(LEAD)
            return True

    # For threads that have a task: the baton's holder, or a thread that submits work (contract F4).

    def offer(self, task: Task) -> bool:
        """Give a task to a follower, or append it to the backlog. Returns False if the backlog is full."""
        with self._lock:
            if self._followers:
                self._followers.pop().wake(task)
                return True
            if not room(len(self.backlog), self._overload):
                return False
            self.backlog.append(task)
            return True

    def offer_all(self, tasks: Sequence[Task]) -> Sequence[Task]:
        """Do the same as ``offer`` for several tasks. Returns those for which there is no room."""
        with self._lock:
            woken = min(len(tasks), len(self._followers))
            for task in tasks[:woken]:
                self._followers.pop().wake(task)
            admitted = woken + room(len(self.backlog), self._overload)
            self.backlog.extend(tasks[woken:admitted])
            return tasks[admitted:]

    def submit(self, task: Task) -> bool:
        """
        Do the same as ``offer``, for a thread without the baton.

        If no follower took the task, a leader that polls is free for it. So this method wakes the poll, and the leader
        takes the task out of the backlog.
        """
        taken = self.offer(task)
        if taken and self.backlog:
            self._wake_poller()
        return taken

    def discard(self, task: Task) -> bool:
        """Take a task out of the backlog. Returns whether it was there; if so, no worker has it."""
        with self._lock:
            try:
                self.backlog.remove(task)
            except ValueError:
                return False
            return True

    def waiting(self) -> list[Task]:
        """
        Return the tasks that wait. The list is a copy. Runs on: any thread.

        It takes the lock, because without the GIL other threads change the backlog while it is copied.
        """
        with self._lock:
            return list(self.backlog)

    def take_expired(self, now: Seconds) -> list[Task]:
        """Take the tasks that have waited too long out of the backlog, and return them."""
        with self._lock:
            late = expired((task.arrived_at for task in self.backlog), now, self._overload)
            return [self.backlog.popleft() for _ in range(late)]

    def next_expiry(self) -> Seconds:
        """Return the instant at which the first waiting task has waited too long; infinity if no task waits."""
        with self._lock:
            return expires_at(self.backlog[0].arrived_at, self._overload) if self.backlog else math.inf

    def close(self) -> list[Task]:
        """Empty the backlog and admit no more tasks to it. Returns the tasks that waited; no worker has them."""
        with self._lock:
            self._overload = replace(self._overload, queue_limit=0)
            rest = list(self.backlog)
            self.backlog.clear()
            return rest

    def in_child(self) -> None:
        """
        Give all tasks up and take no more: this process is a child of the one that serves.

        Takes no lock: another thread may have held it at the fork. Runs on: the only thread of the child.
        """
        self._lock = threading.Lock()
        self._overload = replace(self._overload, queue_limit=0)
        self._followers.clear()
        self.backlog.clear()

    # For the pool.

    def dismiss(self, worker: Follower) -> bool:
        """
        Tell a worker to leave if it is a follower. Returns whether it is.

        A leader that polls has nothing to do either, but it may have a request before it hears of it. If it left later,
        nobody who counts the workers meanwhile would know that there will be one less. So it stays, unless its
        ``leaving`` was set before: then it is woken.
        """
        with self._lock:
            follows = worker in self._followers
            if follows:
                self._followers.remove(worker)
                worker.leaving = True
                # Set the phase before the worker is woken. A woken worker may be gone before this thread runs on, and
                # the phase of a gone worker must not change to retiring.
                worker.retire()
                worker.wake(LEAVE)
        if not follows and worker.leaving:
            self._wake_poller()
        return follows

    @property
    def follower_count(self) -> int:
        """Return how many workers sleep and can be woken."""
        return len(self._followers)

    def free_count(self) -> int:
        """
        Return how many workers could begin a request now, less the tasks that wait for one. Runs on: baton.

        The holder itself is one of them, unless it is the caretaker.
        """
        return len(self._followers) + (not self._with_caretaker) - len(self.backlog)

    def want_workers(self, wanted: bool) -> None:
        """Have the poll woken when a worker becomes free, or no more. Runs on: baton."""
        self._wants_workers = wanted

    # For the caretaker.

    def ring(self) -> None:
        """Wake the caretaker out of ``watch``. Safe in a signal handler."""
        try:
            self._bell.release()
        except RuntimeError:
            pass  # it was rung already and the caretaker has not woken yet

    def caretaker_holds(self) -> bool:
        return self._with_caretaker

    def hand_over(self) -> bool:
        """
        Give the caretaker's baton to a follower. Returns False if there is no follower: the caretaker keeps the baton.
        """
        with self._lock:
            if not self._followers:
                self._with_caretaker = True
                return False
            self._with_caretaker = False
            self._followers.pop().wake(LEAD)
            return True

    def watch(self, should_stop: Callable[[], bool]) -> None:
        """
        Look at the table again and again while leaders run calls, and sleep while they do not.

        Returns when the caretaker has the baton, or when ``should_stop`` says so. If two looks in a row find the same
        call, this method picks up the baton: the leader has lost it.

        The caretaker must not sleep through a call:
            1. this thread sets ``_parked``, waits for ``LOOK_EVERY``, and then reads the table;
            2. the leader puts the baton on the table, then reads ``_parked``.
        The later of the two sees the write of the other. The wait is for Python without a GIL, where a processor may
        read before its own last write is seen by another one; that write is seen within far less than this time.
        Runs on: caretaker.
        """
        idle_looks = 0
        quiet_looks = 0
        while not should_stop():
            calls = self.calls
            self._bell.acquire(timeout=look_after(quiet_looks))
            quiet_looks += 1
            if self._table:
                idle_looks = 0
                if self.calls == calls and self.pick_up():
                    quiet_looks = 0
                    if not self.hand_over():
                        return
            elif self.calls == calls:
                idle_looks += 1
                # The ring that asks for a stop may have ended this look already. So ask again before sleeping.
                if idle_looks >= _LOOKS_BEFORE_PARKING and not should_stop():
                    self._park()
                    idle_looks = quiet_looks = 0

    def _park(self) -> None:
        self._parked = True
        if not self._bell.acquire(timeout=LOOK_EVERY):
            while not self._table and not self._bell.acquire(timeout=SIGNALS_WITHIN):
                pass  # a signal that came too early for ``acquire`` is handled here, and its handler rings
        self._parked = False
