"""Raise an exception at the nth instruction that a function executes, in the calling thread."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

Raise = Callable[[FrameType, int], bool]
"""Takes a frame and the offset of the instruction that is executed next. Says whether to raise there."""

_TOOL = 3


class Hit(BaseException):
    """What is raised."""


def run_and_raise(function: Callable[[], object], file: str, raises: Raise) -> None:
    """
    Call a function, and raise ``Hit`` in it before the first instruction for which ``raises`` returns True.

    ``file``: ask only about instructions of functions of this file.
    """
    run = _run_monitored if sys.version_info >= (3, 12) else _run_traced
    run(function, file, raises)


def _run_monitored(function: Callable[[], object], file: str, raises: Raise) -> None:
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined]
    done = False

    def called(code: CodeType, offset: int) -> object:
        nonlocal done
        if done:
            return None
        if code.co_filename != file:
            return monitoring.DISABLE
        if raises(sys._getframe(1), offset):
            done = True
            raise Hit
        return None

    monitoring.use_tool_id(_TOOL, "experiment")
    monitoring.register_callback(_TOOL, monitoring.events.INSTRUCTION, called)
    monitoring.set_events(_TOOL, monitoring.events.INSTRUCTION)
    try:
        function()
    finally:
        done = True
        monitoring.set_events(_TOOL, 0)
        monitoring.restart_events()
        monitoring.free_tool_id(_TOOL)


def _run_traced(function: Callable[[], object], file: str, raises: Raise) -> None:
    def trace(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename != file:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and raises(frame, frame.f_lasti):
            sys.settrace(None)
            raise Hit
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
