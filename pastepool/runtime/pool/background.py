"""Work on the pool that is no request: a callable somebody else submits (contract F4; Paste's ``add_task``)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from pastepool.core.ownership import calls_application
from pastepool.core.wording import printable
from pastepool.runtime.pool.task import ShedReason, TaskOutcome
from pastepool.types import CallWindow, Seconds

_log = logging.getLogger("pastepool.app")


class BackgroundTask:
    """A callable without arguments as a task of the pool; it is supervised, and killed, like a request."""

    kind = "background task"
    arrived_at: Seconds = 0.0
    started_at: Seconds = 0.0
    worker_name = ""
    kill_after: Seconds | None = None
    cancellations: Sequence[Callable[[], object]] | None = None
    environ: Mapping[str, object] | None = None
    peer: str | None = None

    def __init__(self, work: Callable[[], object], serial: int) -> None:
        self.serial = serial
        self._work = work

    @calls_application
    def run(self, window: CallWindow) -> None:
        """Do the work inside the window."""
        window.open(self.serial)
        self._work()
        window.shut()

    def title(self) -> str:
        """What people are shown."""
        return printable(f"background task {getattr(self._work, '__qualname__', self._work)!r}", 200)

    def described(self) -> Mapping[str, str]:
        """The title says it all."""
        return {}

    def outcome(self) -> TaskOutcome:
        """Nobody is told how it ended but the log."""
        return TaskOutcome()

    def failed(self, error: BaseException) -> None:
        """Nobody waits for a result, so the log is told."""
        _log.error("%s failed", self.title(), exc_info=error)

    def conclude(self, now: Seconds) -> None:
        """Nothing is left to give back."""

    def killed(self, now: Seconds) -> None:
        """Nobody waits for an answer."""

    def cut_if_waiting(self) -> bool:
        """It never waits for a client."""
        return False

    def refused(self, reason: ShedReason) -> None:
        """It waited too long for a worker, or the server stops."""
        _log.error("%s was not run: %s", self.title(), reason.value)

    def dropped(self) -> None:
        """It has no client that could go."""
