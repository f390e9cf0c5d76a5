"""
A spawner whose workers run nothing until a test says so.

Knows bodies and names in the order they were spawned. Runs on the test's thread.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable


class StepSpawner:
    """
    Keeps what it is given instead of starting a thread; has the shape of ``pastepool.types.Spawner``.

    Whoever spawns cannot tell the difference from threads that are slow to start. ``spawned``: every name so far.
    """

    def __init__(self) -> None:
        self.spawned: list[str] = []
        self._pending: deque[tuple[str, Callable[[], None]]] = deque()
        self._refusals = 0

    def __call__(self, body: Callable[[], None], name: str) -> None:
        """
        Take one body and run nothing of it.

        Raises: RuntimeError, as ``Thread.start`` does, when the test wants it so (``refuse``).
        """
        if self._refusals:
            self._refusals -= 1
            raise RuntimeError("can't start new thread")
        self.spawned.append(name)
        self._pending.append((name, body))

    @property
    def pending(self) -> list[str]:
        """Names of those that have not run yet, in the order they were spawned."""
        return [name for name, _ in self._pending]

    def refuse(self, times: int = 1) -> None:
        """Let the next spawns fail the way they fail on a machine that has no room for another thread."""
        self._refusals = times

    def step(self, name: str = "") -> str:
        """
        Run one pending body to its end, here and now.

        Args:
            name: which; the one that has waited longest when empty.

        Returns: its name. Whatever the body raises comes out.
        """
        found, body = self._take(name)
        body()
        return found

    def release(self, name: str = "") -> threading.Thread:
        """
        Start one pending body in a thread of its own, for a body that blocks.

        Args:
            name: which; the one that has waited longest when empty.

        Returns: the thread, a daemon; joining it is the test's business.
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
