"""
Grade a whole stack of calls: may an exception be raised in its innermost function now? Pure; any thread.

An exception ends the innermost function and, if nobody catches it, all the others. So the place at which each of them
calls the next one counts as well.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Iterable, Sequence
from types import CodeType

from pastepool.core.landing.chart import chart_of
from pastepool.core.landing.standard_library import is_spared
from pastepool.core.ownership import (
    Owner,
    is_application_boundary,
    is_task_boundary,
    must_not_be_hit,
    owner_of,
)

Standing = tuple[CodeType, int]
"""A function and the offset in bytes of the instruction at which it stands."""


class Grade(enum.IntEnum):
    """
    How good a place is. A larger number is worse.

    ``SAFE``: nothing is left behind. ``LIBRARY``: so it is, as far as the code shows; but it is the code of a library,
    which may keep a state of its own. ``AVOID``: a lock or a resource may stay taken, or the exception may be lost.
    ``NEVER``: our own bookkeeping or a lock of everybody would suffer, or the place is outside of the application.
    """

    SAFE = 0
    LIBRARY = 1
    AVOID = 2
    NEVER = 3


_TAKES_OR_GIVES = frozenset(
    {"__enter__", "__exit__", "__del__", "acquire", "release", "_acquire_restore", "_release_save", "close"}
)
"""
Functions that take something for their caller, give it back, or end an object. In them nothing is raised at first. In
``__del__`` it would be swallowed.
"""


def raised_before(stack: Iterable[Standing]) -> Grade:
    """
    Grade the raising before the next instruction of the innermost function.

    Args:
        stack: innermost call first, at least up to the function of ours that calls the application or runs the task.
            Of the innermost function: the instruction that is executed next.
    """
    return _grade(stack, returning=False)


def raised_on_return(stack: Iterable[Standing]) -> Grade:
    """
    Grade the raising in the instant at which the innermost call, written in C, returns.

    Args:
        stack: as for ``raised_before``; of the innermost function: the instruction that is being executed.
    """
    return _grade(stack, returning=True)


def raised_in_call(stack: Sequence[Standing]) -> Grade:
    """
    Grade the raising inside of the call, written in C, in which the innermost function waits.

    If that call is just ending, the exception is raised in the instant at which it returns. Only after an instruction
    that calls a function it is sure to be raised there and not later, so anywhere else nothing may be raised.

    Args:
        stack: as for ``raised_on_return``, and not empty.
    """
    code, offset = stack[0]
    return raised_on_return(stack) if chart_of(code).calls(offset) else Grade.NEVER


def _grade(stack: Iterable[Standing], returning: bool) -> Grade:
    worst = Grade.SAFE
    innermost = True
    for code, offset in stack:
        if not innermost and is_task_boundary(code):
            return worst
        worst = max(worst, _grade_of_one(code, offset, innermost, returning))
        if worst is Grade.NEVER or is_application_boundary(code):
            return worst
        innermost = False
    return worst


def _grade_of_one(code: CodeType, offset: int, innermost: bool, returning: bool) -> Grade:
    if must_not_be_hit(code):
        return Grade.NEVER
    chart = chart_of(code)
    if not innermost:
        return Grade.AVOID if chart.inside(offset) or code.co_name in _TAKES_OR_GIVES else Grade.SAFE
    if is_spared(code.co_filename):
        return Grade.NEVER
    dangerous = chart.returning(offset) if returning else chart.begun(offset)
    between = not returning and is_application_boundary(code)  # the application's result would be lost, and not closed
    if dangerous or between or code.co_name in _TAKES_OR_GIVES:
        return Grade.AVOID
    return Grade.LIBRARY if _is_a_librarys(code.co_filename) else Grade.SAFE


@functools.lru_cache(maxsize=4096)
def _is_a_librarys(file: str) -> bool:
    return owner_of(file) is Owner.LIBRARY
