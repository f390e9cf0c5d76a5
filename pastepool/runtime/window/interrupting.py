"""
Raise a kill in a thread that is blocked in a system call, where the interpreter can do that (CPython 3.15 and later).

There a function written in C that was interrupted by a signal asks for signals before it starts its system call again,
and is given what is marked on its thread as well. So two things together end ``time.sleep``, ``recv``, ``select`` or
the wait for a child: an exception that is marked on the thread (``async_exc``) and a signal that is sent to it
(``interrupt_signal``). Functions that do not ask are not ended by it. A lock is such a function on every CPython.

What is marked must be raised in that call or not at all:

1. The thread stands in a system call that is no wait for a lock (as the kernel says), and its frame stands where an
   exception may be raised (``core.landing``).
2. Its arm is set aside: from here on ``arming`` raises nothing. Otherwise the kill could be raised twice.
3. In one step the thread is looked at again, the exception is marked and the signal is sent. If it has moved on, nothing
   is marked.
4. If it is seen in the same system call after that, and has executed no instruction, the function did not ask. What is
   marked is taken off, and the arm is back in force. If it has left the place, or has executed an instruction (``moved``:
   an application that swallows the exception may be back in the same call already), the exception was raised there.

Source: CPython issue 144748; ours. Works on Linux, which tells in which system call a thread is.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from operator import attrgetter, is_, not_
from types import FrameType

from pastepool.core.landing.grade import Grade
from pastepool.core.landing.verdict import raised_in_call
from pastepool.runtime.inspection.procfs import SystemCall, read_system_call
from pastepool.runtime.inspection.stacks import frame_of, look_at
from pastepool.runtime.inspection.syscalls import Reads, numbering_here
from pastepool.runtime.window.arming import Arm, Place, calls_of
from pastepool.runtime.window.async_exc import marking
from pastepool.runtime.window.interrupt_signal import InterruptSignal
from pastepool.runtime.window.one_step import equal, in_one_step
from pastepool.types import Seconds

_PAUSE: Seconds = 0.0005
_LOOKS = 200
"""
How long the thread has to leave its system call after the signal: one pause is enough, but it may have to wait for the
GIL then, and for a processor. The numbers are choices.
"""

_SEEN = 2
"""
In how many looks it must be in the same system call to be taken for one that has not asked. The kernel shows a thread
that it has woken as running, so the first look is right already.
"""


def interrupt(arm: Arm, native_id: int, by: InterruptSignal) -> bool:
    """
    Raise the exception of an armed thread in the system call in which the thread is blocked.

    Returns whether it was raised. If not, the thread is armed as before. Runs on: killer, under the fence of the window.
    """
    call = blocking_call(native_id)
    frame = frame_of(arm.ident)
    if call is None or frame is None or raised_in_call([*calls_of(frame)]) > Grade.LIBRARY:
        return False
    arm.moved, arm.aside = False, True
    place = Place.of(frame)
    struck = strike(arm, frame, by)
    del frame  # or its variables would end in this thread, when the function returns
    if struck and (leaves(arm.ident, native_id, place, call) or arm.moved or not _take_off(arm.ident, place)):
        arm.landed = True
    arm.aside = False
    return arm.landed


def strike(arm: Arm, frame: FrameType, by: InterruptSignal) -> bool:
    """Mark the exception on the thread and send it the signal, if it stands in this frame and can be sent it."""
    may = (
        map(is_, look_at(arm.ident), (frame,)),
        equal(attrgetter("f_lasti"), (frame,), to=frame.f_lasti),
        map(not_, map(attrgetter("landed"), (arm,))),
        map(not_, map(attrgetter("moved"), (arm,))),
        *by.is_ours(),
    )
    try:
        steps = in_one_step(*may, marking(arm.ident, arm.exception), by.sending(arm.ident))
    except KeyError:
        return False  # it has ended
    return steps > len(may)


def _still_at(place: Place, ident: int) -> Iterator[Iterable[object]]:
    """Return the steps (``one_step``) that ask whether a thread stands at its place."""
    yield equal(id, look_at(ident), to=place.frame)
    yield equal(attrgetter("f_lasti"), look_at(ident), to=place.offset)


def leaves(ident: int, native_id: int, place: Place, call: SystemCall) -> bool:
    """Wait until a thread has left its place, which answers yes, or is seen in the same system call again."""
    seen = 0
    for _ in range(_LOOKS):
        time.sleep(_PAUSE)
        try:
            if in_one_step(*_still_at(place, ident)) < 2:
                return True
        except KeyError:
            return True  # it has ended
        seen += _is_back_in(native_id, call)
        if seen == _SEEN:
            break
    return False


def _is_back_in(native_id: int, call: SystemCall) -> bool:
    """Say whether a thread is in the same call of the same function. Words that a call does not use may have changed."""
    now = read_system_call(native_id)
    return now is not None and (now.number, now.place) == (call.number, call.place)


def _take_off(ident: int, place: Place) -> bool:
    """Take off what is marked on a thread that still stands at its place. Returns False if it has left it."""
    try:
        return in_one_step(*_still_at(place, ident), marking(ident, None)) == 3
    except KeyError:
        return False


def blocking_call(native_id: int) -> SystemCall | None:
    """
    Return the system call in which a thread is blocked.

    None for a wait for a lock: functions that wait for one do not ask, and what is marked on the thread would be raised
    when it has the lock, which nobody would give back. None for a call that we do not know, because it may be such a
    wait; if the thread runs; and where the kernel does not tell.
    """
    call = read_system_call(native_id)
    if call is None or call.number not in numbering_here():
        return None
    return None if numbering_here()[call.number][1] is Reads.LOCK else call
