"""
Raising an exception in another thread: the interpreter's one call for it, bare and on a condition.

The interpreter marks the exception on the thread, which raises it when it next looks, where it stands then. Source:
CPython's ``PyThreadState_SetAsyncExc``.
"""

from __future__ import annotations

import ctypes
from itertools import chain, takewhile
from operator import is_
from types import FrameType

from pastepool.errors import InjectionUnavailable
from pastepool.runtime.inspection.collector import CollectorKeptOut
from pastepool.runtime.inspection.stacks import look_at


def check_available() -> None:
    """Raises: InjectionUnavailable where the interpreter has no way to raise in another thread (not CPython)."""
    if not hasattr(getattr(ctypes, "pythonapi", None), "PyThreadState_SetAsyncExc"):
        raise InjectionUnavailable("This Python cannot raise an exception in another thread; no request is killed.")


def thread_state() -> int:
    """Return the address of the interpreter's record of the calling thread. It is valid until the thread has ended."""
    get = ctypes.pythonapi.PyThreadState_Get
    get.restype = ctypes.c_void_p
    return int(get())


def set_async_exc(ident: int, exception: type[BaseException] | None) -> int:
    """
    Mark an exception on a thread, or with None take off whatever is marked. Answers how many threads were hit: 1 or 0.
    """
    raised = ctypes.py_object(exception) if exception is not None else ctypes.c_void_p(None)
    return int(ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), raised))


def set_async_exc_inside(frame: FrameType, ident: int, exception: type[BaseException]) -> bool | None:
    """
    Mark an exception on a thread if ``frame`` is its innermost one, so that it is raised there and nowhere else.

    1. A thread that runs Python may have to let go of the interpreter's lock between any two instructions; the other thread
       would go on then, and be somewhere else when the exception is marked.
    2. So looking and marking are one call, ``list``, and everything it does is written in C: nothing in it lets go of
       the lock. What is lazy here must be: each step is taken only when the one before it has answered yes.
    3. Nor does the collector begin in between; it would run callbacks, which are Python.

    Returns: None if the thread is elsewhere, and nothing was marked; False if it has ended.
    """
    is_inside = map(is_, look_at(ident), (frame,))
    set_it = ctypes.pythonapi.PyThreadState_SetAsyncExc
    marked = map(set_it, (ctypes.c_ulong(ident),), (ctypes.py_object(exception),))
    with CollectorKeptOut():
        try:
            steps = list(takewhile(bool, chain(is_inside, marked)))
        except KeyError:
            return False
    return len(steps) == 2 if steps else None
