"""
Notice that the interpreter exits while a server serves, which nobody asked the server for.

A C extension can end the interpreter on any thread: ``PyErr_Print`` does so with a SystemExit, and nothing of it is seen
in a log. The interpreter first calls the functions that the module ``threading`` keeps for its exit, on the thread that
ends it, while all other threads still run. One of these functions is ours, registered once for the process and not
before a server needs it. It tells the servers, and does not return: the server ends the process when the other requests
have ended. From here on CPython 3.12 starts no thread any more, so the thread that is held here runs what has to run on
a thread of its own at the end (``run_on_held``).

The other hook, ``atexit``, comes after the interpreter has waited for all threads that are no daemons. That can last for
ever. ``os._exit``, a signal that kills, and ``exit`` in C tell nobody.

Source: CPython's ``Py_FinalizeEx`` and ``threading._shutdown``.
"""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401 - it registers a function that waits for its threads, to be run after ours
import contextlib
import os
import queue
import sys
import threading
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Protocol


class Guarded(Protocol):
    """A server that serves, as this module knows it."""

    def exit_begins(self, frame: FrameType | None) -> None:
        """
        Begin the end: the interpreter exits. The process ends when the server ends it, at the latest after a deadline.

        ``frame``: what runs on the calling thread; None if that is no Python. Raises: nothing. Runs on: any thread; it
        never goes on after this.
        """


class _Serving:
    """A server, the process that it serves in, and the thread. ``server``: called for None when it has gone."""

    def __init__(self, server: Guarded) -> None:
        self.server = weakref.ref(server)
        self.process = os.getpid()
        self.on_main_thread = threading.current_thread() is threading.main_thread()

    def is_hit(self) -> bool:
        """
        Say whether an exit that the calling thread begins ends a server that should go on.

        A child of a fork is no server. A program that serves on another thread may end its main thread: then the server
        is told to stop elsewhere (``forced_exit``).
        """
        ends_program = threading.current_thread() is threading.main_thread() and not self.on_main_thread
        return self.process == os.getpid() and not ends_program


class _ExitGuard:
    """
    The servers of this process. ``_serving`` is replaced, never changed, because any thread may read it.

    ``_work``: what the thread that is held here is to run; None if there is no such thread.
    """

    def __init__(self) -> None:
        self._registered = False
        self._serving: list[_Serving] = []
        self._work: queue.SimpleQueue[Callable[[], object]] | None = None

    def watch(self, server: Guarded) -> None:
        if not self._registered:
            self._registered = True
            getattr(threading, "_register_atexit", atexit.register)(self._exit_begins)
        self._serving = [*self._serving, _Serving(server)]

    def forget(self, server: Guarded) -> None:
        self._serving = [each for each in self._serving if each.server() not in (None, server)]

    def _exit_begins(self) -> None:
        hit = [server for each in self._serving if each.is_hit() and (server := each.server()) is not None]
        if not hit:
            return
        shutdown = sys._getframe().f_back  # of ``threading._shutdown``, which C has called
        for server in hit:
            server.exit_begins(None if shutdown is None else shutdown.f_back)
        del shutdown
        self._work = queue.SimpleQueue()
        while True:
            with contextlib.suppress(Exception):  # it would let the exit go on
                self._work.get()()

    def run_on_held(self, work: Callable[[], object]) -> bool:
        if self._work is None:
            return False
        self._work.put(work)
        return True


_guard = _ExitGuard()
"""The interpreter has one list of functions that are called at its exit, so one object is enough for all servers."""

watch = _guard.watch
"""Tell a server from now on if the interpreter exits. Runs on: the thread that serves."""

forget = _guard.forget
"""Do not tell a server any more: it has ended."""

run_on_held = _guard.run_on_held
"""
Run something on the thread that began an exit and is held here. It may block. Returns False if
there is no such thread. Runs on: any thread.
"""
