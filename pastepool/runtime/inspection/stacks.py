"""
Collect the stack of a thread, and write a stack as text.

Collecting is cheap; text is made only when somebody reads it. This module knows frames, code objects and source files.
It keeps no frame, because a frame keeps every local variable of a request alive. It keeps the names that the code
object has anyway, and a line number.

Runs on: any thread. The thread whose stack is collected goes on running.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator, Mapping
from itertools import starmap
from operator import itemgetter
from types import CodeType, FrameType

from pastepool.core.interpreter import runs_without_gil
from pastepool.core.telling.report import CodePlace
from pastepool.runtime.inspection.collector import CollectorKeptOut

DEPTH_LIMIT = 200
"""
The most frames that are kept of one stack, counted from the innermost. Frameworks nest 30 to 90 calls. Only an endless
recursion has more than 200, and its innermost 200 frames are enough to recognise it.
"""


def current_frames() -> Mapping[int, FrameType]:
    """
    Return the innermost frame of every thread, by ``threading.get_ident()``.

    A frame that is still referenced when its function returns keeps the function's local variables alive. The thread
    that drops the last reference then runs their finalizers. So keep the result only for a moment. The supervisor must
    never run a finalizer of the application: it calls ``frame_of`` instead.

    Returns:
        an empty mapping on an interpreter that runs without a GIL. Reading the frames of a running thread has crashed
        CPython there (issue 118680).
    """
    if runs_without_gil():
        return {}
    # Until 3.11.8 the interpreter makes objects while it holds the lock of its list of threads (CPython issue 106883):
    # 1. making an object starts the garbage collector, which runs a callback written in Python (WeakSet has one);
    # 2. while the callback runs, the interpreter gives the GIL to another thread;
    # 3. that thread ends, or starts a thread: it waits for the lock of the list and holds the GIL meanwhile. Deadlock.
    # Seen on 3.11.7, once in some 250,000 kills.
    with CollectorKeptOut():
        return sys._current_frames()


def frame_of(ident: int) -> FrameType | None:
    """
    Return the innermost frame of one thread. None if the thread has ended, or on an interpreter without a GIL.

    The interpreter collects the frames of all threads, and all of them but one are released inside the same call
    written in C. No other thread can run before that, so no function can return in between.
    """
    if runs_without_gil():
        return None
    with CollectorKeptOut():
        try:
            return next(look_at(ident))
        except KeyError:
            return None


def look_at(ident: int) -> Iterator[FrameType]:
    """
    Return an iterator whose ``next`` returns the innermost frame of a thread, and does all of it in C.

    It can be used once. Call ``next`` while ``CollectorKeptOut`` is entered. ``next`` raises KeyError if the thread has
    ended.
    """
    return map(itemgetter(ident), starmap(sys._current_frames, [()]))


def stack_of(frame: FrameType | None, limit: int = DEPTH_LIMIT) -> tuple[CodePlace, ...]:
    """Return the place in the code of each call of a stack, innermost first, at most ``limit`` calls."""
    places: list[CodePlace] = []
    while frame is not None and len(places) < limit:
        code = frame.f_code
        places.append(CodePlace(code.co_filename, frame.f_lineno or code.co_firstlineno, _name_of(code)))
        frame = frame.f_back
    return tuple(places)


def stack_lines(frames: tuple[CodePlace, ...]) -> list[str]:
    """
    Write a stack as lines of text, outermost call first as in a traceback, with the source line where it can be read.

    This function reads source files. It is for logs, mails and pages, never for the path of a request.

    Args:
        frames: innermost call first, as a diagnosis has them.
    """
    lines = []
    if len(frames) >= DEPTH_LIMIT:
        lines.append(f"  (the innermost {DEPTH_LIMIT} calls only)")
    for file, line, function in ((place.file, place.line, place.function) for place in reversed(frames)):
        lines.append(f'  File "{file}", line {line}, in {function}')
        source = linecache.getline(file, line).strip()
        if source:
            lines.append(f"    {source}")
    return lines


def _name_of(code: CodeType) -> str:
    """Return the name of a function, with its class where the interpreter keeps that (from 3.11 on)."""
    return getattr(code, "co_qualname", code.co_name)
