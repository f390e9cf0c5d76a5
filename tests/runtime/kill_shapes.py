# ruff: noqa: D103  the name of each shape says what it is
"""
Loops of applications that a kill has to end, as endless rounds. Each takes something and gives it back.

A shape is a function of ``Site`` and of an iterable of rounds. A victim gets endless ones, an innocent request a few, and
both use the same locks.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import itertools
import logging
import queue
import select
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

Rounds = Iterable[int]
Shape = Callable[["Site", Rounds], None]


_LONG_WAIT = 0.02
"""Seconds. A kill finds a request that waits as long as this in its wait."""


class Sink:
    """A stream that forgets."""

    def write(self, text: str) -> None: ...

    def flush(self) -> None: ...


class Site:
    """What the requests of one site share. ``left``: which of it nobody can take any more."""

    def __init__(self, folder: Path) -> None:
        self.lock, self.other, self.cache_lock = threading.Lock(), threading.Lock(), threading.Lock()
        self.again = threading.RLock()
        self.event = threading.Event()
        self.changed = threading.Condition()
        self.places = threading.Semaphore(3)
        self.queue: queue.Queue[int] = queue.Queue(100)
        self.empty: queue.Queue[int] = queue.Queue()
        self.taken = threading.Semaphore(0)
        self.executor = ThreadPoolExecutor(2, "shapes")
        self.file = folder / "file.txt"
        self.file.write_text("")
        self.database = str(folder / "site.sqlite")
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            connection.execute("create table visits (number integer)")
            connection.execute("insert into visits values (0)")
            connection.commit()
        self.handler = logging.StreamHandler(Sink())
        self.log = logging.Logger("tests.kill_shapes", logging.INFO)
        self.log.addHandler(self.handler)
        self.log.addHandler(logging.NullHandler())
        self.cached = functools.lru_cache(8)(self._computed)

    def _computed(self, number: int) -> int:
        with self.cache_lock:
            return work(number)

    def close(self) -> None:
        self.executor.shutdown()

    def left(self, patience: float) -> list[str]:
        """Return the names of what cannot be had within ``patience`` seconds each. Runs on: a thread that has none."""
        assert self.handler.lock is not None
        locks = {
            "lock": self.lock,
            "other": self.other,
            "cache_lock": self.cache_lock,
            "again": self.again,
            "event": self.event._cond,
            "changed": self.changed,
            "places": self.places._cond,  # type: ignore[attr-defined]
            "queue": self.queue.mutex,
            "empty": self.empty.mutex,
            "taken": self.taken._cond,  # type: ignore[attr-defined]
            "executor": self.executor._shutdown_lock,
            "handler": self.handler.lock,
        }
        found = [name for name, lock in locks.items() if not can_be_had(lock, patience)]
        found += ["a parcel or a place out of nothing"] * bool(self.empty.qsize() or self.taken._value)
        try:
            with contextlib.closing(sqlite3.connect(self.database, timeout=patience)) as connection:
                connection.execute("begin immediate")
        except sqlite3.OperationalError as error:
            found.append(f"database: {error}")
        return found


def can_be_had(lock: object, patience: float) -> bool:
    """Take a lock and give it back; a Condition through its own methods."""
    acquire, release = lock.acquire, lock.release  # type: ignore[attr-defined]
    if not acquire(timeout=patience):
        return False
    release()
    return True


def work(*_: object) -> int:
    return sum(range(300))


def computes(site: Site, rounds: Rounds) -> None:
    for _ in rounds:
        work()


def logs(site: Site, rounds: Rounds) -> None:
    for _ in rounds:
        site.log.info("line")
        work()


def logs_an_error(site: Site, rounds: Rounds) -> None:
    for number in rounds:
        try:
            work(1 // (number - number))
        except ZeroDivisionError:
            site.log.exception("no %d", number)


def gets_loggers(site: Site, rounds: Rounds) -> None:
    for number in rounds:
        name = f"tests.kill_shapes.{threading.get_ident()}.{number % 50}"
        logging.getLogger(name)
        logging.root.manager.loggerDict.pop(name, None)


def sets_an_event(site: Site, rounds: Rounds) -> None:
    for _ in rounds:
        site.event.set()
        work()


def waits_for_an_event(site: Site, rounds: Rounds) -> None:
    for _ in rounds:
        site.event.wait(0.001)
        site.event.clear()


def notifies(site: Site, rounds: Rounds) -> None:
    for _ in rounds:
        with site.changed:
            site.changed.wait(0.0005)
            site.changed.notify_all()
        work()


def takes_a_place(site: Site, rounds: Rounds) -> None:
    for _ in rounds:
        with site.places:
            work()
        site.places.acquire()
        site.places.release()


def holds_a_lock(site: Site, rounds: Rounds) -> None:
    for _ in rounds:
        with site.lock:
            work()
        work()


def holds_a_lock_briefly(site: Site, rounds: Rounds) -> None:
    for _ in rounds:
        with site.lock:
            pass


def holds_a_lock_all_the_time(site: Site, rounds: Rounds) -> None:
    with site.other:
        for _ in rounds:
            work()


def acquires_and_releases(site: Site, rounds: Rounds) -> None:
    for _ in rounds:
        site.lock.acquire()
        try:
            work()
        finally:
            site.lock.release()


def acquires_without_a_try(site: Site, rounds: Rounds) -> None:
    for _ in rounds:
        site.lock.acquire()
        work()
        site.lock.release()
        work()


def enters_twice(site: Site, rounds: Rounds) -> None:
    for _ in rounds:
        with site.again:
            work()
            with site.again:
                work()


def nests(site: Site, rounds: Rounds) -> None:
    for _ in rounds:
        with site.lock:
            with site.other:
                work()
            with site.cache_lock, site.again:
                work()


def opens_a_file(site: Site, rounds: Rounds) -> None:
    for _ in rounds:
        with open(site.file, "r+") as file:
            file.write("line\n")


def iterates_a_generator(site: Site, rounds: Rounds) -> None:
    for _ in rounds:
        for number in numbers(site.lock):
            work(number)


def numbers(lock: threading.Lock) -> Iterator[int]:
    lock.acquire()
    try:
        yield 1
        work()
        yield 2
    finally:
        lock.release()


def closes_a_generator(site: Site, rounds: Rounds) -> None:
    for _ in rounds:
        with contextlib.closing(numbers(site.lock)) as generator:  # type: ignore[type-var]
            next(generator)
            work()


@contextlib.contextmanager
def locked(lock: threading.Lock) -> Iterator[None]:
    with lock:
        yield


def enters_a_context_manager(site: Site, rounds: Rounds) -> None:
    for _ in rounds:
        with locked(site.lock):
            work()


def stacks_exits(site: Site, rounds: Rounds) -> None:
    for _ in rounds:
        with contextlib.ExitStack() as stack:
            stack.enter_context(site.lock)
            stack.callback(work)
            stack.enter_context(site.again)
            work()


def puts_and_gets(site: Site, rounds: Rounds) -> None:
    for number in rounds:
        with contextlib.suppress(queue.Full):
            site.queue.put(number, timeout=0.001)
        with contextlib.suppress(queue.Empty):
            site.queue.get(timeout=0.001)


def waits_in_a_queue(site: Site, rounds: Rounds) -> None:
    for _ in rounds:
        with contextlib.suppress(queue.Empty):
            site.empty.get(timeout=_LONG_WAIT)


def waits_for_a_place(site: Site, rounds: Rounds) -> None:
    for _ in rounds:
        assert not site.taken.acquire(timeout=_LONG_WAIT)


def waits_in_a_system_call(site: Site, rounds: Rounds) -> None:
    for _ in rounds:
        with site.again:
            time.sleep(_LONG_WAIT / 10)
        select.select([], [], [], _LONG_WAIT)


def submits(site: Site, rounds: Rounds) -> None:
    for number in rounds:
        site.executor.submit(work, number).result()


def queries(site: Site, rounds: Rounds) -> None:
    with contextlib.closing(sqlite3.connect(site.database, timeout=0.02)) as connection:
        for _ in rounds:
            with contextlib.suppress(sqlite3.OperationalError), connection:  # locked for longer than the timeout
                cursor = connection.cursor()
                cursor.execute("pragma synchronous = off")
                cursor.execute("update visits set number = number + 1")
                cursor.execute("select number from visits")
                cursor.fetchall()


def calls_a_cached_function(site: Site, rounds: Rounds) -> None:
    for number in rounds:
        site.cached(number % 20)


def imports(site: Site, rounds: Rounds) -> None:
    for _ in rounds:
        sys.modules.pop("colorsys", None)
        with contextlib.suppress(KeyError):  # another request has popped it meanwhile
            importlib.import_module("colorsys")
        with contextlib.suppress(ImportError):
            import this_is_no_module  # type: ignore[import-not-found]  # noqa: F401


def sleeps(site: Site, rounds: Rounds) -> None:
    for _ in rounds:
        time.sleep(0.0005)


def finishes(site: Site, rounds: Rounds) -> None:
    try:
        work()
    finally:
        for _ in rounds:
            work()


def finishes_with_locks(site: Site, rounds: Rounds) -> None:
    try:
        work()
    finally:
        for _ in rounds:
            with site.lock:
                work()
            site.log.info("line")
            site.event.set()


class Door:
    """A context whose exit has much to do."""

    def __init__(self, site: Site, rounds: Rounds) -> None:
        self.site, self.rounds = site, rounds

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        for _number in self.rounds:
            with self.site.lock:
                work()


def exits(site: Site, rounds: Rounds) -> None:
    with Door(site, rounds):
        work()


def undoes(site: Site, rounds: Rounds) -> None:
    try:
        work(1 // 0)
    except ZeroDivisionError:
        for _ in rounds:
            rollback(site)


def rollback(site: Site) -> None:
    with site.other:
        work()


SHAPES: dict[str, Shape] = {
    shape.__name__: shape
    for shape in (
        computes,
        logs,
        logs_an_error,
        gets_loggers,
        sets_an_event,
        waits_for_an_event,
        notifies,
        takes_a_place,
        holds_a_lock,
        holds_a_lock_briefly,
        holds_a_lock_all_the_time,
        acquires_and_releases,
        acquires_without_a_try,
        enters_twice,
        nests,
        opens_a_file,
        iterates_a_generator,
        closes_a_generator,
        enters_a_context_manager,
        stacks_exits,
        puts_and_gets,
        waits_in_a_queue,
        waits_for_a_place,
        waits_in_a_system_call,
        submits,
        queries,
        calls_a_cached_function,
        imports,
        sleeps,
        finishes,
        finishes_with_locks,
        exits,
        undoes,
    )
}

LONG = frozenset({"finishes", "finishes_with_locks", "exits", "undoes"})
"""Shapes that a kill ends only after its patience with clean-up: some tenths of a second each."""


def for_ever() -> Rounds:
    return itertools.count(1)


def a_few() -> Rounds:
    return range(1, 4)
