"""
The signal that makes a thread leave its system call, and does nothing else.

Its handler is a function of the C library that only computes: ``abs``. So nothing of the interpreter runs, the main
thread is not disturbed, ``signal.set_wakeup_fd`` writes nothing, and the handler can be installed on any thread. A
system call that is interrupted returns EINTR; the interpreter starts it again (PEP 475), unless an exception is marked
on the thread and the interpreter looks for one there (``interrupting``).

The signal is one that nobody uses: a real-time signal whose default handler is in place and that is not blocked. If the
application installs a handler for it later, that handler stays, and the signal is sent no more.

Source: signal(7); ours.
"""

from __future__ import annotations

import ctypes
import signal
from collections.abc import Iterable, Iterator
from operator import getitem, ne, not_
from typing import Any

from pastepool.runtime.window.one_step import equal, in_one_step

_WORDS = 64
"""Machine words for ``struct sigaction``. It has at most 20; its first one is the handler on every Linux but MIPS."""

_DEFAULT = None
"""``SIG_DFL``: the address 0, as ``ctypes`` returns it."""

_FAILED = ctypes.c_void_p(-1).value
"""``SIG_ERR``."""


class InterruptSignal:
    """The signal. ``number``: 0 while none is taken. One for the process; see ``interrupting``."""

    def __init__(self) -> None:
        self.number = 0
        self._c: Any = None
        self._harmless: int | None = None
        self._present: Any = None

    def install(self) -> bool:
        """Install the handler for the highest signal that nobody uses. Returns False if the system has none."""
        if not hasattr(signal, "SIGRTMIN"):
            return False
        self._c = ctypes.PyDLL(None)
        self._c.signal.restype = ctypes.c_void_p
        self._harmless = ctypes.cast(self._c.abs, ctypes.c_void_p).value
        self._present = (ctypes.c_void_p * _WORDS)()
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        for number in range(signal.SIGRTMAX, signal.SIGRTMIN - 1, -1):
            if number not in blocked and signal.getsignal(number) is signal.SIG_DFL and self._take(number):
                self.number = number
                return True
        return False

    def remove(self) -> None:
        """
        Put the default handler back, if ours is in place. Takes no lock.

        The signal may be pending in a thread that blocks it. Then the default handler would end the process later. So the
        signal is ignored first: the system drops what is pending of an ignored signal.
        """
        number, self.number = self.number, 0
        if number:
            in_one_step(
                *self._handled_by(number, self._harmless), *self._handle(number, signal.SIG_IGN, signal.SIG_DFL)
            )

    def is_ours(self) -> Iterator[Iterable[object]]:
        """Return the steps (``one_step``) that ask whether our handler is in place: two that must answer yes."""
        return self._handled_by(self.number, self._harmless)

    def sending(self, ident: int) -> Iterable[object]:
        """
        Return the step that sends the signal to a thread.

        ``ident``: of a thread that has not ended: the C library may crash for another one. A step before this one must
        have found it among those that run. While the GIL is kept it cannot end.
        """
        return map(not_, map(self._c.pthread_kill, (ctypes.c_ulong(ident),), (self.number,)))

    def _take(self, number: int) -> bool:
        """Install the handler if the default one is in place, also for the C library."""
        taken = in_one_step(*self._handled_by(number, _DEFAULT), *self._handle(number, self._harmless)) == 3
        if taken:
            signal.siginterrupt(number, True)
        return taken

    def _handled_by(self, number: int, handler: int | None) -> Iterator[Iterable[object]]:
        """The steps that ask the system for the handler, which the module ``signal`` knows only if it has installed it."""
        yield map(not_, map(self._c.sigaction, (number,), (None,), (self._present,)))
        yield equal(getitem, (self._present,), (0,), to=handler)

    def _handle(self, number: int, *handlers: int | None) -> Iterator[Iterable[object]]:
        """The steps that install handlers, one after the other."""
        for handler in handlers:
            previous = map(self._c.signal, (number,), (ctypes.c_void_p(handler),))
            yield map(ne, previous, (_FAILED,))
