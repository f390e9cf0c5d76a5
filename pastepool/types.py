"""The few shapes that are passed between floors: time, threads and injections, as protocols."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Protocol

Seconds = float
"""A duration, or an instant on the monotonic clock. Never wall-clock time."""

WorkerId = int
"""Numbers workers from 1 in the order they were spawned; never used twice in a process."""


class Signal(Protocol):
    """What a sleeper can be woken by: ``threading.Event`` has this shape."""

    def set(self) -> None: ...
    def clear(self) -> None: ...
    def is_set(self) -> bool: ...
    def wait(self, timeout: float | None = None) -> bool: ...


class Clock(Protocol):
    """Where time comes from, so that tests can bring their own."""

    def now(self) -> Seconds:
        """Monotonic seconds; the origin is arbitrary."""
        ...

    def wait(self, signal: Signal, until: Seconds) -> bool:
        """Block until ``signal`` is set (True) or the instant ``until`` has come (False)."""
        ...


class Spawner(Protocol):
    """Starts what will run ``body``: a thread, or in tests something that is stepped."""

    def __call__(self, body: Callable[[], None], name: str) -> None: ...


class CallWindow(Protocol):
    """What a task does with its worker's window: the time in which a kill may land (``runtime.window``)."""

    def open(self, serial: int) -> None:
        """Raises: WorkerKilled if the kill came while the window was shut."""

    def open_for_close(self, serial: int) -> None:
        """Like ``open``, for the application's ``close``, which runs after a kill too."""

    def shut(self) -> None:
        """After it returns no kill can land."""


class Injected(enum.Enum):
    """
    What became of an attempt to raise in another thread.

    ``HELD_BACK``: the task is ended, but its thread stands where an exception would hurt others; try again later.
    """

    LANDING = "landing"
    HELD_BACK = "held back"
    WINDOW_SHUT = "window shut"
    GONE = "gone"
