"""
Who may poll: Leader/Followers, with a caretaker for when there is no follower left.

Words. The *baton* is the right to run ``Poller.next_task``; exactly one thread has it. A worker that has it is the
*leader*. Workers that have nothing to do are *followers* and sleep, each on a lock of its own; the one that lay down
last is woken first, because its stack and the processor's caches are warm. The *caretaker* is the thread that called
``serve``.

Where the baton can be:
1. with a leader that polls;
2. on the *table*: its leader runs an application call. Whoever picks it up has it: the leader itself when its call
   returns, a worker that has become free, or the caretaker, if it lies there for a whole look. The table is a deque,
   picking up is one atomic ``pop``, so of all who try exactly one succeeds, and the leader of short calls needs no
   lock;
3. on its way to a follower that is being woken;
4. with the caretaker, who polls because no worker is free. Complete requests then wait in the backlog.

Everything that involves more than one of table, followers and backlog happens under ``_lock``.
"""

from __future__ import annotations

import enum
import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

from pastepool.core.dispatch import look_after
from pastepool.core.overload import admit, expired, expires_at
from pastepool.core.policy import OverloadPolicy
from pastepool.runtime.pool.task import Task
from pastepool.types import Seconds

_LOOKS_BEFORE_PARKING = 10
"""Idle looks after which the caretaker parks: waking it costs as much as about that many looks (measured)."""


class Turn(enum.Enum):
    """What a follower is woken for, where it is not a task."""

    LEAD = "lead"
    LEAVE = "leave"


LEAD: Final = Turn.LEAD
LEAVE: Final = Turn.LEAVE
"""The members by themselves: looking one up on its class costs more than a tenth of a microsecond on CPython 3.11."""


class Follower(Protocol):
    """A worker as the baton knows it."""

    leaving: bool

    @property
    def polling(self) -> bool:
        """Whether it is the leader and runs no call."""

    def wake(self, turn: Task | Turn) -> None: ...
    def sleep(self) -> Task | Turn: ...
    def retire(self) -> None:
        """Note that it is told to leave, before it is woken for that."""


class Baton:
    """
    Hands out turns: the baton, or a task from the backlog.

    Large because all that involves more than one of table, followers and backlog happens under one lock, which is here.

    ``backlog``: tasks in the order they came. ``looks``: how often the caretaker looked, for diagnosis. ``calls``:
    application calls a leader began with the baton on the table; written by the baton's holder only.
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
        self._parked = False
        self._bell = threading.Lock()
        self._bell.acquire()

    # For workers.

    def follow(self, worker: Follower) -> Task | Turn:
        """
        Wait for a turn: a task, ``LEAD`` or ``LEAVE``. A free worker takes what waits first, the baton
        second.
        """
        with self._lock:
            if worker.leaving:
                return LEAVE
            if self.backlog:
                return self.backlog.popleft()
            if self.pick_up():
                return LEAD
            self._followers.append(worker)
            wake_poller = self._with_caretaker
        if wake_poller:
            self._wake_poller()
        return worker.sleep()

    def put_down(self) -> None:
        """The leader is about to run a call: leave the baton on the table."""
        self.calls += 1
        self._table.append(None)
        if self._parked:
            self.ring()

    def pick_up(self) -> bool:
        """The leader's call is over: answer whether it still has the baton."""
        try:
            self._table.pop()
        except IndexError:
            return False
        return True

    def next_waiting(self) -> Task | None:
        """The leader was woken: answer the first task of the backlog, or None."""
        with self._lock:
            return self.backlog.popleft() if self.backlog else None

    def pass_on(self) -> bool:
        """Give the baton, which the caller has, to a follower. Answers whether there was one."""
        with self._lock:
            if not self._followers:
                return False
            self._followers.pop().wake(LEAD)
            return True

    # For whoever has a task: the baton's holder, or a thread with work of its own (contract F4).

    def offer(self, task: Task) -> bool:
        """Give a task to a follower, or to the backlog if it may grow. Answers whether it was taken."""
        with self._lock:
            if self._followers:
                self._followers.pop().wake(task)
                return True
            if not admit(len(self.backlog), self._overload):
                return False
            self.backlog.append(task)
            return True

    def submit(self, task: Task) -> bool:
        """
        Like ``offer``, for a thread without the baton: a leader that polls is free, and is woken to take the task
        itself.
        """
        taken = self.offer(task)
        if taken and self.backlog:
            self._wake_poller()
        return taken

    def discard(self, task: Task) -> bool:
        """Take a task out of the backlog. Answers whether it was there, which means that no worker has it."""
        with self._lock:
            try:
                self.backlog.remove(task)
            except ValueError:
                return False
            return True

    def take_expired(self, now: Seconds) -> list[Task]:
        """Take out the tasks that have waited too long."""
        with self._lock:
            late = expired((task.arrived_at for task in self.backlog), now, self._overload)
            return [self.backlog.popleft() for _ in range(late)]

    def next_expiry(self) -> Seconds:
        """When the first waiting task will have waited too long; ``inf`` if none waits."""
        with self._lock:
            return expires_at(self.backlog[0].arrived_at, self._overload) if self.backlog else math.inf

    def close(self) -> list[Task]:
        """Let no task wait any more. Answers those that did, which no worker will get."""
        with self._lock:
            self._overload = replace(self._overload, queue_limit=0)
            rest = list(self.backlog)
            self.backlog.clear()
            return rest

    # For the pool.

    def dismiss(self, worker: Follower) -> bool:
        """
        Tell a worker to leave if it has nothing to do. Answers whether it had: only then may it be called retiring.

        A leader that polls has nothing to do either, but may have by the time it hears of it; it leaves after that.
        """
        with self._lock:
            follows = worker in self._followers
            if follows:
                self._followers.remove(worker)
                worker.leaving = True
                # Before it is woken: it may be gone before we run on, and must not be called retiring then.
                worker.retire()
                worker.wake(LEAVE)
            elif worker.polling:
                worker.leaving = True
        if not follows:
            self._wake_poller()
        return follows

    @property
    def follower_count(self) -> int:
        """How many workers sleep and could be woken."""
        return len(self._followers)

    # For the caretaker.

    def ring(self) -> None:
        """Wake the caretaker out of ``watch``. Safe in a signal handler."""
        try:
            self._bell.release()
        except RuntimeError:
            pass  # it is ringing already

    def caretaker_holds(self) -> bool:
        return self._with_caretaker

    def hand_over(self) -> bool:
        """The caretaker has the baton: give it to a follower if there is one. Answers whether it is gone."""
        with self._lock:
            if not self._followers:
                self._with_caretaker = True
                return False
            self._with_caretaker = False
            self._followers.pop().wake(LEAD)
            return True

    def watch(self, should_stop: Callable[[], bool]) -> None:
        """
        Look again and again while leaders run calls, and sleep while they do not. Returns when the caretaker has the
        baton, or should stop.

        A leader found in the same call twice has lost the baton: it is picked up here.

        Against sleeping through a call: (1) we set ``_parked``, then look at the table; (2) the leader puts the baton
        down, then looks at ``_parked``. Whichever comes second sees the other's write.
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
                # The ring for a stop may be the one that ended this very look, so it is asked for again.
                if idle_looks >= _LOOKS_BEFORE_PARKING and not should_stop():
                    self._park()
                    idle_looks = quiet_looks = 0

    def _park(self) -> None:
        self._parked = True
        if not self._table:
            self._bell.acquire()
        self._parked = False
