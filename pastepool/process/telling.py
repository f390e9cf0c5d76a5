"""
Tell people what the parent does: lines on standard error, the start lines on standard output.

The parent must not wait for a log. So its lines do not go through ``logging``, whose handlers may block, but to standard
error, and only as much as it takes at once. What it does not take is lost, and counted.
"""

from __future__ import annotations

import os
import select
import sys
import time
from collections import deque

from pastepool import __version__
from pastepool.core.generations.child import Child
from pastepool.core.wording import counted
from pastepool.runtime.family.birth import MAIL, NOTE
from pastepool.runtime.family.offer import Offer
from pastepool.runtime.sockets.listener import url
from pastepool.runtime.system.loggers import write_line

_UNSENT = 50
"""How many lines wait for a desk while there is none."""

_PIECE = 4096
"""A pipe that is ready takes so many bytes without blocking (PIPE_BUF of Linux)."""


class Teller:
    """
    Writes the lines of the parent.

    ``lost``: how many could not be written. ``unsent``: what the desk was not told yet, the newest lines: a word and a
    text.
    """

    def __init__(self) -> None:
        self.lost = 0
        self.unsent: deque[tuple[str, str]] = deque(maxlen=_UNSENT)

    def info(self, text: str) -> None:
        """Tell what was to be expected."""
        self._write("INFO", text)

    def error(self, text: str) -> None:
        """Tell what an operator should look at. The desk mails it, too."""
        self._write("ERROR", text)

    def warning(self, text: str) -> None:
        """Tell what an operator should know."""
        self._write("WARNING", text)

    def _write(self, level: str, text: str) -> None:
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        line = f"{now} {level:7} [pastepool.parent] {text}"
        self.unsent.append((MAIL if level == "ERROR" else NOTE, text))
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


def name_of(child: Child, pid: int) -> str:
    """Name a worker process in a line of the log."""
    return f"worker process {child.slot} ({f'pid {pid}, ' if pid else ''}generation {child.generation})"


def announce_processes(tell: Teller, given: Offer) -> None:
    """Write the start lines: where the server listens, and how many processes and workers it has."""
    settings = given.settings
    for note in settings.notes:
        tell.warning(note)
    source = f"{settings.config_file} [{settings.section}]" if settings.config_file else "a program"
    lines = [f"serving on {url(listener)}" for listener in given.sockets]
    number = settings.processes.processes
    processes = "1 process" if number == 1 else f"{number} processes"
    lines.append(f"pastepool {__version__}: {processes} x {counted(settings.pool.workers, 'worker')}")
    lines += [f"threads of all processes are shown on {url(listener)} (desk)" for listener in given.admin_sockets]
    lines.append(f"settings from {source}; parent pid {os.getpid()}, SIGTERM stops, SIGHUP loads new code")
    write_line(sys.stdout, "\n".join(lines))


def announce_changes(tell: Teller, before: Offer, given: Offer) -> None:
    """Tell what a reload has changed of where the server listens, and the notes about settings that are new."""
    for note in given.settings.notes:
        if note not in before.settings.notes:
            tell.warning(note)
    was = [url(listener) for listener in (*before.sockets, *before.admin_sockets)]
    now = [url(listener) for listener in (*given.sockets, *given.admin_sockets)]
    if new := [place for place in now if place not in was]:
        tell.info(f"serving on {', '.join(new)} too")
    if old := [place for place in was if place not in now]:
        tell.info(f"serving on {', '.join(old)} no more")


def ended_with(status: int) -> str:
    """Say how a process has ended. ``status``: as ``os.waitpid`` returns it."""
    if os.WIFSIGNALED(status):
        return f"was killed by signal {os.WTERMSIG(status)}"
    return f"ended with status {os.WEXITSTATUS(status)}"
