"""
Be called before the instructions of one thread, with its trace function (CPython 3.10 and 3.11).

``sys.settrace`` works for the calling thread only. The function of the interpreter that it calls can do it for another
one. That needs a function written in C. So:

1. the killer sets a trace function made by ``ctypes`` in the victim's record;
2. the interpreter calls it in the victim before one of its next instructions;
3. it calls ``sys.settrace`` with a function written in Python, which may raise.

Source: CPython 3.10 and 3.11, ``Python/ceval.c``, ``_PyEval_SetTrace``, and ``Python/sysmodule.c``.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from pastepool.core.ownership import is_application_boundary, is_task_boundary
from pastepool.runtime.window.arming import Arm

_TraceFunction = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.py_object, ctypes.c_int, ctypes.c_void_p)


class Tracing:
    """The reach of CPython 3.10 and 3.11. One for the process."""

    def __init__(self, set_trace: Any) -> None:
        self._set_trace = set_trace
        self._set_trace.argtypes = [ctypes.c_void_p, _TraceFunction, ctypes.c_void_p]
        self._armed: dict[int, Arm] = {}
        self._first = _TraceFunction(self._begin)  # kept here: the interpreter keeps only its address

    def arm(self, arm: Arm, frame: FrameType, thread_state: int) -> bool:
        """Trace all functions of a thread up to the one that calls the application."""
        frames = list(_frames_of_application(frame))
        if any(frame.f_trace not in (None, self._trace) for frame in frames):
            return False  # a debugger is at work in that thread
        known = self._armed.get(arm.ident)
        self._armed[arm.ident] = arm
        for frame in frames:
            frame.f_trace = self._trace
            frame.f_trace_opcodes = True
        if known is not arm:
            self._set_trace(thread_state, self._first, None)
        return True

    def disarm(self, arm: Arm) -> None:
        """Trace this thread no more."""
        arm.off = True
        if self._armed.pop(arm.ident, None) is not None:
            sys.settrace(None)

    def forget(self, arm: Arm) -> None:
        """Trace a thread that has ended no more."""
        self._armed.pop(arm.ident, None)

    def _begin(self, _: object, frame: FrameType, what: int, argument: object) -> int:
        """Let a function written in Python trace the calling thread from its next instruction on."""
        sys.settrace(self._trace)
        return 0

    def _trace(self, frame: FrameType, event: str, argument: object) -> Any:
        """Raise, if the place is good enough. The interpreter then ends the tracing by itself."""
        arm = self._armed.get(threading.get_ident())
        if arm is None or not arm.waits:
            sys.settrace(None)
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and arm.raises(frame, frame.f_lasti):
            del self._armed[arm.ident]
            raise arm.exception
        return self._trace


def _frames_of_application(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None and not is_task_boundary(frame.f_code):
        yield frame
        frame = None if is_application_boundary(frame.f_code) else frame.f_back


def make_tracing() -> Tracing | None:
    """Return the reach; None if the interpreter is another version, or was built without the names of its functions."""
    if sys.version_info >= (3, 12):
        return None
    set_trace = getattr(ctypes.pythonapi, "_PyEval_SetTrace", None)
    return None if set_trace is None else Tracing(set_trace)
