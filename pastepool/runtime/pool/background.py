"""
Run work on the pool that is not a request: a callable that a program submits (contract F4; Paste's ``add_task``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pastepool.core.ownership import calls_application
from pastepool.core.wording import printable
from pastepool.runtime.pool.task import ShedReason, TaskOutcome
from pastepool.runtime.system.loggers import own_logger
from pastepool.types import CallWindow, Seconds

_log = own_logger("pastepool.app")


class BackgroundTask:
    """A callable without arguments as a task of the pool. It is supervised and killed like a request."""

    kind = "background task"
    arrived_at: Seconds = 0.0
    started_at: Seconds = 0.0
    worker_name = ""
    kill_after: Seconds | None = None
    client_wait: None = None
    cancellations: Sequence[Callable[[], object]] | None = None
    environ: Mapping[str, object] | None = None
    peer: str | None = None

    def __init__(self, work: Callable[[], object], serial: int) -> None:
        self.serial = serial
        self._work = work

    @calls_application
    def run(self, window: CallWindow) -> None:
        """Call the callable inside the window."""
        window.open(self.serial)
        self._work()
        window.shut()

    def title(self) -> str:
        """Name the callable for people."""
        return printable(f"background task {getattr(self._work, '__qualname__', self._work)!r}", 200)

    def described(self) -> Mapping[str, str]:
        """Return nothing: the title says everything."""
        return {}

    def outcome(self) -> TaskOutcome:
        """Return an empty outcome: only the log is told how the work ended."""
        return TaskOutcome()

    def failed(self, error: BaseException) -> None:
        """Log the error, because no client waits for a result."""
        _log.error("%s failed", self.title(), exc_info=error)

    def conclude(self, now: Seconds) -> None:
        """Do nothing: this task holds nothing that must be given back."""

    def killed(self, now: Seconds) -> None:
        """Do nothing: no client waits for a response."""

    def cut_if_waiting(self) -> bool:
        """Return False: this task never waits for a client."""
        return False

    def refused(self, reason: ShedReason) -> None:
        """Log that the callable was not run, and why."""
        _log.error("%s was not run: %s", self.title(), reason.value)

    def dropped(self) -> None:
        """Do nothing: this task has no client that could hang up."""
