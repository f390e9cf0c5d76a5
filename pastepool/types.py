"""Define the few types that all floors share: time, threads, windows and injections."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Protocol

Seconds = float
"""A duration, or an instant on the monotonic clock. Never wall-clock time."""

WorkerId = int
"""A worker's number, from 1 in the order in which workers are spawned. No number is used twice in a process."""


class Signal(Protocol):
    """What a sleeping thread can be woken with. ``threading.Event`` is one."""

    def set(self) -> None: ...
    def clear(self) -> None: ...
    def is_set(self) -> bool: ...
    def wait(self, timeout: float | None = None) -> bool: ...


class Clock(Protocol):
    """Tells the time, and lets a thread sleep. Tests bring a clock of their own."""

    def now(self) -> Seconds:
        """Return monotonic seconds, counted from an arbitrary instant."""
        ...

    def wait(self, signal: Signal, until: Seconds) -> bool:
        """Block until ``signal`` is set (returns True) or the instant ``until`` has come (returns False)."""
        ...


class Spawner(Protocol):
    """Starts a thread that runs ``body``, or in tests an object that runs it step by step."""

    def __call__(self, body: Callable[[], None], name: str) -> None: ...


class CallWindow(Protocol):
    """What a task may do with its worker's window, the time in which a kill may land (``runtime.window``)."""

    def open(self, serial: int) -> None:
        """Open the window. Raises: WorkerKilled if a kill came while the window was shut."""

    def open_for_close(self, serial: int) -> None:
        """Open the window for the application's ``close``, which runs even after a kill."""

    def shut(self) -> None:
        """Shut the window. After this has returned, no kill can land."""


class Injected(enum.Enum):
    """
    What became of an attempt to raise in another thread.

    ``LANDING``: the exception is on its way. ``HELD_BACK``: the kill has the claim, but nothing was raised; try again
    later. The thread stood where an exception would hurt others, or its cancel callbacks run first. ``WINDOW_SHUT``:
    the thread does not run that task's application code now. ``GONE``: the thread has ended.
    """

    LANDING = "landing"
    HELD_BACK = "held back"
    WINDOW_SHUT = "window shut"
    GONE = "gone"
