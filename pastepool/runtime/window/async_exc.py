"""
Raising an exception in another thread: the interpreter's one call for it, bare and on a condition.

The interpreter marks the exception on the thread, which raises it when it next looks, where it stands then. Source:
CPython's ``PyThreadState_SetAsyncExc``.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from operator import is_
from types import FrameType

from pastepool.core.interpreter import NO_KILLS, runs_without_gil
from pastepool.errors import InjectionUnavailable
from pastepool.runtime.inspection.stacks import look_at
from pastepool.runtime.window.one_step import in_one_step

FLAG_IS_SHARED = sys.version_info < (3, 13)
"""
Whether all threads of the interpreter share one flag that says "somebody has an exception to raise".

It goes up with every call of ``PyThreadState_SetAsyncExc``, one that takes an exception back included, and down only
when some thread raises one. While it is up each thread leaves the fast path at each of its looks, and on 3.11 a traced
function never gets past its first instruction: a process with a debugger in it, or a coverage run, stands still. From
3.13 on each thread has a flag of its own, and lowers it itself.
"""


def check_available(*, without_gil: bool) -> None:
    """
    Find out whether requests may be killed here.

    ``without_gil``: the operator wants it even if Python runs without the GIL. Then the thread cannot be looked at, and
    the exception arrives anywhere.

    Raises: InjectionUnavailable: there is no way to raise in another thread (not CPython), or none that is safe.
    """
    if not hasattr(getattr(ctypes, "pythonapi", None), "PyThreadState_SetAsyncExc"):
        raise InjectionUnavailable("This Python cannot raise an exception in another thread; no request is killed.")
    if runs_without_gil() and not without_gil:
        raise InjectionUnavailable(NO_KILLS)


def thread_state() -> int:
    """Return the address of the interpreter's record of the calling thread. It is valid until the thread has ended."""
    get = ctypes.pythonapi.PyThreadState_Get
    get.restype = ctypes.c_void_p
    return int(get())


def set_async_exc(ident: int, exception: type[BaseException] | None) -> int:
    """
    Mark an exception on a thread, or with None take off whatever is marked. Answers how many threads were hit: 1 or 0.
    """
    return int(next(marking(ident, exception)))


def set_async_exc_inside(frame: FrameType, ident: int, exception: type[BaseException]) -> bool | None:
    """
    Mark an exception on a thread if ``frame`` is its innermost one, so that it is raised there and nowhere else.

    Returns: None if the thread is elsewhere, and nothing was marked; False if it has ended.
    """
    try:
        steps = in_one_step(map(is_, look_at(ident), (frame,)), marking(ident, exception))
    except KeyError:
        return False
    return steps == 2 if steps else None


def marking(ident: int, exception: type[BaseException] | None) -> Iterator[int]:
    """Return the step (``one_step``) that marks an exception on a thread, or with None takes off what is marked."""
    raised = ctypes.py_object(exception) if exception is not None else ctypes.c_void_p(None)
    return map(ctypes.pythonapi.PyThreadState_SetAsyncExc, (ctypes.c_ulong(ident),), (raised,))
