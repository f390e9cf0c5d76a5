"""
What becomes of a server in a child process that the application forks: it gives up all that belongs to the parent.

The child must not answer a client, accept one, hold a port or a connection open, or treat a signal as the server does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.sockets.listener import Listener
from pastepool.runtime.system import forks
from pastepool.runtime.system.signals import Signals
from pastepool.runtime.window.interruption import interruption
from pastepool.server.assembly import ServerParts

_log = scribbled("pastepool")


class Forking:
    """
    Looks after the forks of one server (``forks.Forked``).

    ``orphaned``: this process is a child of the one that serves. ``shared``: other processes may serve on the listeners,
    because the process was forked after they were opened.
    """

    def __init__(self, parts: ServerParts, signals: Signals) -> None:
        self.orphaned = False
        self.shared = False
        self._parts = parts
        self._signals = signals
        self._listeners: Sequence[Listener] = ()
        self._forks_before = 0

    def note_bound(self, listeners: Sequence[Listener]) -> None:
        """Take the listeners that were just opened."""
        self._listeners = listeners
        self._forks_before = forks.begun()

    def begin(self) -> None:
        """Note that the server serves from now on: no child made later may keep anything of it."""
        inherited = any(listener.inherited for listener in self._listeners)
        self.shared = inherited or forks.begun() != self._forks_before
        forks.watch(self)

    def end(self) -> None:
        """Note that the server has ended and has nothing open any more."""
        forks.forget(self)

    @property
    def handled(self) -> Collection[int]:
        return self._signals.handled

    def in_child(self) -> None:
        """
        Give up everything that belongs to the parent process.

        Each step is taken even if an earlier one failed: see ``forks.Forked.in_child``. What makes threads of ours end
        comes last. Such a thread exists in the child only if it is the one that forked.
        """
        self.orphaned = True
        parts = self._parts
        steps: tuple[Callable[[], object], ...] = (
            self._signals.in_child,
            interruption.in_child,
            self._close_listeners,
            self._leave_pool,
            lambda: None if parts.admin is None else parts.admin.in_child(),
            parts.shared.in_child,
            parts.baton.in_child,
            parts.caretaker.finish,
        )
        for step in steps:
            try:
                step()
            except Exception:
                _log.critical("Internal error in a child of a fork; please report this", exc_info=True)

    def end_if_orphaned(self, error: BaseException | None) -> None:
        """
        End this process if it is a child. Runs on: the thread that serves; a signal handler of the application forked.

        ``error``: what was raised there; SystemExit and KeyboardInterrupt go on to the program's own end.
        """
        if self.orphaned and not isinstance(error, (SystemExit, KeyboardInterrupt)):
            forks.end_child("a signal handler", error)

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            listener.close()

    def _leave_pool(self) -> None:
        forked_by = None
        for worker in self._parts.pool.workers.values():
            forked_by = worker.in_child() or forked_by
        self._parts.poller.in_child(forked_by)
