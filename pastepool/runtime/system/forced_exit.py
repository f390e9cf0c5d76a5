"""
The thread that ends the process when nothing else does.

It sleeps until the server is told to stop, then gives the drain and the interpreter's own exit until the deadline.
What can keep a process alive then (a hung worker, an application's non-daemon thread, an exit function that blocks, a
mail server) cannot keep this thread: at the deadline it logs the stacks, runs the exit functions itself under a time
limit, flushes the logs and leaves by ``os._exit``. Nothing that fails on this way keeps the process or changes its
status.

Source: contract D5, I3, P11; ``os._exit`` because SystemExit is swallowed by paster and waits for threads.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import math
import os
import sys
import threading
from collections.abc import Callable

from pastepool.types import Clock, Seconds

_log = logging.getLogger("pastepool")

_EXIT_FUNCTIONS_FOR: Seconds = 3.0
_EXIT_FUNCTIONS_AT_ONCE_FOR: Seconds = 0.5
"""How long exit functions may take when the process is ended by force, or asked for twice. Nothing derives them."""

_FLUSH_FOR: Seconds = 0.5
"""How long the last lines of the log may take to reach whoever reads them; they need a millisecond."""

_LOOK_AT_HOST_EVERY: Seconds = 1.0
"""How soon the end of the main thread is noticed. Nothing derives it."""


class ForcedExit:
    """
    Bounds the end of a process that is ours to end.

    ``on_deadline``: told that time is up; answers whether the process is ours to end, for a server may be run by a
    program that has other things to do. ``on_host_end``: told that the main thread has ended while the server runs in
    another one, which would keep the process (contract F3); only where ``run`` was told of a host.
    ``arm`` may be called in a signal handler. Everything else here runs on the reaper's own thread.
    """

    def __init__(self, clock: Clock, on_deadline: Callable[[], bool], on_host_end: Callable[[], None]) -> None:
        self._clock = clock
        self._on_deadline = on_deadline
        self._on_host_end = on_host_end
        self._bell = threading.Lock()
        self._bell.acquire()
        self._dismissed = threading.Event()
        self._deadline: Seconds = math.inf
        self._status = 0
        self._at_once = False
        self._is_told = False
        self._exiting = False

    def arm(self, deadline: Seconds, status: int, at_once: bool = False) -> None:
        """
        End the process at ``deadline`` if it still lives then, with ``status``. A later call may only be stricter.
        """
        self._deadline = min(self._deadline, deadline)
        self._status = status or self._status
        self._at_once = self._at_once or at_once
        try:
            self._bell.release()
        except RuntimeError:
            pass  # armed already, and not yet seen

    def finish(self, status: int) -> None:
        """End the process now, with ``status``, after a drain that left nothing to be told."""
        self._is_told = True
        self.arm(-math.inf, status)

    def extend(self, deadline: Seconds) -> None:
        """Put the deadline off until ``deadline`` if that is later, for what comes after the drain."""
        self._deadline = max(self._deadline, deadline)

    def exit_begins(self) -> None:
        """The interpreter has begun to run the exit functions: they are not run a second time."""
        self._exiting = True

    def dismiss(self) -> None:
        """The server has ended and somebody else owns the process: let it live."""
        self._dismissed.set()
        self.arm(math.inf, 0)

    def run(self, has_host: bool = False) -> None:
        """
        The thread's body: wait to be armed, then until the deadline, then end the process. ``has_host``: the main thread
        is another program's, and its end is looked for.
        """
        host = threading.main_thread()
        while not self._bell.acquire(timeout=_LOOK_AT_HOST_EVERY if has_host else -1):
            if not host.is_alive():
                self._on_host_end()
                self._bell.acquire()
                break
        while not self._at_once and not self._dismissed.is_set() and self._clock.now() < self._deadline:
            remaining = self._deadline - self._clock.now()
            self._bell.acquire(timeout=min(max(remaining, 0.0), threading.TIMEOUT_MAX))
        if self._dismissed.is_set():
            return
        if not self._at_once and not self._is_told and not self._on_deadline():
            return
        patience = _EXIT_FUNCTIONS_AT_ONCE_FOR if self._at_once else _EXIT_FUNCTIONS_FOR
        end_process(self._status or 1, 0.0 if self._exiting else patience)


def end_process(status: int, patience: Seconds) -> None:
    """
    Run the exit functions for at most ``patience`` seconds (0: not at all), flush, and leave without joining any
    thread.

    Both run on threads of their own, so that what blocks there (an exit function, a handler whose lock a hung thread
    holds, a pipe that nobody reads) costs its time limit and no more. Threads are not joined: those that would be are
    why we are here (contract P11).
    """
    try:
        if patience:
            run_apart(_run_exit_functions, patience)
        run_apart(_flush, _FLUSH_FOR)
    finally:
        os._exit(status)


def run_apart(body: Callable[[], None], patience: Seconds) -> bool:
    """
    Run something that may block on a thread of its own, and wait for it no longer than ``patience``.

    Returns: False where no thread can be started, and nothing was run: since CPython 3.12 an interpreter on its way
    out starts none.
    """
    done = threading.Event()

    def run() -> None:
        try:
            body()
        finally:
            done.set()

    try:
        threading.Thread(target=run, name="pastepool end", daemon=True).start()
    except RuntimeError:
        return False
    done.wait(patience)
    return True


def _run_exit_functions() -> None:
    try:
        atexit._run_exitfuncs()
    except BaseException as error:  # whatever an exit function raises, the process ends
        _log.error("An exit function failed: %r", error)


def _flush() -> None:
    """Flush the logs' handlers, then the streams: an exit function that blocked has kept logging's own from it."""
    with contextlib.suppress(Exception):  # a handler that fails is no reason to stay
        logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # nor is a stream that is closed, or none
            stream.flush()
