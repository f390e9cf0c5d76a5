"""
Lines of workers, which are too many for the scribe: a worker writes its own, unless somebody else is writing.

There is one pen. Who finds it lying there writes; who finds it gone leaves the line, and whoever has the pen writes that
too. So a handler that hangs holds one worker, which is hung like any other, and not all of them one after the other.

Against leaving a line behind: (1) we leave it, then try for the pen; (2) whoever has the pen puts it down, then looks
whether a line was left. Whichever comes second writes it.
"""

from __future__ import annotations

import logging
import threading
from collections import deque

from pastepool.runtime.log.scribe import handle, scribbled

_LIMIT = 10_000
"""Lines that are left for a pen that does not come back; what comes then is lost, and counted."""

_MOST_AT_ONCE = 200
"""Lines one worker writes before it looks after its own business again. Nothing derives it."""

_log = scribbled("pastepool")


class Pen:
    """
    Writes lines to one logger, in the order they came.

    Runs on: workers.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._left: deque[logging.LogRecord] = deque()
        self._pen = threading.Lock()
        self._lost = 0

    def info(self, message: str, *args: object) -> None:
        """Log a line, now or soon."""
        logger = self._logger
        if not logger.isEnabledFor(logging.INFO):
            return
        left = self._left
        if len(left) >= _LIMIT:
            self._lost += 1
            return
        left.append(logger.makeRecord(logger.name, logging.INFO, __file__, 0, message, args, None, "info"))
        while left and self._pen.acquire(blocking=False):
            try:
                self._write_some()
            finally:
                self._pen.release()
            if self._lost:
                self._tell_lost()

    def _write_some(self) -> None:
        left = self._left
        for _ in range(min(len(left), _MOST_AT_ONCE)):
            handle(self._logger, left.popleft())

    def _tell_lost(self) -> None:
        lost, self._lost = self._lost, 0
        _log.error("%d lines of %s are lost: one of its handlers did not return for too long", lost, self._logger.name)
