"""
End the process at a deadline, if it has not ended by itself. A thread, the reaper, does this.

The reaper sleeps until the server is told to stop. Then the drain and the normal exit of the interpreter have time
until the deadline. Several things can keep the process alive longer: a hung worker, a non-daemon thread of the
application, an exit function that blocks, a mail server. At the deadline the reaper logs the stacks, runs the exit
functions itself under a time limit, flushes the logs and calls ``os._exit``. If one of these steps fails, the process
ends all the same, with the same status.

Source: contract D5, I3, P11. Not SystemExit: paster swallows it, and the interpreter then waits for threads.
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

from pastepool.runtime.system import exit_guard
from pastepool.runtime.system.loggers import own_logger
from pastepool.types import Clock, Seconds

_log = own_logger("pastepool")

_EXIT_FUNCTIONS_FOR: Seconds = 3.0
_EXIT_FUNCTIONS_AT_ONCE_FOR: Seconds = 0.5
"""
How long the exit functions may take: the first when the deadline has come, the second when the process was told twice
to stop.
"""

_FLUSH_FOR: Seconds = 0.5
"""How long flushing the last lines of the log may take. Usually it takes a millisecond."""

_LOOK_AT_HOST_EVERY: Seconds = 1.0
"""How often the reaper looks whether the main thread has ended, while it waits to be armed."""


class ForcedExit:
    """
    Ends the process at a deadline, if the process belongs to the server.

    ``on_deadline``: called when the deadline has come. It returns whether the server may end the process: a program
    that runs the server may have other work to do. ``on_host_end``: called when the main thread has ended while the
    server runs in another thread, which would keep the process alive (contract F3); only where ``run`` was told of a
    host.

    ``arm`` may be called in a signal handler. ``run`` is the body of a thread of its own, and calls both functions
    there.
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
        End the process at ``deadline`` with ``status``, if it still lives then.

        A later call can move the deadline to an earlier instant, but not to a later one. ``at_once``: do not wait for
        the deadline.
        """
        self._deadline = min(self._deadline, deadline)
        self._status = status or self._status
        self._at_once = self._at_once or at_once
        try:
            self._bell.release()
        except RuntimeError:
            pass  # armed already, and the reaper has not woken yet

    def finish(self, status: int) -> None:
        """End the process now with ``status``: the drain is over, and there is nothing to report at the deadline."""
        self._is_told = True
        self.arm(-math.inf, status)

    def extend(self, deadline: Seconds) -> None:
        """Move the deadline to ``deadline`` if that is later. This gives time for the steps after the drain."""
        self._deadline = max(self._deadline, deadline)

    def time_left(self) -> Seconds:
        """Return how long the process still has; infinity while no end is asked for."""
        return self._deadline - self._clock.now()

    def exit_begins(self) -> None:
        """Say that the interpreter has begun to run the exit functions. The reaper then does not run them again."""
        self._exiting = True

    def dismiss(self) -> None:
        """Say that the server has ended and the process goes on: it belongs to another program. The reaper ends."""
        self._dismissed.set()
        self.arm(math.inf, 0)

    def run(self, has_host: bool = False) -> None:
        """
        Wait to be armed, then wait until the deadline, then end the process. This is the body of the thread.

        ``has_host``: the main thread belongs to another program, and its end is looked for.
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
    Run the exit functions for at most ``patience`` seconds (0: not at all), flush the logs, and end the process.

    Exit functions and flushing run on separate threads. Something may block there: an exit function, a handler whose
    lock a hung thread holds, a pipe that is not read. It then costs its time limit and no more. No thread is joined: a
    thread that does not end is the usual reason for this call (contract P11).
    """
    try:
        if patience:
            run_apart(_run_exit_functions, patience)
        run_apart(_flush, _FLUSH_FOR)
    finally:
        os._exit(status)


def run_apart(body: Callable[[], None], patience: Seconds) -> bool:
    """
    Run a function that may block on a new thread, and wait for it at most ``patience`` seconds.

    CPython 3.12 starts no thread while the interpreter exits. There the thread that began the exit runs it.

    Returns: False when no thread could be started; ``body`` has not run then.
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
        if not exit_guard.run_on_held(run):
            return False
    done.wait(patience)
    return True


def _run_exit_functions() -> None:
    try:
        atexit._run_exitfuncs()
    except BaseException as error:  # the process ends, whatever an exit function raises
        _log.error("An exit function failed: %r", error)


def _flush() -> None:
    """
    Flush the handlers of the logs, then the standard streams.

    ``logging`` has an exit function that flushes, but it does not run if another exit function blocks before it.
    """
    with contextlib.suppress(Exception):  # a handler that fails must not keep the process alive
        logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # the stream may be closed, or None
            stream.flush()
