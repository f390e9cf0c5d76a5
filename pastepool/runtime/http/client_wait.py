"""The waits of one worker for a client that does not read, while there is no room for more output."""

from __future__ import annotations

from collections.abc import Callable

from pastepool.runtime.http.connection import Connection
from pastepool.types import Clock, Seconds


class ClientWait:
    """
    Tells the supervisor that a worker only waits, and for how long; implements ``pool.task.WaitForClient``.

    ``since``: when the present wait began; None between two waits. ``lasted``: how long all waits before it were. Only
    the worker writes these two. ``was_cut``: the supervisor has cut the client off. ``nudge``: makes the supervisor look.
    """

    __slots__ = ("since", "lasted", "was_cut", "_connection", "_clock", "_nudge")

    def __init__(self, connection: Connection, clock: Clock, nudge: Callable[[], object]) -> None:
        self.since: Seconds | None = None
        self.lasted: Seconds = 0.0
        self.was_cut = False
        self._connection = connection
        self._clock = clock
        self._nudge = nudge

    def begin(self) -> None:
        """Note that the worker waits. Runs on: worker."""
        self.since = self._clock.now()
        self._nudge()

    def end(self) -> None:
        """Note that the worker goes on, or gives up. Runs on: worker."""
        if self.since is not None:
            self.lasted += self._clock.now() - self.since
            self.since = None
            self._nudge()

    def stalled_since(self, now: Seconds) -> Seconds:
        """Ask the kernel how far the client has come, and return when it last had read something. Runs on: any thread."""
        output = self._connection.output
        if output is None:
            return now
        output.note_progress(self._connection.unacknowledged(), now)
        return output.moved_at

    def cut(self) -> bool:
        """
        Cut the client off, if the worker waits for it. Returns whether it does.

        The worker, which is woken by this, closes the connection. Runs on: supervisor.
        """
        output = self._connection.output
        if self.since is None or output is None or output.flushed:
            return False
        self.was_cut = True
        output.break_off()
        return True
