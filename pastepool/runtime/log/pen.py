"""
Write log lines of workers. They are too many for the scribe, so a worker writes its own line, unless another worker is
writing.

One lock, the pen, decides who writes. A worker puts its line into a queue and tries to take the pen. If it gets the
pen, it writes what is in the queue. If another worker has the pen, that worker writes the line. So a handler that hangs
holds one worker, and that worker counts as hung. It does not hold all workers one after the other.

No line stays in the queue without a writer:
1. a worker puts its line into the queue, and then tries to take the pen;
2. the worker that has the pen releases it, and then looks whether the queue has a line.
Whichever of the two happens second finds the line and a free pen.
"""

from __future__ import annotations

import logging
import threading
from collections import deque

from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.system.loggers import handle, is_wanted

_LIMIT = 10_000
"""Lines that may wait in the queue while a handler hangs. Further lines are lost, and counted."""

_MOST_AT_ONCE = 200
"""Lines that a worker writes before it releases the pen, so that another worker can go on with the rest."""

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
        self._counting = threading.Lock()

    def info(self, message: str, *args: object) -> None:
        """Log a line: at once, or as soon as the worker that has the pen comes to it."""
        logger = self._logger
        if not is_wanted(logger, logging.INFO):
            return
        left = self._left
        if len(left) >= _LIMIT:
            with self._counting:
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
        with self._counting:
            lost, self._lost = self._lost, 0
        _log.error("%d lines of %s are lost: one of its handlers did not return for too long", lost, self._logger.name)
