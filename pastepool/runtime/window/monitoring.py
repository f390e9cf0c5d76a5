"""
Be called before the instructions of one thread, with ``sys.monitoring`` (CPython 3.12 and later).

The interpreter calls back for single functions, in whichever thread runs them. Only the functions of the armed thread
are instrumented, two at a time: the innermost one and its caller, and the next caller when the thread comes there. So a
thread that stays blocked for hours costs the others a few microseconds where they run the same two functions.

Source: PEP 669.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, NamedTuple

from pastepool.core.ownership import is_application_boundary, must_not_be_hit
from pastepool.runtime.window.arming import Arm

_TOOLS = (4, 3, 1, 2)
"""The numbers of tools that we may take, the best first. PEP 669 reserves 0 for debuggers, 1 for coverage, 2 for profilers."""


class _Users(NamedTuple):
    """A function that is instrumented, and the threads that need it, by ``threading.get_ident()``."""

    code: CodeType
    idents: set[int]


class Instrumented:
    """
    The functions whose instructions an armed thread needs.

    ``change``: called with a function and whether it is needed from now on, under the lock: otherwise a function that one
    thread gives back could be switched off after another thread has asked for it. Functions are told apart by identity;
    two code objects may be equal. Runs on: any thread.
    """

    def __init__(self, change: Callable[[CodeType, bool], None]) -> None:
        self._change = change
        self._lock = threading.Lock()
        self._needed: dict[int, _Users] = {}

    def need(self, code: CodeType, ident: int) -> None:
        """Note that a thread needs a function."""
        with self._lock:
            users = self._needed.setdefault(id(code), _Users(code, set()))
            if not users.idents:
                self._change(code, True)
            users.idents.add(ident)

    def release(self, ident: int) -> None:
        """Note that a thread needs nothing any more."""
        with self._lock:
            for users in list(self._needed.values()):
                users.idents.discard(ident)
                if not users.idents:
                    del self._needed[id(users.code)]
                    self._change(users.code, False)


class Monitoring:
    """The reach of CPython 3.12 and later. One for the process."""

    def __init__(self, monitoring: Any, tool: int) -> None:
        self._monitoring = monitoring
        self._tool = tool
        self._armed: dict[int, Arm] = {}
        self._instrumented = Instrumented(self._listen)
        monitoring.register_callback(tool, monitoring.events.INSTRUCTION, self._before_instruction)

    def arm(self, arm: Arm, frame: FrameType, thread_state: int) -> bool:
        """Instrument the innermost function of a thread and its caller."""
        self._armed[arm.ident] = arm
        self._instrumented.need(frame.f_code, arm.ident)
        if frame.f_back is not None:
            self._instrumented.need(frame.f_back.f_code, arm.ident)
        return True

    def disarm(self, arm: Arm) -> None:
        """Raise nothing any more, and instrument nothing for this thread."""
        arm.off = True
        self.forget(arm)

    def forget(self, arm: Arm) -> None:
        """Instrument nothing for this thread any more."""
        self._armed.pop(arm.ident, None)
        self._instrumented.release(arm.ident)

    def _listen(self, code: CodeType, listen: bool) -> None:
        self._monitoring.set_local_events(self._tool, code, self._monitoring.events.INSTRUCTION if listen else 0)

    def _before_instruction(self, code: CodeType, offset: int) -> None:
        """Raise, if this thread is armed and the place is good enough. Runs on: any thread, inside of the application."""
        arm = self._armed.get(threading.get_ident())
        if arm is None or not arm.is_asked():
            return  # in a child process also because another thread may have had our lock at the fork
        frame = sys._getframe(1)
        if arm.raises(frame, offset):
            self.disarm(arm)
            raise arm.exception
        outer = frame.f_back
        if outer is not None and not is_application_boundary(code) and not must_not_be_hit(outer.f_code):
            self._instrumented.need(outer.f_code, arm.ident)


def make_monitoring() -> Monitoring | None:
    """Return the reach; None if the interpreter has no ``sys.monitoring`` or if no number of a tool is free."""
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is None:
        return None
    for tool in _TOOLS:
        if monitoring.get_tool(tool) is None:
            monitoring.use_tool_id(tool, "pastepool")
            return Monitoring(monitoring, tool)
    return None
