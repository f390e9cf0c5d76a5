"""
Log lines of threads that must not wait: the supervisor, and whoever has the baton.

A handler writes under a lock of its own. A request that hangs while it has that lock (its log goes to a pipe that nobody
reads, to a server that does not answer) stops whoever logs next; and were that the supervisor, nobody would replace the
hung. So their lines are written by a thread of their own, the scribe, which may hang. They wait for it, so that a line is
written before what it tells of goes on, but not for long, and not again before the scribe has caught up.

``scribbled(name)`` is a logger for such threads. While no server serves (``begin`` to ``end``) it is an ordinary one.

Source: drill (e) of the manual; ours, because ``logging.handlers.QueueHandler`` would be a change to the user's handlers.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from pastepool.errors import NoThread
from pastepool.runtime.system.threads import spawn_thread
from pastepool.types import Seconds

_PATIENCE: Seconds = 0.1
"""How long a line is waited for; a line takes a tenth of a millisecond. Nothing derives it."""

_LIMIT = 10_000
"""Lines that wait for a scribe that hangs; what comes then is lost, and counted."""

_log = logging.getLogger("pastepool")

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter


class _Line(NamedTuple):
    logger: logging.Logger
    record: logging.LogRecord
    written: threading.Event


class Scribe:
    """
    Writes lines on a thread of its own.

    All fields but ``_process`` and ``_behind`` are written under ``_changed``. Runs on: any thread, but for ``_run``.
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
        """A server begins to serve, in this process. Raises: NoThread."""
        if self._process != os.getpid():
            self.__init__()  # type: ignore[misc]  # what a parent had is not ours, its locks least (contract F2)
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
        """A server has ended: with the last one the scribe ends, once it has written what waits, or is left behind."""
        with self._changed:
            if not self._servers:
                return  # the one that ends did not come to begin
            self._servers -= 1
            if self._servers:
                return
            self._changed.notify_all()
            ended = self._ended
        ended.wait(patience)

    def write(self, logger: logging.Logger, record: logging.LogRecord) -> None:
        """Have a line written, now if no server serves. Returns when it is, or when that takes too long."""
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


def handle(logger: logging.Logger, record: logging.LogRecord) -> None:
    """Have the handlers write a line. Raises nothing: what a broken handler raises goes where such things go."""
    try:
        logger.handle(record)
    except Exception:
        if logging.raiseExceptions and sys.stderr is not None:
            sys.excepthook(*sys.exc_info())  # a handler of the application's own is broken


_scribe = Scribe()
"""One for all servers of a process, like ``logging`` itself."""

begin = _scribe.begin
end = _scribe.end


class Scribbled(_Adapter):
    """A logger whose lines the scribe writes."""

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """What all its other methods come to; ``exc_info`` is the only further argument there is."""
        logger = self.logger
        if not logger.isEnabledFor(level):
            return
        exc_info = kwargs.get("exc_info")
        if isinstance(exc_info, BaseException):
            exc_info = (type(exc_info), exc_info, exc_info.__traceback__)
        elif exc_info:
            exc_info = sys.exc_info()
        frame = sys._getframe(2)
        code = frame.f_code
        record = logger.makeRecord(
            logger.name, level, code.co_filename, frame.f_lineno, msg, args, exc_info or None, code.co_name
        )
        _scribe.write(logger, record)


def scribbled(name: str) -> Scribbled:
    """The logger of that name, for threads that must not wait."""
    return Scribbled(logging.getLogger(name), {})
