"""
Handle signals: the first SIGTERM, SIGINT or SIGHUP drains, a second SIGTERM or SIGINT ends the process at once. Others
have errands run and end nothing.

Handlers are installed only in the main thread, and only where no other handler is installed. A handler of the program
that is there already stays, and is called by a function of ours: what it raises, such as SystemExit, would otherwise be
raised in the middle of our code, and no request would be finished. ``restore`` puts everything back, unless a stop signal
has come: then the process is ending.
"""

from __future__ import annotations

import functools
import os
import signal
import threading
from collections.abc import Callable, Collection, Mapping
from types import FrameType
from typing import Any

_STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_INSIST = (signal.SIGTERM, signal.SIGINT)
"""
The stop signals of which a second one ends the process at once. SIGHUP is none: a shell and the kernel may both send it
when a terminal closes, and systemd sends it right after SIGTERM (``SendSIGHUP=yes``).
"""


class Signals:
    """
    Calls one function at the first stop signal and another one at the second. Calls one function for each other signal.

    ``fired``: whether a stop signal has come, or a handler of the program raised an exception, which asks for a stop
    too. ``first``: which signal that was; 0 if none. ``raised``: the first such exception; it is to be raised after the
    stop. ``on_first``, ``on_second``: called with the signal number. ``on_exit``: called with the SystemExit of a handler
    of the program for a signal that is no stop signal. ``errands``: the functions for other signals. All are called in
    the main thread, between two bytecodes. They must not block, and must not take a lock that the main thread may hold.
    """

    def __init__(
        self,
        on_first: Callable[[int], None],
        on_second: Callable[[int], None],
        on_exit: Callable[[SystemExit], None],
        errands: Mapping[int, Callable[[], object]] | None = None,
    ) -> None:
        self._on_first = on_first
        self._on_second = on_second
        self._on_exit = on_exit
        self._errands = errands or {}
        self._insisted = False
        self.fired = False
        self.first = 0
        self.raised: BaseException | None = None
        self._previous: dict[int, Any] = {}
        self._installed: dict[int, Any] = {}
        self._orphaned = False

    def install(self) -> None:
        """
        Install the handlers where the default handlers are in place, and guard the handlers of the program.

        On another thread than the main thread this does nothing: there the program that runs the server handles
        signals.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (*_STOP, *self._errands):
            present = signal.getsignal(number)
            ours = (signal.SIG_DFL, signal.default_int_handler)
            # A shell starts background jobs with SIGINT ignored, and a daemon inherits that. But `paster serve stop`
            # sends SIGINT to the daemon, so there the handler is installed all the same.
            # SIGHUP stays ignored: nohup ignores it so that the process outlives its terminal.
            if present in ours or (present is signal.SIG_IGN and number in _INSIST and is_daemon()):
                self._install(number, self._handle)
        for number in signal.valid_signals() - self._previous.keys():
            theirs = signal.getsignal(number)
            if callable(theirs) and theirs is not signal.default_int_handler:
                self._install(number, functools.partial(self._call_theirs, theirs))

    def _install(self, number: int, handler: Callable[[int, FrameType | None], None]) -> None:
        self._previous[number] = signal.signal(number, handler)
        self._installed[number] = handler

    def in_child(self) -> None:
        """
        Install the previous handlers again, whatever has fired: this process is a child of the one that serves.

        A handler that the application has installed over ours stays. Runs on: the only thread of the child.
        """
        self._orphaned = True
        self._put_back()

    @property
    def handled(self) -> Collection[int]:
        """Return the signals for which handlers are installed."""
        return self._previous.keys()

    @property
    def ends_at_once(self) -> str:
        """Return what ends the process at once from now on, in words; empty if nothing does, or not the next signal."""
        if self.first not in _INSIST:
            return ""
        if self.first == signal.SIGINT:
            return "SIGTERM" if is_daemon() else "Ctrl+C again"
        return "SIGTERM again"

    def restore(self) -> None:
        """Install the previous handlers again, unless the process is ending because of a signal."""
        if not self.fired:
            self._put_back()

    def _put_back(self) -> None:
        for number, previous in self._previous.items():
            if signal.getsignal(number) == self._installed[number]:
                signal.signal(number, previous)
        self._previous.clear()

    def _call_theirs(
        self, theirs: Callable[[int, FrameType | None], object], number: int, frame: FrameType | None
    ) -> None:
        try:
            theirs(number, frame)
        except BaseException as error:
            if self._orphaned:
                raise  # the handler forked, and this is the child
            if isinstance(error, SystemExit) and number not in _STOP:
                self._on_exit(error)
                return
            self.raised = self.raised or error
            self._stop(number)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        errand = self._errands.get(number)
        if errand is not None:
            errand()
        else:
            self._stop(number)

    def _stop(self, number: int) -> None:
        again, self._insisted = self._insisted, self._insisted or number in _INSIST
        if not self.fired:
            self.fired = True
            self.first = number
            self._on_first(number)
        elif number not in _INSIST or not again:
            pass  # SIGHUP, or the first SIGTERM after one: the server drains already
        elif number == signal.SIGINT and is_daemon():
            pass  # `paster serve stop` repeats SIGINT every second while it waits; only SIGTERM counts as the second
        else:
            self._on_second(number)


def is_daemon() -> bool:
    """
    Say whether this process is a daemon, that is, was forked twice.

    The leader of a daemon's session has ended, so no terminal can send signals to the daemon.
    """
    leader = os.getsid(0)
    if leader in (0, os.getpid()):
        return False
    try:
        os.kill(leader, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _is_zombie(leader)


def _is_zombie(process: int) -> bool:
    """Say whether a process has ended but its parent has not waited for it yet. Returns False without /proc."""
    try:
        with open(f"/proc/{process}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[:1] == ["Z"]
    except OSError:
        return False
