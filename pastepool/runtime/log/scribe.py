"""
Write log lines for threads that must not wait: the supervisor, and the thread that holds the baton.

A handler of ``logging`` writes while it holds its own lock. A request can hang while it holds that lock: its log goes
to a pipe that is not read, or to a server that does not answer. Then the next thread that logs waits for the lock. If
that thread were the supervisor, no hung worker would be replaced. So a separate thread, the scribe, writes the lines of
these threads, and only the scribe may hang. The thread that logs waits until its line is written, so that the log is in
the right order. It waits for a short time only, and it does not wait at all while the scribe is behind.

``scribbled(name)`` returns a logger for such threads. While no server serves (before ``begin`` and after ``end``) the
thread that logs writes its line itself.

Source: drill (e) of the manual. ``logging.handlers.QueueHandler`` would do the same, but the user's handlers would have
to be changed for it.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
from collections import deque
from typing import NamedTuple

from pastepool.errors import NoThread
from pastepool.runtime.system.loggers import OwnLogger, handle, own_logger
from pastepool.runtime.system.threads import spawn_thread
from pastepool.types import Seconds

_PATIENCE: Seconds = 0.1
"""How long a thread waits until its line is written. Writing a line takes about a tenth of a millisecond."""

_LIMIT = 10_000
"""Lines that may wait while the scribe hangs. Further lines are lost, and counted."""

_log = own_logger("pastepool")


class _Line(NamedTuple):
    logger: logging.Logger
    record: logging.LogRecord
    written: threading.Event


class Scribe:
    """
    Writes lines on a thread of its own.

    All fields are written under ``_changed``, except ``_process`` and ``_behind``. Runs on: any thread; ``_run`` on the
    scribe's own.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._lines: deque[_Line] = deque()
        self._servers = 0
        self._ended = threading.Event()
        self._lost = 0
        self._behind = False
        self._process = 0

    def begin(self) -> None:
        """Tell the scribe that a server begins to serve in this process. The first one starts it. Raises: NoThread."""
        if self._process != os.getpid():
            # After a fork: the parent's state, and above all its locks, must not be used here (contract F2).
            self.__init__()  # type: ignore[misc]
            self._process = os.getpid()
        with self._changed:
            self._servers += 1
            if self._servers > 1:
                return
            self._ended = ended = threading.Event()
        try:
            spawn_thread(functools.partial(self._run, ended), "pastepool scribe")
        except NoThread:
            with self._changed:
                self._servers -= 1
            raise

    def end(self, patience: Seconds) -> None:
        """
        Tell the scribe that a server has ended. With the last server the scribe writes the waiting lines and ends.

        Returns when the scribe has ended, or after ``patience`` seconds. In the second case a handler hangs, and the
        server ends without waiting for the scribe any longer.
        """
        with self._changed:
            if not self._servers:
                return  # the server that ends never called begin
            self._servers -= 1
            if self._servers:
                return
            self._changed.notify_all()
            ended = self._ended
        ended.wait(patience)

    def write(self, logger: logging.Logger, record: logging.LogRecord) -> None:
        """Have the scribe write a line. Returns when it is written, or when that takes too long."""
        if self._process != os.getpid() or not self._servers:
            handle(logger, record)
            return
        line = _Line(logger, record, threading.Event())
        with self._changed:
            if len(self._lines) >= _LIMIT:
                self._lost += 1
                return
            self._lines.append(line)
            self._changed.notify_all()
        if not self._behind and not line.written.wait(_PATIENCE):
            self._behind = True

    def _run(self, ended: threading.Event) -> None:
        while True:
            with self._changed:
                while not self._lines and self._servers and self._ended is ended:
                    self._changed.wait()
                if not self._lines or self._ended is not ended:
                    break
                line = self._lines.popleft()
            handle(line.logger, line.record)
            if self._process != os.getpid():
                return  # the handler forked, and this is the child
            line.written.set()
            if not self._lines:
                self._catch_up()
        ended.set()

    def _catch_up(self) -> None:
        self._behind = False
        with self._changed:
            lost, self._lost = self._lost, 0
        if lost:
            _log.error("%d lines of the log are lost: one of its handlers did not return for too long", lost)


_scribe = Scribe()
"""One scribe serves all servers of a process, because ``logging`` is the same for all of them too."""

begin = _scribe.begin
end = _scribe.end


class Scribbled(OwnLogger):
    """A logger whose lines the scribe writes."""

    def _write(self, record: logging.LogRecord) -> None:
        _scribe.write(self.logger, record)


def scribbled(name: str) -> Scribbled:
    """Return the logger of that name for threads that must not wait."""
    return Scribbled(logging.getLogger(name), {})
