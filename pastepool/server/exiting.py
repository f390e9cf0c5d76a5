"""
What becomes of a server when something else ends the interpreter: it is told and mailed, and the server drains.

The status of the process is then never 0, which a monitor would take for a wanted end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import FrameType, TracebackType

from pastepool.core.ending import end_at
from pastepool.core.telling.notices import InterpreterExits
from pastepool.errors import WorkerKilledExit
from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.system import exit_guard
from pastepool.server.announcing import lines_of, tell_exit
from pastepool.server.assembly import ServerParts
from pastepool.types import Seconds

_log = scribbled("pastepool")

_EXITED_UNASKED = WorkerKilledExit.code
"""Exit status when something else ended the interpreter, the same as where a kill did: EX_SOFTWARE of ``sysexits.h``."""


class Exiting:
    """
    Looks after an exit that one server did not begin (``exit_guard.Guarded``).

    ``end``: begins the end of the server with an exit status. The process ends then, at the latest after the deadline.
    """

    def __init__(self, parts: ServerParts, end: Callable[[int], None]) -> None:
        self._parts = parts
        self._end = end
        self._began_at: Seconds = 0.0

    def watch(self) -> None:
        """Notice an exit from now on. Runs on: the thread that serves."""
        self._began_at = self._parts.clock.now()
        exit_guard.watch(self)

    def forget(self) -> None:
        """The server has ended: an exit is no business of it any more."""
        exit_guard.forget(self)

    def exit_begins(self, frame: FrameType | None) -> None:
        """
        End the server because C code ends the interpreter on the calling thread.

        What runs has until ``shutdown_timeout``, except for the call that ended the interpreter.
        """
        self._tell_and_end(frame, _EXITED_UNASKED, self._where())

    def raised(self, error: SystemExit) -> None:
        """
        End the server because a signal handler of the application raised SystemExit on the main thread.

        paster would end the process with status 0, and tell nobody. Runs on: any thread.
        """
        where = f"the thread {threading.main_thread().name}"
        self._tell_and_end(_innermost(error.__traceback__), _status_of(error), where)

    def _tell_and_end(self, frame: FrameType | None, status: int, where: str) -> None:
        """Log, note and mail it, then end the server, not before ``end_at``. Each step is taken even if one fails."""
        parts, stack = self._parts, lines_of(frame)
        steps: tuple[Callable[[], object], ...] = (
            lambda: tell_exit(where, stack, status),
            lambda: parts.journal.note("ending", f"{where} ended the interpreter"),
            lambda: parts.mailer.submit(InterpreterExits(where, tuple(stack), status)),
            lambda: parts.clock.wait(threading.Event(), end_at(parts.clock.now(), self._began_at)),
        )
        for step in steps:
            try:
                step()
            except Exception:
                _log.critical("Internal error while the interpreter exits; please report this", exc_info=True)
        self._end(status)

    def _where(self) -> str:
        """Name the request that runs on the calling thread, or the thread."""
        ident = threading.get_ident()
        tasks = (worker.task for worker in list(self._parts.pool.workers.values()) if worker.ident == ident)
        task = next(tasks, None)
        return f"the thread {threading.current_thread().name}" if task is None else task.title()


def _status_of(error: SystemExit) -> int:
    """Return the exit status that a SystemExit asks for, unless that is 0."""
    return error.code & 0xFF or _EXITED_UNASKED if isinstance(error.code, int) else _EXITED_UNASKED


def _innermost(trace: TracebackType | None) -> FrameType | None:
    """Return the frame in which an exception was raised."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return None if trace is None else trace.tb_frame
