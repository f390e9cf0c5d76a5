"""
A spawner that starts no thread: the test decides when each body runs.

It keeps bodies and names in the order in which they were spawned. Runs on: the thread of the test.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable


class StepSpawner:
    """
    Keeps each body instead of starting a thread for it. It has the shape of ``pastepool.types.Spawner``.

    For the code that spawns, it behaves like threads that are slow to start. ``spawned``: every name so far.
    """

    def __init__(self) -> None:
        self.spawned: list[str] = []
        self._pending: deque[tuple[str, Callable[[], None]]] = deque()
        self._refusals = 0

    def __call__(self, body: Callable[[], None], name: str) -> None:
        """
        Keep one body; do not run it.

        Raises: RuntimeError, as ``Thread.start`` does, if the test has called ``refuse``.
        """
        if self._refusals:
            self._refusals -= 1
            raise RuntimeError("can't start new thread")
        self.spawned.append(name)
        self._pending.append((name, body))

    @property
    def pending(self) -> list[str]:
        """The names of the bodies that have not run yet, in the order in which they were spawned."""
        return [name for name, _ in self._pending]

    def refuse(self, times: int = 1) -> None:
        """Let the next ``times`` spawns fail, as on a machine that cannot start another thread."""
        self._refusals = times

    def step(self, name: str = "") -> str:
        """
        Run one pending body to its end, on the calling thread.

        Args:
            name: which body; empty for the one that has waited longest.

        Returns: the name of the body. Raises: what the body raises.
        """
        found, body = self._take(name)
        body()
        return found

    def release(self, name: str = "") -> threading.Thread:
        """
        Start one pending body in a new thread. This is for a body that blocks.

        Args:
            name: which body; empty for the one that has waited longest.

        Returns: the thread, a daemon. The test has to join it.
        """
        found, body = self._take(name)
        thread = threading.Thread(target=body, name=found, daemon=True)
        thread.start()
        return thread

    def _take(self, name: str) -> tuple[str, Callable[[], None]]:
        for entry in self._pending:
            if name in ("", entry[0]):
                self._pending.remove(entry)
                return entry
        raise AssertionError(f"nothing to step{' named ' + name if name else ''}: pending are {self.pending}")
