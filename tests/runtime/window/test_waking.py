"""Kills in threads that wait for a condition: ended at once, on every CPython, and no notification is lost."""

from __future__ import annotations

import queue
import random
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from pastepool.errors import WorkerKilled
from pastepool.runtime.window.reach import found_reach
from pastepool.runtime.window.window import Window
from pastepool.types import Injected
from tests.runtime.window.blocked import Blocked
from tests.waiting import WATCHDOG, until

pytestmark = [
    pytest.mark.skipif(found_reach() is None, reason="this interpreter has no way to arm a thread"),
    pytest.mark.skipif(sys.platform != "linux", reason="the helper asks Linux whether a thread is blocked"),
]


class Waits:
    """What requests wait for: each is a method."""

    def __init__(self) -> None:
        self.parcels: queue.Queue[None] = queue.Queue()
        self.full: queue.Queue[None] = queue.Queue(1)
        self.full.put(None)
        self.event = threading.Event()
        self.future: Future[None] = Future()
        self.condition = threading.Condition()
        self.semaphore = threading.Semaphore(0)

    def get(self) -> None:
        self.parcels.get()

    def get_with_a_timeout(self) -> None:
        self.parcels.get(timeout=600)

    def put(self) -> None:
        self.full.put(None)

    def event_wait(self) -> None:
        self.event.wait()

    def event_wait_with_a_timeout(self) -> None:
        self.event.wait(600)

    def result(self) -> None:
        self.future.result()

    def condition_wait(self) -> None:
        with self.condition, self.condition:
            self.condition.wait()

    def condition_wait_for(self) -> None:
        with self.condition:
            self.condition.wait_for(lambda: False, 600)

    def semaphore_acquire(self) -> None:
        self.semaphore.acquire()

    def with_semaphore(self) -> None:
        with self.semaphore:
            raise AssertionError("nobody has given anything back")

    def conditions(self) -> list[threading.Condition]:
        """All of them: nobody may be left among the waiters, and no lock taken."""
        queues = self.parcels, self.full
        of_queues = [condition for each in queues for condition in (each.not_empty, each.not_full)]
        others: list[Any] = [self.event, self.semaphore]
        return [*of_queues, self.condition, self.future._condition, *(each._cond for each in others)]


KINDS = [name for name in vars(Waits) if not name.startswith("_") and name != "conditions"]


@pytest.mark.parametrize("kind", KINDS)
def test_thread_that_waits_for_a_condition_ends_at_once(kind: str) -> None:
    """Without being notified. The lock of the condition is free afterwards, and nobody is among the waiters."""
    waits = Waits()
    victim = Blocked(getattr(waits, kind), "wait")
    assert victim.kill() is Injected.LANDING
    victim.join()
    assert victim.outcome == ["killed"]
    for condition in waits.conditions():
        assert list(condition._waiters) == []  # type: ignore[attr-defined]
        assert condition.acquire(timeout=WATCHDOG)
        condition.release()
    assert waits.semaphore._value == 0


def test_nothing_is_raised_in_a_wait_while_the_lock_of_the_condition_is_taken() -> None:
    """Somebody might notify just now. The kill is held back, and the next attempt ends the wait."""
    waits = Waits()
    victim = Blocked(waits.condition_wait, "wait")
    outcomes: list[Injected] = []
    killer = threading.Thread(target=lambda: outcomes.append(victim.kill()))
    with waits.condition:
        killer.start()
        killer.join(WATCHDOG)
        assert len(waits.condition._waiters) == 1  # type: ignore[attr-defined]
    assert (outcomes, victim.outcome) == ([Injected.HELD_BACK], [])
    until(lambda: victim.kill() is not Injected.HELD_BACK, "the lock is free")
    victim.join()
    assert victim.outcome == ["killed"]


def test_wait_in_a_finally_is_not_ended() -> None:
    """Clean-up that waits for somebody is left to it, as other clean-up is."""
    event = threading.Event()
    rest: list[str] = []

    def body() -> None:
        try:
            threading.get_ident()
        finally:
            event.wait()
            rest.append("cleaned up")

    victim = Blocked(body, "wait")
    assert victim.kill() is Injected.LANDING
    assert victim.outcome == []
    event.set()
    victim.join()
    assert rest == ["cleaned up"]


class Lock:
    """A lock written in Python, as some libraries give it to a condition."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.takers: set[int] = set()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        self.takers.add(threading.get_ident())
        return self._lock.acquire(blocking, timeout)

    def release(self) -> None:
        self._lock.release()

    def locked(self) -> bool:
        return self._lock.locked()

    __enter__ = acquire

    def __exit__(self, *_: object) -> None:
        self.release()


def test_condition_with_a_lock_of_its_own_is_left_alone() -> None:
    """The killer would run code of the application. The thread stays armed, and is killed when it comes back."""
    lock: Any = Lock()
    condition = threading.Condition(lock)

    def body() -> None:
        with condition:
            condition.wait()
        time.sleep(0)

    victim = Blocked(body, "wait")
    assert victim.kill() is Injected.LANDING
    assert victim.outcome == []
    assert lock.takers == {victim.thread.ident}
    with condition:
        condition.notify()
    victim.join()
    assert victim.outcome == ["killed"]


def test_wait_for_a_bare_lock_is_not_ended() -> None:
    """To give that lock back would let this thread in beside its owner. It is told by the table of the manual."""
    lock = threading.Lock()
    lock.acquire()

    def body() -> None:
        lock.acquire()
        lock.release()

    victim = Blocked(body, "body")
    assert victim.kill() is Injected.LANDING
    assert (victim.outcome, lock.locked()) == ([], True)
    lock.release()
    victim.join()
    assert not lock.locked()


class Getter:
    """A thread that takes one parcel, in a window, or is killed."""

    def __init__(self, parcels: queue.Queue[int]) -> None:
        self.window: Window
        self.outcome: list[object] = []
        self._parcels = parcels
        self._opened = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert self._opened.wait(WATCHDOG)

    def _run(self) -> None:
        self.window = Window()
        try:
            self.window.open(1)
            self._opened.set()  # from here on it may be killed, also before it waits
            self._get()
        except WorkerKilled as error:
            self.outcome.append(error)
        self.window.shut()

    def _get(self) -> None:
        self.outcome.append(self._parcels.get())


def racing(first: Callable[[], object], second: Callable[[], object]) -> None:
    """Run both at the same time, or one shortly after the other."""
    start = threading.Barrier(2)

    def later(body: Callable[[], object]) -> None:
        start.wait(WATCHDOG)
        for _ in range(random.randrange(200)):
            pass
        body()

    thread = threading.Thread(target=later, args=(first,))
    thread.start()
    later(second)
    thread.join(WATCHDOG)


def test_no_parcel_stays_in_the_queue_because_its_getter_was_killed() -> None:
    """
    Two threads wait for a parcel. One is killed in the moment in which a parcel comes. If the notification went to the
    one that dies in its wait, the other one would wait beside a queue that is not empty.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for _ in range(150):
            parcels: queue.Queue[int] = queue.Queue()
            victim, other = Getter(parcels), Getter(parcels)
            kills: list[Injected] = []
            racing(lambda: parcels.put(1), lambda: kills.append(victim.window.kill(1, lambda: None)))  # noqa: B023
            while kills[-1] is Injected.HELD_BACK:
                kills.append(victim.window.kill(1, lambda: None))
            victim.thread.join(WATCHDOG)
            until(parcels.empty, "somebody takes the parcel")
            if other.thread.is_alive():
                parcels.put(2)
            other.thread.join(WATCHDOG)
            assert not victim.thread.is_alive() and not other.thread.is_alive()
            assert [type(each) for each in other.outcome] == [int]
            assert len(parcels.not_empty._waiters) == 0  # type: ignore[attr-defined]
    finally:
        sys.setswitchinterval(before)
