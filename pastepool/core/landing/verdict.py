"""
Grade a whole stack of calls: may an exception be raised in its innermost function now? Pure; any thread.

An exception ends the innermost function and, if nobody catches it, all the others. So the place at which each of them
calls the next one counts as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import CodeType
from typing import NamedTuple

from pastepool.core.landing.chart import chart_of
from pastepool.core.landing.grade import Grade
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

_KEPT = 2048
"""
Of how many functions the grades are kept. Those of one take about half a KiB, and a millisecond to make. The number is a
guess: more functions than stand on the stacks of killed requests. An application that makes functions all the time, such
as a template language, has any number of them.
"""

_TAKES = frozenset({"__enter__", "acquire", "_acquire_restore"})
_GIVES = frozenset({"__exit__", "__del__", "release", "_release_save", "close"})
"""
Functions that take something for their caller, and those that give it back or end an object. In them nothing is raised at
first. In ``__del__`` it would be swallowed.
"""


class _Judged(NamedTuple):
    """
    A function and its grades by offset, as in ``Chart``.

    ``before``, ``returning``: where it is the innermost one. ``inside``, ``entered``: where it calls another one.
    ``calls``: as in ``Chart``. ``runs_tasks``, ``calls_application``: whether it is marked so (``ownership``).
    """

    code: CodeType
    before: bytes
    inside: bytes
    entered: bytes
    returning: bytes
    calls: bytes
    runs_tasks: bool
    calls_application: bool


_judged: dict[int, _Judged] = {}
"""By ``id`` of the code object, because its hash is slow. An entry keeps its code object alive, so no other has that id."""


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
    judged = _judged.get(id(code)) or _judge(code)
    return raised_on_return(stack) if judged.calls[offset >> 1] else Grade.NEVER


def raised_in_callee(stack: Iterable[Standing], *, took: bool) -> Grade:
    """
    Grade the raising in a function that a thread has called, as far as the calls that led to it are concerned.

    Args:
        stack: these calls, without that function; innermost call first.
        took: that function may have taken something for its caller. If not, it may also be called by a ``with``.
    """
    worst = 0
    for code, offset in stack:
        judged = _judged.get(id(code)) or _judge(code)
        if judged.runs_tasks:
            break
        worst = max(worst, (judged.inside if took else judged.entered)[offset >> 1])
        if worst == Grade.NEVER or judged.calls_application:
            break
        took = True
    return Grade(worst)


def _grade(stack: Iterable[Standing], returning: bool) -> Grade:
    worst = 0
    innermost = True
    for code, offset in stack:
        judged = _judged.get(id(code)) or _judge(code)
        if innermost:
            worst = (judged.returning if returning else judged.before)[offset >> 1]
            innermost = False
        elif judged.runs_tasks:
            break
        else:
            worst = max(worst, judged.inside[offset >> 1])
        if worst == Grade.NEVER or judged.calls_application:
            break
    return Grade(worst)


def _judge(code: CodeType) -> _Judged:
    """Grade a function and keep the result. If there are too many, all are forgotten: those in use soon come again."""
    chart = chart_of(code)
    boundary = is_application_boundary(code)
    innermost = _floor_as_innermost(code)
    caller = Grade.NEVER if must_not_be_hit(code) else _floor_of_name(code.co_name)
    before = max(innermost, Grade.AVOID) if boundary else innermost  # its result would be lost, and not closed
    judged = _Judged(
        code,
        _at_least(before, chart.before),
        _at_least(caller, chart.inside),
        _at_least(caller, chart.entered),
        _at_least(innermost, chart.returning),
        chart.calls,
        is_task_boundary(code),
        boundary,
    )
    if len(_judged) >= _KEPT:
        _judged.clear()
    _judged[id(code)] = judged
    return judged


def _floor_as_innermost(code: CodeType) -> Grade:
    """Return how good a place in a function is at best."""
    if must_not_be_hit(code) or is_spared(code.co_filename):
        return Grade.NEVER
    library = Grade.LIBRARY if owner_of(code.co_filename) is Owner.LIBRARY else Grade.SAFE
    return max(library, _floor_of_name(code.co_name))


def _floor_of_name(name: str) -> Grade:
    if name in _TAKES:
        return Grade.AVOID
    return Grade.CLEANUP if name in _GIVES else Grade.SAFE


def _at_least(floor: Grade, table: bytes) -> bytes:
    return bytes(max(floor, grade) for grade in table)
