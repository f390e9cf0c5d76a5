"""
The window in which a kill may land, and the call that makes it land.

An exception that is raised in another thread arrives at no particular place. Raised between two requests it would break
the pool's own bookkeeping. So:

1. A worker's window is open exactly while the application's code runs. It opens by putting a token down and shuts by
   picking it up again; both are single atomic operations of a deque, so an undisturbed request takes no lock.
2. The killer works under ``_fence``. It injects only if it can take the token itself, so never when the window is
   shut. From then on the window is *disputed*: the worker finds no token and has to shut under the fence, where it
   clears what may still be pending (inject NULL into itself). After ``shut`` has returned none can land.
3. A kill may be repeated while the window is disputed and not yet shut: same fence, same rule.
4. An exception that lands inside ``shut`` itself leaves everything as it can be found again: every step may be
   repeated, and the fence knows its owner. The worker's loop therefore calls ``shut`` again on its way out.
   What the worker raises in itself to take a kill back (``_withdraw``) never gets out of ``_absorb_one``.
5. The killer does not raise the exception: it arms the worker (``arming``), which raises it in itself at the first
   instruction that leaves nothing taken. A worker that is blocked in C stays armed until it comes back or its window is
   shut. If it waits for a condition it is woken (``waking``). If the interpreter can end its system call, the exception
   is raised there instead (``interrupting``). Only where the interpreter has no way to arm a thread, the exception is
   marked on it as above (``landing``).

The token is also the claim to the response: the thread that holds it may write. The worker has it once the window is shut
undisputed; the killer has it from the moment it took it.

Source: contract P8, P15; ours, because CPython offers nothing of the kind.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from pastepool.errors import WorkerKilled
from pastepool.runtime.inspection.stacks import frame_of
from pastepool.runtime.window.arming import Arm, Reach
from pastepool.runtime.window.async_exc import FLAG_IS_SHARED as _FLAG_IS_SHARED
from pastepool.runtime.window.async_exc import set_async_exc, thread_state
from pastepool.runtime.window.interruption import interruption
from pastepool.runtime.window.landing import raise_where_it_may_land
from pastepool.runtime.window.reach import found_reach
from pastepool.runtime.window.waking import wake
from pastepool.types import Injected, Seconds

_HOLD_BACK: Seconds = 0.0005
_HOLD_BACK_TIMES = 20
"""
How long to let the worker run on from a place where a kill would hurt others, and how often. The numbers are choices.
"""

_LOOKS = 100
_TRIES = 3
"""
How often the interpreter is given a reason to look for what was raised, and how often it is raised. The first of each
has always been enough; but where it lands in a callback of the garbage collector it is swallowed there.
"""


class _Absorbed(BaseException):
    """Raised by a thread in itself, and never seen outside of ``_absorb_one``."""


def _absorb(ident: int) -> None:
    """
    Leave nothing that is to be raised in the calling thread, and the flag down. Runs on: any thread whose window is
    shut.
    """
    for _ in range(_TRIES):
        if _absorb_one(ident):
            return
    set_async_exc(ident, None)


def _absorb_one(ident: int) -> bool:
    """
    Raise in the calling thread, and catch it here. Answers whether it came.

    1. There is one mark a thread, and the last one set wins: whatever was to be raised in this thread is not any more.
    2. The interpreter looks as soon as that call has returned, at the latest in the loop below. What was marked is
       raised there, unmarked, and the flag all threads share goes down.
    3. It cannot get past the ``except``: it comes out of one of two calls inside the ``try``. The loop is in a
       function of its own, because a jump back that stands directly in a ``try`` is outside of it for some CPythons.
    4. There is no second one: nobody else raises ours, and nobody may raise a kill now (see the callers).
    5. Another thread whose exception waits, because it is blocked, raises the flag again by itself when it comes back.
    """
    try:
        set_async_exc(ident, _Absorbed)
        _look_often()
    except _Absorbed:
        return True
    return False


def _look_often() -> None:
    for _ in range(_LOOKS):
        pass


def _withdraw(ident: int) -> None:
    """
    Take back what may be on its way to the calling thread. Runs on: a worker that was killed, under its fence.

    A kill that lands in here before step 1 of ``_absorb_one`` gets out of ``shut``, which is called again.
    """
    if _FLAG_IS_SHARED:
        _absorb(ident)
    else:
        set_async_exc(ident, None)


class Window:
    """
    One worker's window. Made by the worker; ``open`` and ``shut`` run on it, ``kill`` on the supervisor.

    ``killed``: set by the first successful kill, never unset: such a worker leaves after its request.
    ``_leaving``: the worker waits for the fence, to shut; written by the worker. ``_arm``: the kill that waits to be
    raised, or the last one. ``_marked``: whether an exception was marked on the worker by the interpreter's own call.
    ``_exception``: what a kill raises.
    """

    __slots__ = (
        "killed",
        "_token",
        "_fence",
        "_disputed",
        "_ident",
        "_native_id",
        "_leaving",
        "_arm",
        "_marked",
        "_thread_state",
        "_exception",
    )

    def __init__(self, exception: type[WorkerKilled] = WorkerKilled) -> None:
        self.killed = False
        self._exception = exception
        self._token: deque[int] = deque()
        self._fence = threading.RLock()
        self._disputed: int | None = None
        self._ident = threading.get_ident()
        self._native_id = threading.get_native_id()
        self._leaving = False
        self._arm: Arm | None = None
        self._marked = False
        self._thread_state = thread_state()

    def open(self, serial: int) -> None:
        """
        Let kills land from now on, aimed at the request ``serial``. Raises: WorkerKilled if one came while it was
        shut.
        """
        if self.killed:
            raise self._exception
        self._token.append(serial)

    def open_for_close(self, serial: int) -> None:
        """Let kills land also after the first one: the application's ``close`` may hang as well."""
        if self.killed:
            self._disputed = serial
        else:
            self._token.append(serial)

    def shut(self) -> None:
        """Let no kill land any more, and none that is on its way. May be called when shut already."""
        try:
            self._token.pop()
        except IndexError:
            self._shut_disputed()

    def _shut_disputed(self) -> None:
        fence = self._fence
        self._leaving = True
        try:
            fence.acquire()
        finally:
            self._leaving = False  # also where a kill lands here, inside ``write()``, and the application swallows it
        self._token.clear()
        self._disputed = None
        if self._arm is not None:
            self._disarm(self._arm)
        if self._marked:
            _withdraw(self._ident)
        while fence._is_owned():  # type: ignore[attr-defined]
            fence.release()  # more than once if an exception landed between two of these lines in an earlier run

    def in_child(self) -> None:
        """
        Give up the kills of the parent process: the call that they name goes on there.

        Takes no lock: the killer may have held the fence at the fork. Runs on: the only thread of a child process, which
        is a copy of the worker.
        """
        self._fence = threading.RLock()
        self._token.clear()
        self._disputed = None
        self.killed = False
        self._arm = None
        if self._marked:
            self._marked = False
            _withdraw(self._ident)

    def kill(self, serial: int, first: Callable[[], bool | None]) -> Injected:
        """
        Raise WorkerKilled in the worker if it is inside the application call of the request ``serial``.

        ``first`` runs after the claim was won and before the exception is on its way: record, answer 504. If it answers
        True, nothing is raised yet, and the next call does.

        Runs on: supervisor.
        """
        injected = self._kill(serial, first)
        if _FLAG_IS_SHARED and self._marked and injected is Injected.LANDING:
            # A thread that is blocked may not raise it for hours, and the others would have the flag before them.
            _absorb(threading.get_ident())
        return injected

    def _kill(self, serial: int, first: Callable[[], bool | None]) -> Injected:
        with self._fence:
            try:
                token = self._token.pop()
            except IndexError:
                if self._disputed != serial:
                    return Injected.WINDOW_SHUT
            else:
                if token != serial:
                    # Put back under the fence: the worker, finding no token, waits for the fence and then clears it.
                    self._token.append(token)
                    return Injected.WINDOW_SHUT
                self.killed = True
                self._disputed = serial
                if first():
                    return Injected.HELD_BACK
            return self._inject()

    def _inject(self) -> Injected:
        """
        Have the exception raised in the worker as soon as that leaves nothing taken. Runs on: the killer, under
        ``_fence``.

        Not at all in one that waits for that very fence: it is on its way out.
        """
        reach = found_reach()
        return self._inject_marked() if reach is None else self._inject_armed(reach)

    def _inject_armed(self, reach: Reach) -> Injected:
        """
        Arm the worker where it stands, again and again while it moves on, and see whether the exception was raised.

        A worker that stands still is blocked in C. If it waits for a condition it is woken. Where that can be done its
        system call is interrupted. Otherwise it stays armed, and the exception is raised when it comes back.
        """
        arm = self._arm
        if arm is None or arm.landed:
            self._arm = arm = Arm(self._ident, self._exception)
        stood: tuple[int, int, int] | None = None
        for _ in range(_HOLD_BACK_TIMES):
            if self._leaving:
                break
            frame = frame_of(self._ident)
            if frame is None:
                return Injected.GONE
            stands = (id(frame), frame.f_lasti, arm.looks)
            if stands == stood and not wake(arm, frame):
                del frame
                self._interrupt(arm, reach)
                return Injected.LANDING
            if not reach.arm(arm, frame, self._thread_state):
                del frame
                return self._inject_marked()
            del frame  # or its variables would end in this thread, if the function returned meanwhile
            stood = stands
            time.sleep(_HOLD_BACK)
            if arm.landed:
                return Injected.LANDING
        return Injected.HELD_BACK

    def _interrupt(self, arm: Arm, reach: Reach) -> None:
        """Interrupt the system call in which the worker is blocked, so that the exception is raised there."""
        if not interruption.usable:
            return
        self._marked = True
        if interruption.interrupt(arm, self._native_id):
            reach.forget(arm)

    def _inject_marked(self) -> Injected:
        """Mark the exception on the worker as soon as it stands where it may be raised."""
        for _ in range(_HOLD_BACK_TIMES):
            if self._leaving:
                break
            self._marked = True
            raised = raise_where_it_may_land(self._ident, self._exception)
            if raised is not None:
                return Injected.LANDING if raised else Injected.GONE
            time.sleep(_HOLD_BACK)
        return Injected.HELD_BACK

    def _disarm(self, arm: Arm) -> None:
        reach = found_reach()
        if reach is not None:
            reach.disarm(arm)
        self._arm = None
