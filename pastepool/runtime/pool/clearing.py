"""
Clear away what a killed call has left: its exception, its frames, and its garbage.

An application that rolls back on ``except Exception`` only does not see a kill. Its session and its connection are then
held by the frames of the call, or by a cycle of objects, and the transaction stays open until they end. So:

1. The killed worker ends the frames, in its own thread.
2. It collects garbage, in its own thread as well, if ``core.clearing`` allows one more collection now.
3. When its thread has ended, what only that thread's ``threading.local`` objects held is garbage too. Another thread
   collects it, once for all workers that have ended meanwhile. It waits until a collection is allowed.

In 1 and 2 code of the application runs: finalizers and callbacks of weak references. So the window is open, and a kill
is repeated there as in the call itself. A call that is not killed gets to nothing in this module.

Source: ours.
"""

from __future__ import annotations

import gc
import math
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Protocol

from pastepool.core.clearing import collect_again_at
from pastepool.core.ownership import calls_application
from pastepool.types import Clock, Seconds, Spawner

_ENDS_WITHIN: Seconds = 5.0
"""How long to wait for the end of a thread that has nothing left to do but to end its ``threading.local`` objects."""


_KEEPS_A_COPY = sys.version_info < (3, 13)
"""
Whether a frame that was traced or looked at has a second dictionary of its variables, which ``clear`` leaves alone. A frame
lives on if the application keeps the exception, for example for an error report.
"""


class _Window(Protocol):
    def open_for_close(self, serial: int) -> None: ...
    def shut(self) -> None: ...


class Clearing:
    """
    Clears away killed calls. One for each pool.

    ``_not_before``: when the next collection may begin; infinity while one runs. It, ``_ended`` and ``_runs`` are
    written under ``_lock``. ``_changed``: set when ``_not_before`` has become known, or the pool closes.
    """

    def __init__(self, clock: Clock, spawn: Spawner) -> None:
        self._clock = clock
        self._spawn = spawn
        self._lock = threading.Lock()
        self._not_before: Seconds = -math.inf
        self._ended: list[threading.Thread] = []
        self._runs = False
        self._closing = False
        self._changed = threading.Event()

    def clear(self, errors: list[BaseException], window: _Window, serial: int) -> None:
        """
        Clear away a call that has ended.

        Args:
            errors: what came out of the call. The list is emptied, so that nothing holds them any more.
            window: of the worker; shut before and after, but open if this raises.
            serial: of the task, for the window.

        Raises: WorkerKilled, if the kill was repeated. Runs on: the killed worker.
        """
        window.open_for_close(serial)
        _end_frames(errors)
        window.shut()
        if not self._begins():
            return  # ``collect_after`` sees to it
        began = time.thread_time()
        try:
            window.open_for_close(serial)
            _collect()
            window.shut()
        finally:
            self._has_taken(time.thread_time() - began)

    def collect_after(self, thread: threading.Thread) -> None:
        """
        Collect once more when a thread has ended. Returns at once.

        If the system has no thread for it, the garbage waits for a collection of another one. Runs on: that thread, as
        its last act.
        """
        with self._lock:
            self._ended.append(thread)
            if self._runs or self._closing:
                return
            self._runs = True
        try:
            self._spawn(self._collect_for_the_ended, "pastepool clearing")
        except RuntimeError:
            with self._lock:
                self._runs = False

    def close(self) -> None:
        """Wait for nothing any more: the pool closes. Does not wait itself."""
        self._closing = True
        self._changed.set()

    def _collect_for_the_ended(self) -> None:
        while True:
            with self._lock:
                ended, self._ended = self._ended, []
                self._runs = bool(ended)
                if not ended:
                    return
            for thread in ended:
                thread.join(_ENDS_WITHIN)
            while not self._begins():
                # A change that comes between the look and the wait is not lost: whatever sets the event has changed
                # ``_not_before`` first.
                self._clock.wait(self._changed, self._not_before)
                self._changed.clear()
                if self._closing:
                    return
            began = time.thread_time()
            gc.collect()
            self._has_taken(time.thread_time() - began)

    def _begins(self) -> bool:
        """Say whether the caller may collect now. It then has to, and to call ``_has_taken`` after it."""
        with self._lock:
            if self._clock.now() < self._not_before:
                return False
            self._not_before = math.inf
            return True

    def _has_taken(self, took: Seconds) -> None:
        with self._lock:
            self._not_before = collect_again_at(self._clock.now(), took)
        self._changed.set()


@calls_application
def _end_frames(errors: list[BaseException]) -> None:
    """End the variables of each frame that exceptions hold, and let go of the exceptions."""
    while errors:
        for error in _with_causes(errors.pop()):
            for frame, _ in traceback.walk_tb(error.__traceback__):
                _end(frame)


@calls_application
def _end(frame: FrameType) -> None:
    try:
        frame.clear()
    except RuntimeError:
        return  # it runs on: a function of ours, or a generator that waits
    if _KEEPS_A_COPY:
        frame.f_locals  # noqa: B018 - brings the copy up to date, so it is empty now


@calls_application
def _collect() -> None:
    gc.collect()


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    """Return an exception and those that it came from: an application may raise another one when it is killed."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            waiting += (each.__context__, each.__cause__)
            yield each
