"""
Write the lines of the parent on standard error, and keep them for the desk.

The parent must not wait for a log. So its lines do not go through ``logging``, whose handlers may block, but to standard
error, and only as much as it takes at once. What it does not take is lost, and counted.
"""

from __future__ import annotations

import os
import select
import sys
import time
from collections import deque
from collections.abc import Callable

from pastepool.runtime.family.birth import MAIL, NOTE
from pastepool.runtime.system.loggers import write_line

_UNSENT = 50
"""How many lines wait for a desk while there is none."""

_PIECE = 4096
"""A pipe that is ready takes so many bytes without blocking (PIPE_BUF of Linux)."""


class Teller:
    """
    Tells people what the parent does.

    ``lost``: how many lines could not be written. ``unsent``: what the desk was not told yet, the newest lines: a word and
    a text.
    """

    def __init__(self) -> None:
        self.lost = 0
        self.unsent: deque[tuple[str, str]] = deque(maxlen=_UNSENT)

    def info(self, text: str) -> None:
        """Tell what was to be expected."""
        self._write("INFO", text)

    def error(self, text: str, again: bool = False) -> None:
        """Tell what an operator should look at. The desk mails it, too. ``again``: not this time, as it has done so before."""
        self._write("ERROR", text, NOTE if again else MAIL)

    def warning(self, text: str) -> None:
        """Tell what an operator should know."""
        self._write("WARNING", text)

    def hand_over(self, send: Callable[[str, str], bool]) -> None:
        """Tell the desk what it was not told yet. ``send``: says whether a message is on its way; if not, the rest waits."""
        while self.unsent and send(*self.unsent[0]):
            self.unsent.popleft()

    def _write(self, level: str, text: str, word: str = NOTE) -> None:
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        line = f"{now} {level:7} [pastepool.parent] {text}"
        self.unsent.append((word, text))
        try:
            descriptor = sys.stderr.fileno()
        except (AttributeError, OSError, ValueError):
            write_line(sys.stderr, line)  # a file of paster's --log-file, which opens it when it writes
            return
        data = (line + "\n").encode("utf-8", "backslashreplace")
        for at in range(0, len(data), _PIECE):
            if not _takes(descriptor, data[at : at + _PIECE]):
                self.lost += 1
                return


def _takes(descriptor: int, data: bytes) -> bool:
    """Write to a descriptor if that does not block. Returns whether it was written."""
    try:
        ready = select.poll()
        ready.register(descriptor, select.POLLOUT)
        return bool(ready.poll(0)) and os.write(descriptor, data) == len(data)
    except OSError:
        return False  # the disk is full, or nobody reads the pipe
