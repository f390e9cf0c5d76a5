# ruff: noqa: D103  the name of each shape says what it is
"""
Shapes of source code that take something and give it back: what applications, frameworks and libraries do.

Each is a function that takes ``Things``, runs for a few rounds, and gives back all that it has taken. The experiment in
``test_experiment.py`` raises an exception at each instruction of each of them.
"""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Callable, Iterator
from typing import Any

ROUNDS = range(2)


class Things:
    """What shapes take. ``left`` says what was not given back."""

    def __init__(self) -> None:
        self.lock, self.other = threading.Lock(), threading.Lock()
        self.again = threading.RLock()
        self.counted = Counted()
        self.file = io.StringIO("text")

    def left(self) -> list[str]:
        """Return the names of the things that are still taken."""
        taken = {
            "lock": self.lock.locked(),
            "other": self.other.locked(),
            "again": self.again._is_owned(),  # type: ignore[attr-defined]
            "counted": self.counted.taken != 0,
        }
        return [name for name, is_taken in taken.items() if is_taken]


class Counted:
    """A resource with ``acquire`` and ``release`` and a context of its own, written in Python."""

    def __init__(self) -> None:
        self.taken = 0

    def acquire(self) -> bool:
        self.taken += 1
        return True

    def release(self) -> None:
        self.taken -= 1

    def __enter__(self) -> Counted:
        self.taken += 1
        return self

    def __exit__(self, *_: object) -> None:
        self.taken -= 1


class Wrapped:
    """A lock in a class, as libraries have it."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock

    def __enter__(self) -> Wrapped:
        self._lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()


@contextlib.contextmanager
def locked(lock: threading.Lock) -> Iterator[None]:
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def work(*_: object) -> int:
    return sum((1, 2))


def plain_with(things: Things) -> None:
    for _ in ROUNDS:
        with things.lock:
            work()
        work()


def with_as(things: Things) -> None:
    for _ in ROUNDS:
        with things.counted as counted:
            work(counted)
        work()


def nested_with(things: Things) -> None:
    for _ in ROUNDS:
        with things.lock:
            work()
            with things.counted, things.other:
                work()
            work()


def with_return(things: Things) -> int:
    work()
    with things.lock, things.counted:
        return work()


def with_return_of_constant(things: Things) -> int:
    work()
    with things.lock:
        work()
        return 7


def with_break_and_continue(things: Things) -> None:
    for number in range(4):
        work()
        with things.lock:
            if number == 1:
                continue
            if number == 3:
                break
            work()
        work()


def with_that_fails_inside(things: Things) -> None:
    for _ in ROUNDS:
        try:
            with things.lock:
                work()
                raise ValueError
        except ValueError:
            work()


def with_that_swallows(things: Things) -> None:
    for _ in ROUNDS:
        with contextlib.suppress(KeyError), things.lock:
            work()
            raise KeyError


def with_of_a_wrapper(things: Things) -> None:
    for _ in ROUNDS:
        with Wrapped(things.lock):
            work()
        work()


def with_of_a_generator(things: Things) -> None:
    for _ in ROUNDS:
        with locked(things.lock):
            work()
        work()


def with_many_lines(things: Things) -> None:
    for _ in ROUNDS:
        with (
            things.lock,
            things.other,
            things.counted as counted,
        ):
            work(
                counted,
                1,
            )
        work()


def with_in_a_comprehension(things: Things) -> list[int]:
    with things.lock:
        return [work(number) for number in range(3)]


def acquire_and_finally(things: Things) -> None:
    for _ in ROUNDS:
        things.lock.acquire()
        try:
            work()
        finally:
            things.lock.release()
        work()


def acquire_in_the_try(things: Things) -> None:
    for _ in ROUNDS:
        taken = False
        try:
            taken = things.lock.acquire()
            work()
        finally:
            if taken:
                things.lock.release()
        work()


def acquire_with_a_question(things: Things) -> None:
    for _ in ROUNDS:
        if things.lock.acquire(timeout=1):
            try:
                work()
            finally:
                things.lock.release()
        work()


def acquire_and_return(things: Things) -> int:
    work()
    things.lock.acquire()
    try:
        return work()
    finally:
        things.lock.release()


def acquire_of_a_class(things: Things) -> None:
    for _ in ROUNDS:
        things.counted.acquire()
        try:
            work()
        finally:
            things.counted.release()
        work()


def acquire_without_a_try(things: Things) -> None:
    for _ in ROUNDS:
        things.lock.acquire()
        work()
        things.lock.release()
        work()


def acquire_and_except(things: Things) -> None:
    for _ in ROUNDS:
        things.lock.acquire()
        try:
            work()
        except BaseException:
            things.lock.release()
            raise
        things.lock.release()
        work()


def acquire_in_a_loop(things: Things) -> None:
    for _ in ROUNDS:
        while not things.lock.acquire(blocking=False):
            work()
        try:
            work()
        finally:
            things.lock.release()
        work()


def reentrant(things: Things) -> None:
    for _ in ROUNDS:
        with things.again:
            work()
            with things.again:
                work()
        work()


def finally_with_branches(things: Things) -> None:
    for number in ROUNDS:
        things.lock.acquire()
        try:
            if number:
                continue
            work()
        finally:
            work()
            if number >= 0:
                things.lock.release()
            else:
                work()


def finally_in_a_finally(things: Things) -> None:
    for _ in ROUNDS:
        things.lock.acquire()
        try:
            things.other.acquire()
            try:
                work()
            finally:
                things.other.release()
        finally:
            things.lock.release()
        work()


def finally_with_a_try(things: Things) -> None:
    for _ in ROUNDS:
        things.lock.acquire()
        try:
            work()
        finally:
            work()
            try:
                work()
            except ValueError:
                work()
            things.lock.release()


def finally_with_a_with(things: Things) -> None:
    for _ in ROUNDS:
        things.lock.acquire()
        try:
            work()
        finally:
            with things.other:
                things.lock.release()
        work()


def finally_and_except(things: Things) -> None:
    for number in ROUNDS:
        things.lock.acquire()
        try:
            if number:
                raise ValueError
            work()
        except ValueError as error:
            work(error)
        else:
            work()
        finally:
            things.lock.release()
        work()


def counter_in_a_finally(things: Things) -> None:
    for _ in ROUNDS:
        things.counted.taken += 1
        try:
            work()
        finally:
            things.counted.taken -= 1
        work()


def generator_with_a_finally(things: Things) -> None:
    def numbers() -> Iterator[int]:
        with things.lock:
            yield 1
            work()
            yield 2

    for _ in ROUNDS:
        for number in numbers():
            work(number)
        work()


def generator_that_is_closed(things: Things) -> None:
    def numbers() -> Iterator[int]:
        things.lock.acquire()
        try:
            while True:
                yield work()
        finally:
            things.lock.release()

    for _ in ROUNDS:
        iterator = numbers()
        try:
            next(iterator)
            work()
        finally:
            iterator.close()  # type: ignore[attr-defined]
        work()


def exit_stack(things: Things) -> None:
    for _ in ROUNDS:
        with contextlib.ExitStack() as stack:
            stack.enter_context(things.lock)
            work()
            stack.callback(work)
        work()


def closing(things: Things) -> None:
    class Closed:
        def __init__(self) -> None:
            things.counted.taken += 1

        def close(self) -> None:
            things.counted.taken -= 1

    for _ in ROUNDS:
        work()
        thing = Closed()
        try:
            work()
        finally:
            thing.close()


def session_with_a_rollback(things: Things) -> None:
    """A transaction as of a database: begun, then committed or rolled back."""

    def begin() -> None:
        things.lock.acquire()

    def rollback() -> None:
        things.lock.release()

    commit = rollback
    for _ in ROUNDS:
        begin()
        try:
            work()
        except BaseException:
            rollback()
            raise
        else:
            commit()
        work()


def loop_in_a_with(things: Things) -> None:
    number = 0
    with things.lock:
        while number < 3:
            number += 1
    work()


def endless_loop_in_a_with(things: Things) -> None:
    number = 0
    with things.lock:
        while True:
            number += 1
            if number > 3:
                break
    work()


def loop_with_a_call_in_a_finally(things: Things) -> None:
    things.lock.acquire()
    try:
        number = 0
        while True:
            number += work() - 2
            if number > 3:
                break
    finally:
        things.lock.release()
    work()


def loop_in_a_try_of_a_loop(things: Things) -> None:
    for _ in ROUNDS:
        things.counted.acquire()
        try:
            for number in range(3):
                if number == 1:
                    continue
                number += 1
            else:
                number = 0
        finally:
            things.counted.release()
    work()


def long_function(things: Things) -> None:
    """Long enough that jumps need ``EXTENDED_ARG``."""
    for _ in ROUNDS:
        with things.lock:
            work(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28)
            work(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28)
            work(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28)
            work(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28)
            work(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28)
            work(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28)
        work()


_FUNCTIONS: dict[str, Any] = {
    name: value
    for name, value in list(globals().items())
    if callable(value) and getattr(value, "__module__", "") == __name__ and not isinstance(value, type)
}
SHAPES: dict[str, Callable[[Things], object]] = {
    name: value for name, value in _FUNCTIONS.items() if name not in ("work", "locked")
}
