"""
What a thread is executing: collected cheaply, put into words only for whoever wants to read it.

Knows frames, code objects and the source files behind them. Does not know why anyone asks.
A frame is never kept: it would keep every local variable of a request alive. What is kept are the names its code object
has anyway, and a line number.

Runs on: any thread; the thread looked at goes on running.
"""

from __future__ import annotations

import gc
import linecache
import sys
import threading
from collections.abc import Mapping
from types import CodeType, FrameType

from pastepool.core.report import Place

DEPTH_LIMIT = 200
"""
Frames kept of one stack, counted from the innermost. Frameworks nest 30 to 90 deep; only a runaway recursion goes
beyond, and there the innermost 200 say it all.
"""

_COLLECTS_INSIDE = (3, 11) <= sys.version_info < (3, 11, 9)
"""
Whether looking at all threads can stop the process for ever (CPython issue 106883): it makes a frame object for each
while it keeps the interpreter's list of threads locked.

1. One of those objects starts the garbage collector, which runs a callback written in Python (``WeakSet`` has one).
2. The callback gives up the interpreter's lock to whoever is next.
3. That thread ends, starts another one or sends an exception: all three wait for the list, and keep that lock.

Seen here on 3.11.7: once in some 300,000 kills.
"""

_looking = threading.RLock()
"""Held while the collector is off, or two who look at once would leave it off. A finalizer may look as well."""


def current_frames() -> Mapping[int, FrameType]:
    """
    Give the innermost frame of every thread, by ``threading.get_ident()``.

    Returns:
        nothing on an interpreter that runs without its GIL: walking the frames of a thread that runs meanwhile has
        crashed CPython there (issue 118680).
    """
    if _runs_without_gil():
        return {}
    return _frames_uncollected() if _COLLECTS_INSIDE else sys._current_frames()


def _frames_uncollected() -> Mapping[int, FrameType]:
    with _looking:
        collects = gc.isenabled()
        try:
            gc.disable()
            return sys._current_frames()
        finally:
            if collects:
                gc.enable()


def stack_of(frame: FrameType | None, limit: int = DEPTH_LIMIT) -> tuple[Place, ...]:
    """Note where each call of a stack stands, innermost first, ``limit`` calls at most."""
    places: list[Place] = []
    while frame is not None and len(places) < limit:
        code = frame.f_code
        places.append(Place(code.co_filename, frame.f_lineno or code.co_firstlineno, _name_of(code)))
        frame = frame.f_back
    return tuple(places)


def stack_lines(frames: tuple[Place, ...]) -> list[str]:
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
