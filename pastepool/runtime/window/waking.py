"""
Wake an armed thread that waits for a ``threading.Condition``, so that its kill is raised in the wait.

``queue.Queue``, ``threading.Event``, ``concurrent.futures`` and the connection pools of many libraries wait in this way.
``Condition.wait`` makes a lock for one wait, takes it, and takes it a second time: so it waits until ``notify`` gives
that lock back. Nobody else knows it. We give it back as ``notify`` does, and raise the exception where ``wait`` expects a
KeyboardInterrupt: its ``finally`` takes the lock of the condition again, which the caller's ``with`` gives back.

No notification may be lost, because it may be the only one that another thread gets:

1. In one step the lock of the condition is taken, so that nobody can notify just now. If it is not free, nothing is done.
2. A wait that was notified already has its lock given back, or is not among the waiters. Then nothing is done either.
3. Otherwise it is removed from the waiters and its lock is given back. The arm is told that it was us.
4. The arm raises before the next instruction, if that is still in the ``try`` (``Arm.woken``).

A bare ``Lock.acquire`` cannot be ended like this: to give that lock back would let another thread in beside its owner.

Source: CPython's ``threading.py``, the same from 3.10 to 3.15 (issue 92530 among them); ours.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import starmap
from operator import attrgetter, is_, not_
from types import FrameType
from typing import Any, NamedTuple

from pastepool.core.landing.finals import runs_the_same_finally
from pastepool.core.landing.grade import Grade
from pastepool.core.landing.verdict import raised_in_callee
from pastepool.runtime.inspection.stacks import look_at
from pastepool.runtime.window.arming import Arm, Place, calls_of
from pastepool.runtime.window.one_step import equal, in_one_step

_WAIT = threading.Condition.wait.__code__
_SEMAPHORE = threading.Semaphore.acquire.__code__
_LOCK = type(threading.Lock())
_OF_CONDITIONS = (_LOCK, type(threading.RLock()))
"""Locks written in C. Another one, which a condition may have been given, would run Python in the killer."""


class _Wait(NamedTuple):
    """What one wait consists of: the lock of the condition, its waiters, and the lock for which this one waits."""

    lock: Any
    waiters: Any
    waiter: Any


def wake(arm: Arm, frame: FrameType) -> bool:
    """
    Wake a thread if it waits for a condition where an exception would leave nothing taken.

    Returns whether to look again soon: it was woken, was notified meanwhile, or somebody has the lock of the condition just
    now. Runs on: killer, under the fence of the window.

    Args:
        arm: of that thread; it is in force.
        frame: the innermost one of that thread.
    """
    wait = _wait_in(frame)
    if wait is None or _from_outside(frame) > Grade.LIBRARY:
        return False
    place = Place.of(frame)
    look = (
        map(is_, look_at(arm.ident), (frame,)),
        equal(attrgetter("f_lasti"), (frame,), to=place.offset),
        map(not_, map(attrgetter("landed"), (arm,))),
    )
    try:
        taken = in_one_step(*look, map(wait.lock.acquire, (False,)), *_giving_back(wait, arm, place)) > len(look)
    except KeyError:
        return False  # it has ended
    except ValueError:
        taken = True  # it is no waiter any more
    if taken:
        wait.lock.release()
    return True


def _wait_in(frame: FrameType) -> _Wait | None:
    """Return the wait in which a thread is that has this innermost frame; None if it is in none, or has been notified."""
    if frame.f_code is not _WAIT or not runs_the_same_finally(_WAIT, frame.f_lasti, frame.f_lasti):
        return None
    variables = frame.f_locals
    condition = getattr(variables.get("self"), "__dict__", {})
    wait = _Wait(condition.get("_lock"), condition.get("_waiters"), variables.get("waiter"))
    ours = type(wait.lock) in _OF_CONDITIONS and type(wait.waiters) is deque and type(wait.waiter) is _LOCK
    return wait if ours else None


def _from_outside(wait: FrameType) -> Grade:
    """Grade the calls that led to a wait. A semaphore that waits has taken nothing for its caller yet."""
    calls = list(calls_of(wait))[1:]
    if calls and calls[0][0] is _SEMAPHORE:
        return raised_in_callee(calls[1:], took=False)
    return raised_in_callee(calls, took=True)


def _giving_back(wait: _Wait, arm: Arm, place: Place) -> Iterator[Iterable[object]]:
    """The steps that ask whether it was notified, remove it from the waiters, tell the arm, and give its lock back."""
    yield starmap(wait.waiter.locked, [()])
    yield map(is_, map(wait.waiters.remove, (wait.waiter,)), (None,))
    yield map(is_, map(setattr, (arm,), ("woken",), (place,)), (None,))
    yield map(is_, starmap(wait.waiter.release, [()]), (None,))
