"""
What a thread is executing: collected cheaply, put into words only for whoever wants to read it.

Knows frames, code objects and the source files behind them. Does not know why anyone asks.
A frame is never kept: it would keep every local variable of a request alive. What is kept are the names its code object
has anyway, and a line number.

Runs on: any thread; the thread looked at goes on running.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator, Mapping
from itertools import starmap
from operator import itemgetter
from types import CodeType, FrameType

from pastepool.core.telling.report import CodePlace
from pastepool.runtime.inspection.collector import CollectorKeptOut

DEPTH_LIMIT = 200
"""
Frames kept of one stack, counted from the innermost. Frameworks nest 30 to 90 deep; only a runaway recursion goes
beyond, and there the innermost 200 say it all.
"""


def current_frames() -> Mapping[int, FrameType]:
    """
    Give the innermost frame of every thread, by ``threading.get_ident()``.

    Whoever has a frame when its function returns drops its local variables, and runs their finalizers: so let go of the
    answer soon, and where an application's finalizer must never run (on the supervisor) ask ``frame_of``.

    Returns:
        nothing on an interpreter that runs without its GIL: walking the frames of a thread that runs meanwhile has
        crashed CPython there (issue 118680).
    """
    if _runs_without_gil():
        return {}
    # Until 3.11.8 the interpreter makes objects while it has its list of threads locked (CPython issue 106883):
    # 1. one of them starts the garbage collector, which runs a callback written in Python (WeakSet has one);
    # 2. the callback lets go of the interpreter's lock; 3. the thread that gets it ends, or starts another one, and
    # waits for the list with that lock in its hand. The process is dead. Seen on 3.11.7, once in some 250,000 kills.
    with CollectorKeptOut():
        return sys._current_frames()


def frame_of(ident: int) -> FrameType | None:
    """
    Give the innermost frame of one thread; None if it has ended, or where frames cannot be looked at.

    The other threads' frames are gone again before any of them can run on: all of this is one call written in C.
    """
    if _runs_without_gil():
        return None
    with CollectorKeptOut():
        try:
            return next(look_at(ident))
        except KeyError:
            return None


def look_at(ident: int) -> Iterator[FrameType]:
    """
    Make an iterator that looks when it is asked, once, and does all of it in C. Raises, then: KeyError if the thread
    has ended. To be asked while the collector is kept out.
    """
    return map(itemgetter(ident), starmap(sys._current_frames, [()]))


def stack_of(frame: FrameType | None, limit: int = DEPTH_LIMIT) -> tuple[CodePlace, ...]:
    """Note where each call of a stack stands, innermost first, ``limit`` calls at most."""
    places: list[CodePlace] = []
    while frame is not None and len(places) < limit:
        code = frame.f_code
        places.append(CodePlace(code.co_filename, frame.f_lineno or code.co_firstlineno, _name_of(code)))
        frame = frame.f_back
    return tuple(places)


def stack_lines(frames: tuple[CodePlace, ...]) -> list[str]:
    """
    Put a stack into words, outermost call first as a traceback does, with the source where it can be read.

    Reads source files: for logs, mails and pages, never on the path of a request.

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
    """Name a function with its class where the interpreter keeps that (from 3.11 on)."""
    return getattr(code, "co_qualname", code.co_name)


def _runs_without_gil() -> bool:
    enabled = getattr(sys, "_is_gil_enabled", None)
    return enabled is not None and not enabled()
