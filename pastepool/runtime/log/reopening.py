"""
Open the files of log handlers again, because they were moved away (logrotate) or deleted.

A handler that was told to write to a path goes on writing to the file that had the path when it opened it. This module
knows the handlers of the standard library: ``logging.FileHandler`` and what is made of it. A handler that is no
FileHandler but has a method ``reopenIfNeeded``, as ``WatchedFileHandler`` has, is asked to do it itself.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import IO


def reopen_log_files() -> tuple[list[str], list[str]]:
    """
    Open each log file again whose path is now that of another file, or of none.

    A file that is still in its place is left alone: to open it again could empty it.

    Returns: the paths that were opened, and a sentence for each that could not be. Runs on: any thread that may wait for
    a log handler.
    """
    opened: list[str] = []
    failed: list[str] = []
    for handler in _handlers():
        handler.acquire()
        try:
            path = _reopen(handler)
        except OSError as error:
            failed.append(f"{getattr(handler, 'baseFilename', handler)} cannot be opened: {error.strerror or error}")
        else:
            if path:
                opened.append(path)
        finally:
            handler.release()
    return opened, failed


def _handlers() -> Iterator[logging.Handler]:
    """Return every handler of the process, also those that only another handler or a thread writes to."""
    for reference in list(logging._handlerList):  # type: ignore[attr-defined]
        handler = reference()
        if isinstance(handler, logging.Handler):
            yield handler


def _reopen(handler: logging.Handler) -> str:
    """Open one handler's file again if that is needed. Returns its path if so, or an empty text. Raises: OSError."""
    before = getattr(handler, "stream", None)
    reopen = getattr(handler, "reopenIfNeeded", None)
    if reopen is not None:
        reopen()
    elif before is not None and isinstance(handler, logging.FileHandler) and _was_moved(handler.baseFilename, before):
        handler.setStream(handler._open())
        before.close()
    if getattr(handler, "stream", None) is before:
        return ""
    return str(getattr(handler, "baseFilename", handler))


def _was_moved(path: str, stream: IO[str]) -> bool:
    """Say whether a path now names another file than the open one, or none."""
    try:
        return not os.path.samestat(os.stat(path), os.fstat(stream.fileno()))
    except FileNotFoundError:
        return True
