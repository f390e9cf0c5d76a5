"""
The window in which a kill may land, and the call that makes it land.

CPython marks an exception on a thread and raises it when that thread next looks, at no particular place (lifecycle: any
function entry, any backward jump). Raised between two requests it would break the pool's own bookkeeping. So:

1. A worker's window is open exactly while the application's code runs. It opens by putting a token down and shuts by
   picking it up again; both are single atomic operations of a deque, so an undisturbed request takes no lock.
2. The killer works under ``_fence``. It injects only if it can take the token itself, so never when the window is
   shut. From then on the window is *disputed*: the worker finds no token and has to shut under the fence, where it
   clears what may still be pending (inject NULL into itself). After ``shut`` has returned none can land.
3. A kill may be repeated while the window is disputed and not yet shut: same fence, same rule.
4. An exception that lands inside ``shut`` itself leaves everything as it can be found again: every step may be
   repeated, and the fence knows its owner. The worker's loop therefore calls ``shut`` again on its way out.
5. The exception is held back while the worker is in one of the few lines where it would hurt others (``landing``).
   Those are left in no time; a worker that does not leave them is blocked there, and the kill is repeated later like
   any other.

The token is also the claim to the response: whoever holds it may write. The worker has it once the window is shut
undisputed; the killer has it from the moment it took it.

Source: contract P8, P15; ours, because CPython offers nothing of the kind.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections import deque
from collections.abc import Callable

from pastepool.errors import InjectionUnavailable, WorkerKilled
from pastepool.runtime.landing import may_land
from pastepool.types import Injected, Seconds

_HOLD_BACK: Seconds = 0.0005
_HOLD_BACK_TIMES = 20
"""
How long to let the worker run on from a place where a kill would hurt others, and how often. Nothing derives them.
"""


def _set_async_exc(ident: int, exception: type[BaseException] | None) -> int:
    raised = ctypes.py_object(exception) if exception is not None else ctypes.c_void_p(None)
    return int(ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), raised))


def check_available() -> None:
    """Raises: InjectionUnavailable where the interpreter has no way to raise in another thread (not CPython)."""
    if not hasattr(getattr(ctypes, "pythonapi", None), "PyThreadState_SetAsyncExc"):
        raise InjectionUnavailable("This Python cannot raise an exception in another thread; no request is killed.")


class Window:
    """
    One worker's window. Made by the worker; ``open`` and ``shut`` run on it, ``kill`` on the supervisor.

    ``killed``: set by the first successful kill, never unset: such a worker leaves after its request.
    """

    __slots__ = ("killed", "_token", "_fence", "_disputed", "_ident")

    def __init__(self) -> None:
        self.killed = False
        self._token: deque[int] = deque()
        self._fence = threading.RLock()
        self._disputed: int | None = None
        self._ident = threading.get_ident()

    def open(self, serial: int) -> None:
        """
        Let kills land from now on, aimed at the request ``serial``. Raises: WorkerKilled if one came while it was
        shut.
        """
        if self.killed:
            raise WorkerKilled(3)
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
        fence.acquire()
        self._token.clear()
        self._disputed = None
        if self.killed:
            _set_async_exc(self._ident, None)
        while fence._is_owned():  # type: ignore[attr-defined]
            fence.release()  # more than once if an exception landed between two of these lines in an earlier run

    def kill(self, serial: int, first: Callable[[], None]) -> Injected:
        """
        Raise WorkerKilled in the worker if it is inside the application call of the request ``serial``.

        ``first`` runs after the claim was won and before the exception is on its way: record, answer 504.

        Runs on: supervisor.
        """
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
                first()
            return self._inject()

    def _inject(self) -> Injected:
        """Raise in the worker as soon as that hurts nobody else. Runs on: the killer, under ``_fence``."""
        for _ in range(_HOLD_BACK_TIMES):
            if may_land(self._ident):
                return Injected.LANDING if _set_async_exc(self._ident, WorkerKilled) else Injected.GONE
            time.sleep(_HOLD_BACK)
        return Injected.HELD_BACK
