"""
Send what responses have kept back for longer than a millisecond (``joining``), on a thread of its own.

The thread is started by the first response that needs it. It looks every half millisecond while anything is kept back,
and sleeps while nothing is.
"""

from __future__ import annotations

import threading

from pastepool.errors import NoThread
from pastepool.runtime.http.joining import KEPT_AT_MOST, Joining
from pastepool.runtime.log.scribe import scribbled
from pastepool.types import Clock, Seconds, Spawner

_log = scribbled("pastepool.http")

_LOOK_EVERY: Seconds = KEPT_AT_MOST / 2

_LOOKS_BEFORE_SLEEP = 40
"""
After this many looks at nothing the thread sleeps. To wake it costs the worker a system call, as much as some pieces, so
where responses come all the time it does not sleep.
"""


class Sender:
    """
    Sends what is overdue.

    ``watch`` and ``forget`` run on any thread, with the lock of what they are called with; ``end`` on any thread.
    """

    def __init__(self, clock: Clock, spawn: Spawner) -> None:
        self._now = clock.now
        self._spawn = spawn
        self._kept: dict[Joining, None] = {}
        self._starting = threading.Lock()
        self._started = False
        self._asleep = False
        self._ended = False
        self._bell = threading.Lock()
        self._bell.acquire()

    def watch(self, joining: Joining) -> bool:
        """
        Look after what a response keeps back from now on. Returns False if that is not possible: it must be sent.

        The thread must not sleep through it:
        1. it sets ``_asleep``, waits for ``_LOOK_EVERY``, and then reads ``_kept``;
        2. this method writes ``_kept``, then reads ``_asleep``.
        The later of the two sees the write of the other. The wait is for Python without a GIL (``runtime.pool.baton``).
        """
        if not self._started and not self._start():
            return False
        self._kept[joining] = None
        if self._asleep:
            self._ring()
        return True

    def forget(self, joining: Joining) -> None:
        """Look after a response no more: nothing of it is kept back."""
        self._kept.pop(joining, None)

    def _start(self) -> bool:
        with self._starting:
            if not self._started and not self._ended:
                try:
                    self._spawn(self._run, "pastepool sender")
                except NoThread:
                    return False
                self._started = True
        return self._started and not self._ended

    def end(self) -> None:
        """End the thread. What is kept back by a response that hangs is not sent. May be called twice."""
        with self._starting:
            self._ended = True
        self._ring()

    def _ring(self) -> None:
        try:
            self._bell.release()
        except RuntimeError:
            pass  # rung already, and the thread has not woken yet

    def _run(self) -> None:
        looks = 0
        while not self._ended:
            if not self._bell.acquire(timeout=_LOOK_EVERY) and looks >= _LOOKS_BEFORE_SLEEP:
                self._sleep()
                looks = 0
            looks = 0 if self._look() else looks + 1

    def _look(self) -> bool:
        """Send what is overdue. Returns whether anything was kept back."""
        there = list(self._kept)
        now = self._now()
        for joining in there:
            try:
                joining.send_overdue(now)
            except Exception:
                self.forget(joining)
                _log.exception("Internal error in a piece of a response that was kept back; please report this")
        return bool(there)

    def _sleep(self) -> None:
        self._asleep = True
        if not self._bell.acquire(timeout=_LOOK_EVERY) and not self._kept and not self._ended:
            self._bell.acquire()
        self._asleep = False
