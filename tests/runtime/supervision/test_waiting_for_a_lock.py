"""
Killing calls that wait for a lock: none of them takes it away.

An exception that is marked on a thread inside of ``acquire`` would be raised in the instant at which it has the lock, and
nobody would ever give it back: of ten writers behind one slow commit two were killed, and no later write succeeded.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import queue
import tempfile
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from pastepool.core.states import Phase
from pastepool.errors import WorkerKilled
from pastepool.runtime.supervision.kill_ladder import KillLadder
from pastepool.runtime.window import window
from tests.runtime.pools import Job, LivePool
from tests.waiting import WATCHDOG, until

WRITERS = 10


class Shared(Protocol):
    """Something that one thread at a time has, with the calls that an application makes."""

    def use(self, inside: Callable[[], object]) -> None:
        """Wait for it, call ``inside``, and give it back."""

    def is_free(self) -> bool:
        """Say whether somebody could have it now."""


class Bare:
    """A lock: ``acquire``, then ``try`` and ``finally``. ZODB's commit lock is used in this way."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock

    def use(self, inside: Callable[[], object]) -> None:
        self._lock.acquire()
        try:
            inside()
        finally:
            self._lock.release()

    def is_free(self) -> bool:
        free = bool(self._lock.acquire(False))
        if free:
            self._lock.release()
        return free


class InWith(Bare):
    """The same lock in a ``with``."""

    def use(self, inside: Callable[[], object]) -> None:
        with self._lock:
            inside()


class Plain(Bare):
    """``acquire`` and ``release`` in one function, without ``try``."""

    def use(self, inside: Callable[[], object]) -> None:
        self._lock.acquire()
        inside()
        self._lock.release()


class Told:
    """A condition: the first one works, and then tells all others, who wait for that."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._begun = self._ended = False

    def use(self, inside: Callable[[], object]) -> None:
        if not self._begun:
            self._begun = True
            inside()
            with self._condition:
                self._ended = True
                self._condition.notify_all()
            return
        with self._condition:
            while not self._ended:
                self._condition.wait()
            inside()

    def is_free(self) -> bool:
        free = self._condition.acquire(blocking=False)
        if free:
            self._condition.release()
        return free


class Handed:
    """A queue with one thing in it, which each takes out and puts back."""

    def __init__(self) -> None:
        self._queue: queue.Queue[str] = queue.Queue()
        self._queue.put("the only one")

    def use(self, inside: Callable[[], object]) -> None:
        taken = self._queue.get()
        try:
            inside()
        finally:
            self._queue.put(taken)

    def is_free(self) -> bool:
        return self._queue.qsize() == 1 and not self._queue.mutex.locked()


class FileLock:
    """A lock on a file, by ``fcntl``. Each has opened the file itself."""

    def __init__(self) -> None:
        descriptor, name = tempfile.mkstemp()
        os.close(descriptor)
        self._path = Path(name)
        self._lock = fcntl.flock
        weakref.finalize(self, self._path.unlink)

    def use(self, inside: Callable[[], object]) -> None:
        with self._path.open("w") as file:
            self._lock(file.fileno(), fcntl.LOCK_EX)
            try:
                inside()
            finally:
                self._lock(file.fileno(), fcntl.LOCK_UN)

    def is_free(self) -> bool:
        with self._path.open("w") as file:
            try:
                self._lock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False
        return True


KINDS: dict[str, Callable[[], Shared]] = {
    "Lock": lambda: Bare(threading.Lock()),
    "Lock in with": lambda: InWith(threading.Lock()),
    "Lock without try": lambda: Plain(threading.Lock()),
    "RLock": lambda: Bare(threading.RLock()),
    "RLock in with": lambda: InWith(threading.RLock()),
    "Semaphore": lambda: Bare(threading.Semaphore()),
    "Semaphore in with": lambda: InWith(threading.Semaphore()),
    "Condition": Told,
    "queue": Handed,
    "multiprocessing": lambda: Bare(multiprocessing.get_context("spawn").Lock()),
    "multiprocessing in with": lambda: InWith(multiprocessing.get_context("spawn").Lock()),
    "flock": FileLock,
}


class Writers:
    """Ten calls that want the same thing, and a slow one that has it. ``inside``: how many have had it."""

    def __init__(self, live: LivePool, shared: Shared) -> None:
        self.live, self.shared = live, shared
        self.inside = 0
        self._has_it, self._commits = threading.Event(), threading.Event()
        self._began = threading.Semaphore(0)
        [self.slow] = live.run(lambda: shared.use(self._commit))
        assert self._has_it.wait(WATCHDOG)
        self.jobs = live.run(*[self._write] * WRITERS)
        for _ in range(WRITERS):
            assert self._began.acquire(timeout=WATCHDOG)
        for job in self.jobs:
            until(lambda job=job: _is_blocked(live, job), "it waits")  # type: ignore[misc]

    def _commit(self) -> None:
        self._has_it.set()
        assert self._commits.wait(2 * WATCHDOG)

    def _write(self) -> None:
        self._began.release()
        self.shared.use(self._count)

    def _count(self) -> None:
        self.inside += 1

    def kill(self, jobs: list[Job]) -> None:
        """Kill calls while they wait."""
        ladder = KillLadder(False)
        for job in jobs:
            worker = next(each for each in self.live.pool.workers.values() if each.task is job)
            assert ladder.kill(worker, job.serial, time.monotonic())
            assert worker.phase is Phase.DYING

    def commit(self) -> None:
        """Let the slow one go on, and wait until all have ended."""
        self._commits.set()
        for job in (self.slow, *self.jobs):
            assert job.done.wait(WATCHDOG), "a call waits for ever: somebody has taken the lock with it"


def _is_blocked(live: LivePool, job: Job) -> bool:
    """Say whether the thread that runs a job sleeps, for the second time in a row."""
    native = [worker.native_id for worker in live.pool.workers.values() if worker.task is job]
    if not native:
        return False
    return all(Path(f"/proc/self/task/{native[0]}/stat").read_text().rpartition(")")[2].split()[0] == "S" for _ in "12")


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="it asks the kernel whether a thread sleeps")
@pytest.mark.parametrize("victims", [2, WRITERS])
@pytest.mark.parametrize("kind", KINDS)
def test_killed_waiters_leave_the_lock_to_the_others(kind: str, victims: int) -> None:
    """Killed while they wait behind a slow commit: all end when it ends, those that were not killed have their turn."""
    with LivePool(WRITERS + 2) as live:
        writers = Writers(live, KINDS[kind]())
        writers.kill(writers.jobs[:victims])
        assert not writers.shared.is_free() or kind == "Condition"
        writers.commit()
        for job in writers.jobs[victims:]:
            assert job.error is None
        until(lambda: live.pool.join(0) or all(w.task is None for w in live.pool.workers.values()), "all have left")
        assert writers.shared.is_free()
        assert writers.inside >= WRITERS - victims
        for job in writers.jobs[:victims]:
            assert job.error is None or isinstance(job.error, WorkerKilled)


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="it asks the kernel whether a thread sleeps")
@pytest.mark.parametrize("kind", ["Lock", "Lock in with", "RLock", "Semaphore", "Condition", "queue"])
def test_kill_that_can_only_be_marked_leaves_the_lock_too(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread can be armed, one that waits in ``acquire`` is not marked: it is killed when it has moved on."""
    monkeypatch.setattr(window, "found_reach", lambda: None)
    with LivePool(WRITERS + 2) as live:
        writers = Writers(live, KINDS[kind]())
        writers.kill(writers.jobs[:2])
        writers.commit()
        until(lambda: all(w.task is None for w in live.pool.workers.values()), "all have left")
        assert writers.shared.is_free()


def test_locks_of_the_tests_are_taken_and_given_back() -> None:
    """``is_free`` says what it should, or the tests above prove nothing."""
    for kind, make in KINDS.items():
        shared, seen = make(), []
        shared.use(lambda shared=shared, seen=seen: seen.append(shared.is_free()))  # type: ignore[misc]
        assert shared.is_free(), kind
        assert seen == [kind in ("Condition", "RLock", "RLock in with")], kind
