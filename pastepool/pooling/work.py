"""What a program gives to a ``WorkerPool``: ``Work``, the base class of it, and the same for a plain callable."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from pastepool.core.ownership import calls_application
from pastepool.core.wording import printable
from pastepool.errors import WorkerKilled
from pastepool.runtime.system.loggers import own_logger

_log = own_logger("pastepool.app")


class Work(ABC):
    """
    One piece of work for a pool. Define ``run``, and override what else you need.

    ``environ``: the WSGI environ, if the work is a request; the page shows it. ``holds_requests``: the work is a
    connection on which requests come, and only these can hang: each of them runs inside ``WorkerPool.request``. The rest
    of the time the worker waits for its host. If it is false, as here, the whole of ``run`` can be hung and killed.

    Each piece of work ends in exactly one of two ways: ``run`` and then ``finished``; ``refused``.
    """

    environ: Mapping[str, object] | None = None
    holds_requests: bool = False

    @abstractmethod
    def run(self) -> object:
        """Do the work. A kill raises ``WorkerKilled`` in here. Runs on: a worker."""

    def title(self) -> str:
        """Name the work for people, in a few words and without secrets. Runs on: any thread."""
        return type(self).__qualname__

    def failed(self, error: BaseException) -> None:
        """
        Handle what ``run`` raised, a kill included. No kill can come any more. Runs on: its worker.

        The other end of a connection may hang up when it likes; of a kill the supervisor has told.
        """
        if self.holds_requests and isinstance(error, ConnectionError):
            _log.info("%s ended: %s", printable(self.title(), 200), error)
        elif not isinstance(error, WorkerKilled):
            _log.error("%s failed", printable(self.title(), 200), exc_info=error)

    def finished(self) -> None:  # noqa: B027  # most work has nothing to give back
        """Give back all that the work holds. The last call after ``run``, even if that raised. Runs on: its worker."""

    def refused(self, reason: str) -> None:
        """End work that was never run: the pool stopped before a worker took it. Runs on: the thread that stops."""
        _log.error("%s was not run: %s", printable(self.title(), 200), reason)

    def cancel(self) -> None:  # noqa: B027  # most work has nothing to wake
        """Wake a ``run`` that is being killed, for instance by closing what it waits for. Runs on: another thread."""


class CallableWork(Work):
    """A callable without arguments as work. ``result``: what it returned. It is let go of when it is called."""

    def __init__(self, called: Callable[[], object]) -> None:
        self.result: Any = None
        self._called: Callable[[], object] = called
        self._title = f"callable {getattr(called, '__qualname__', called)!r}"

    @calls_application
    def run(self) -> None:
        called, self._called = self._called, _nothing
        self.result = called()

    def title(self) -> str:
        return self._title


def _nothing() -> None:
    """Stand in the place of a callable that was let go of."""
