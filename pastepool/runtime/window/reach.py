"""
Find out how this interpreter lets us raise an exception at an instruction of our choice in another thread.

It is found out by trying it once, on a thread made for that, and not by the version.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Sequence
from types import FrameType

from pastepool.core.interpreter import runs_without_gil
from pastepool.runtime.inspection.stacks import frame_of
from pastepool.runtime.system.loggers import own_logger
from pastepool.runtime.window.arming import Arm, Reach
from pastepool.runtime.window.async_exc import thread_state
from pastepool.runtime.window.monitoring import make_monitoring
from pastepool.runtime.window.tracing import make_tracing
from pastepool.types import Seconds

_log = own_logger("pastepool.pool")

_AT_MOST: Seconds = 30.0
_LOOKS = 100
_LOOK_EVERY: Seconds = 0.02
_ROUNDS = 10_000
"""
The trial fails when the thread was armed so often and its loop has run so many rounds, or when it has lasted so long.
Once, and a fraction of a millisecond, have always been enough. But a server may start on a machine so busy that the
thread gets no processor for seconds, and would then do without for as long as it lives. The numbers are choices.
"""


class _Tried(BaseException):
    """What is raised in the trial."""


class _Trial(Arm):
    """Raises at the first instruction that it is asked about."""

    __slots__ = ()

    def raises(self, frame: FrameType, offset: int) -> bool:
        self.landed = not self.off
        return self.landed


@functools.cache
def found_reach() -> Reach | None:
    """
    Return the way that works here; None if there is none. The first call tries it, and takes some milliseconds.

    Without it a kill marks the exception on the thread, and the interpreter raises it where it next looks
    (``landing``). Runs on: supervisor.
    """
    if runs_without_gil():
        return None
    reach = make_monitoring() or make_tracing()
    if reach is None or not _works(reach):
        _log.warning(
            "It cannot be chosen where a kill is raised in a request, so a killed request may keep a lock. The cause may be "
            "this build of Python, a debugger or profiler that takes all numbers of sys.monitoring, or a system without "
            "free threads."
        )
        return None
    return reach


def _loop_until(over: Sequence[object], rounds: list[int]) -> None:
    """A function of its own, because some CPythons take the jump of a loop for outside of the ``try`` around it."""
    while not over:
        rounds[0] += 1


def _works(reach: Reach) -> bool:
    """Arm a thread that runs in a loop, and see whether the exception comes."""
    started, came = threading.Event(), threading.Event()
    states: list[int] = []
    over: list[bool] = []
    rounds = [0]

    def run() -> None:
        states.append(thread_state())
        started.set()
        try:
            _loop_until(over, rounds)
        except _Tried:
            came.set()

    victim = threading.Thread(target=run, name="pastepool trial of a kill", daemon=True)
    try:
        victim.start()
    except RuntimeError:
        return False  # the system has no thread left
    until, looks = time.monotonic() + _AT_MOST, 0
    trial = _Trial(victim.ident or 0, _Tried)
    while started.wait(_AT_MOST) and time.monotonic() < until and (looks < _LOOKS or rounds[0] < _ROUNDS):
        looks += 1
        frame = frame_of(trial.ident)
        if frame is None or not reach.arm(trial, frame, states[0]):
            break
        del frame
        if came.wait(_LOOK_EVERY):
            break
    trial.off = True
    over.append(True)
    victim.join(_AT_MOST)
    reach.forget(trial)
    return came.is_set()
