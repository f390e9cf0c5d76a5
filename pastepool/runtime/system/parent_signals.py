"""
Turn signals of the parent into bytes that its ``poll`` sees, and give a forked child the usual dispositions back.

Signals are blocked from before a fork until the child has put its handlers back: one that came in between would be lost.
"""

from __future__ import annotations

import os
import signal
import socket
from types import FrameType
from typing import Any

from pastepool.runtime.system.signals import is_daemon

STOPS = (signal.SIGTERM, signal.SIGINT)
_PASSED_ON = (signal.SIGQUIT, signal.SIGUSR1)
_HANDLED = (*STOPS, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR2, *_PASSED_ON)
_NOT_FOR_CHILDREN = (signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)


class ParentSignals:
    """The signals of the parent, as numbers that can be read when ``fileno`` is readable. Runs on: the only thread."""

    def __init__(self) -> None:
        self._previous: dict[int, Any] = {}
        self._stopped = False
        self._had_terminal = os.isatty(0)
        self._read, self._write = socket.socketpair()
        for end in (self._read, self._write):
            end.setblocking(False)

    def fileno(self) -> int:
        """Return the descriptor, for poll."""
        return self._read.fileno()

    def install(self) -> None:
        """Handle signals from now on. SIGINT stays ignored where a shell has started us in the background."""
        for number in _HANDLED:
            ignored = signal.getsignal(number) is signal.SIG_IGN
            if not ignored or number != signal.SIGINT or is_daemon():
                self._previous[number] = signal.signal(number, _noted)
        signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)

    def restore(self) -> None:
        """Put the earlier handlers back, and close the descriptors."""
        self.end_wakeups()
        for number, previous in self._previous.items():
            signal.signal(number, previous)

    def received(self) -> list[int]:
        """Return the signals that have come since the last call, in their order."""
        try:
            return list(self._read.recv(4096))
        except BlockingIOError:
            return []

    def insists(self, number: int) -> bool:
        """Say whether a stop signal is the second one, of an impatient operator. ``paster serve stop`` repeats SIGINT."""
        again, self._stopped = self._stopped, True
        return again and (number == signal.SIGTERM or not is_daemon())

    def lost_terminal(self) -> bool:
        """Say whether the terminal that the parent was started from has gone. SIGHUP then asks for no reload."""
        return self._had_terminal and not os.isatty(0)

    def fork(self) -> int:
        """Fork. In the child all is undone. Returns: as ``os.fork``. Raises: OSError."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
        try:
            pid = os.fork()
            if not pid:
                self._in_child()
            return pid
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _in_child(self) -> None:
        """
        Undo all. SIGINT and SIGHUP are ignored: they come to the whole group from a terminal, or by mistake, and the parent
        decides what they mean. SIGUSR2 is, where the child does not have its stacks written with it.
        """
        self.end_wakeups()
        for number, previous in self._previous.items():
            signal.signal(number, signal.SIG_IGN if number in _NOT_FOR_CHILDREN else previous)

    def end_wakeups(self) -> None:
        """Write no bytes any more. May be called twice."""
        signal.set_wakeup_fd(-1)
        self._read.close()
        self._write.close()


def _noted(number: int, frame: FrameType | None) -> None:
    """Do nothing: the byte was written before this runs. A handler in Python is needed for it."""
