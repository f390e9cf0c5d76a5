"""
For whom system calls are interrupted (``interrupting``), and whether that works here.

It is found out by trying it once, on a thread made for that, and not by the version, except where no thread may be
marked for a trial (``async_exc.FLAG_IS_SHARED``). The signal is installed while a server runs that can use it, and not
longer.
"""

from __future__ import annotations

import os
import threading
import time

from pastepool.runtime.inspection.stacks import frame_of
from pastepool.runtime.window.arming import Arm, Place
from pastepool.runtime.window.async_exc import FLAG_IS_SHARED
from pastepool.runtime.window.interrupt_signal import InterruptSignal
from pastepool.runtime.window.interrupting import blocking_call, interrupt, leaves, strike
from pastepool.runtime.window.reach import found_reach
from pastepool.types import Seconds

_PAUSE: Seconds = 0.0005
_TRIAL: Seconds = 30.0
"""
How often the trial looks whether the thread is blocked, and how long it may take. It takes a few milliseconds, but longer
on a machine so busy that the thread gets no processor.
"""


class _Tried(BaseException):
    """What is raised in the trial."""


class Interruption:
    """
    Interrupts system calls, while a server runs that wants it.

    ``usable``: whether this interpreter and this system can, and the signal is installed.
    """

    def __init__(self) -> None:
        self.usable = False
        self._works: bool | None = None
        self._signal = InterruptSignal()
        self._users: set[int] = set()
        self._lock = threading.Lock()

    def begin(self, user: object) -> None:
        """Install the signal for a server. The first one tries whether it works, in about a millisecond."""
        with self._lock:
            self._users.add(id(user))
            if self.usable or self._works is False or found_reach() is None or not self._signal.install():
                return
            if self._works is None:
                # Where the flag is shared it never works, and a trial would leave a process with a debugger in it standing.
                self._works = not FLAG_IS_SHARED and _works(self._signal)
            self.usable = self._works
            if not self.usable:
                self._signal.remove()

    def end(self, user: object) -> None:
        """Take the signal away if no other server wants it. May be called again. Runs on: any thread."""
        with self._lock:
            self._users.discard(id(user))
            if not self._users:
                self._remove()

    def in_child(self) -> None:
        """Take the signal away. Takes no lock, which may be held for ever. Runs on: the only thread of a child."""
        self._lock = threading.Lock()
        self._users.clear()
        self._remove()

    def _remove(self) -> None:
        self.usable = False
        self._signal.remove()

    def interrupt(self, arm: Arm, native_id: int) -> bool:
        """Do ``interrupting.interrupt`` if it can be done."""
        return self.usable and interrupt(arm, native_id, self._signal)


class _Reader(threading.Thread):
    """
    The thread of the trial. ``over``: set when it has read, or was hit.

    If it is not hit in the call it is when the call returns, so nothing stays marked on it.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(name="pastepool trial of an interrupt", daemon=True)
        self.was_hit = False
        self.over = threading.Event()
        self._descriptor = descriptor

    def run(self) -> None:
        try:
            _read(self._descriptor)
        except _Tried:
            self.was_hit = True
        self.over.set()


def _read(descriptor: int) -> None:
    os.read(descriptor, 1)


def _works(by: InterruptSignal) -> bool:
    """Strike a thread that reads from an empty pipe, and see whether that ends the call."""
    try:
        reading, writing = os.pipe()
    except OSError:
        return False  # no descriptor left
    victim = _Reader(reading)
    try:
        victim.start()
        came = _ends(victim, by)
        os.write(writing, b"x")
        victim.join(_TRIAL)
    except RuntimeError:
        came = False  # the system has no thread left
    finally:
        os.close(reading)
        os.close(writing)
    return came


def _ends(victim: _Reader, by: InterruptSignal) -> bool:
    until = time.monotonic() + _TRIAL
    while time.monotonic() < until and not victim.over.wait(_PAUSE):
        call, frame = blocking_call(victim.native_id or 0), frame_of(victim.ident or 0)
        if call is None or frame is None or frame.f_code is not _read.__code__:
            continue
        place = Place.of(frame)
        arm = Arm(victim.ident or 0, _Tried)
        return (
            strike(arm, frame, by)
            and leaves(arm.ident, victim.native_id or 0, place, call)
            and victim.over.wait(_TRIAL)
            and victim.was_hit
        )
    return False


interruption = Interruption()
"""A signal belongs to the process, so one object is enough for all servers."""
