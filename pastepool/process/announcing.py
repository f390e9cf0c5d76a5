"""Tell where several processes serve: the start lines on standard output, and what a reload has changed of them."""

from __future__ import annotations

import os
import sys

from pastepool import __version__
from pastepool.core.wording import counted
from pastepool.runtime.family.offer import Offer
from pastepool.runtime.family.teller import Teller
from pastepool.runtime.sockets.listener import url
from pastepool.runtime.system.loggers import write_line


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
