"""
What takes the place of standard input, output and error where the process was started without them.

A daemon may be started with these descriptors closed (``<&- >&- 2>&-``). The system gives the lowest free number to the
next file or socket that is opened. So a listener would become standard output, and what a C library or a child process
writes to standard error would go to a client.

Runs on: the thread that serves, before it opens anything; ``LoggedErrors`` on any thread.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from typing import Any

from pastepool.runtime.system.loggers import own_logger

_log = own_logger("pastepool.app")

_LAST_STANDARD = 2


def fill_closed_descriptors() -> None:
    """
    Open the null device under each of the descriptors 0, 1 and 2 that is closed.

    Child processes inherit them, as they inherit standard streams.
    """
    while True:
        descriptor = os.open(os.devnull, os.O_RDWR)
        if descriptor > _LAST_STANDARD:
            os.close(descriptor)
            return
        os.set_inheritable(descriptor, True)


def flush_standard_streams() -> None:
    """Write what is in the buffers of standard output and error. A forked child would otherwise write it once more."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # the stream is closed, or None, or the disk is full
            stream.flush()


def errors_stream() -> Any:
    """Return the stream for ``wsgi.errors``: standard error, or a stream into the log if the process has none."""
    stream = sys.stderr
    return LoggedErrors() if stream is None or getattr(stream, "closed", False) else stream


class LoggedErrors:
    """
    A stream for ``wsgi.errors`` whose lines go to the logger ``pastepool.app`` (PEP 3333, "Input and Error Streams").
    """

    def write(self, text: str) -> int:
        """Log each line of a text. An empty line is left out: ``print`` writes the line's end by itself."""
        for line in text.splitlines():
            if line.strip():
                _log.error("wsgi.errors: %s", line)
        return len(text)

    def writelines(self, texts: Iterable[str]) -> None:
        """Log each text."""
        for text in texts:
            self.write(text)

    def flush(self) -> None:
        """Do nothing: each line is logged at once."""
