"""Tell people how a server is: the start lines, its status, and the threads that did not stop."""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from types import FrameType

from pastepool import __version__
from pastepool._fast import fast
from pastepool.core.interpreter import runs_without_gil
from pastepool.core.policy import PoolPolicy, Timeouts
from pastepool.core.states import Status, classify
from pastepool.core.wording import counted
from pastepool.runtime.http.open_connections import OpenConnections
from pastepool.runtime.inspection.stacks import frame_of, stack_lines, stack_of
from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.pool.baton import Baton
from pastepool.runtime.pool.pool import Pool
from pastepool.runtime.sockets.listener import Listener, url
from pastepool.runtime.system.loggers import write_line
from pastepool.settings.values import Settings
from pastepool.types import Clock, Seconds

_log = scribbled("pastepool")


def announce(
    settings: Settings,
    listeners: Sequence[Listener],
    admin_listeners: Sequence[Listener],
    fewer_connections: int,
    files: int,
) -> None:
    """
    Write the start lines to standard output. The first line is ``serving on ...``: scripts look for it since Paste.

    ``fewer_connections``: how many connections there may be if that is less than the operator allows, because the
    process may open only ``files`` files; 0 otherwise.
    """
    policy = settings.pool
    source = f"{settings.config_file} [{settings.section}]" if settings.config_file else "a program"
    kills = policy.kill_after and (policy.kill_without_gil or not runs_without_gil())
    killing = f"killed after {policy.kill_after:g} s" if kills else "never killed"
    language = "" if fast.LANGUAGE == "C" else f" ({fast.LANGUAGE})"
    lines = [f"serving on {url(listener)}" for listener in listeners]
    lines.append(
        f"pastepool {__version__}{language}: {policy.workers} workers, at most {policy.max_workers}; "
        f"requests are hung after {policy.hung_after:g} s, {killing}"
    )
    if fewer_connections:
        lines.append(
            f"at most {counted(fewer_connections, 'connection')}, because this process may open {files} files "
            "(ulimit -n, LimitNOFILE=)"
        )
    lines += [f"threads are shown on {url(listener)}" for listener in admin_listeners]
    lines.append(f"settings from {source}; pid {os.getpid()}, Ctrl+C or SIGTERM stops")
    write_line(sys.stdout, "\n".join(lines))


def status_line(pool: Pool, policy: PoolPolicy, clock: Clock) -> str:
    """Say in a few words how the workers are."""
    now = clock.now()
    counts = Counter(classify(record, now, policy) for record in pool.records())
    others = [f"{count} {status.value}" for status, count in counts.items() if status is not Status.IDLE]
    return ", ".join([counted(counts.total(), "worker"), *sorted(others)])


def tell_stopping(
    pool: Pool, baton: Baton, connections: OpenConnections, timeouts: Timeouts, ends_at_once: str
) -> None:
    """
    Log that a drain begins, and for what: requests that run or wait, clients that send a request or read a response, and
    connections on which a request may be on its way.

    ``ends_at_once``: what cuts the drain short; empty if nothing does. Runs on: baton.
    """
    running = sum(worker.task is not None for worker in list(pool.workers.values()))
    waiting, clients = len(baton.backlog), connections.count_transfers()
    doing = [f"{counted(running, 'request')} {'runs' if running == 1 else 'run'}"] if running else []
    if waiting:
        doing.append(f"{waiting} {'waits' if waiting == 1 else 'wait'}")
    if clients:
        doing.append(f"{counted(clients, 'client')} {'sends or reads' if clients == 1 else 'send or read'}")
    idle = connections.count_idle()
    kept = f"{counted(idle, 'idle connection')} {'is' if idle == 1 else 'are'} kept for up to {timeouts.idle_grace:g} s"
    end = (f"; {kept}" if idle else "") + (f"; {ends_at_once} ends at once" if ends_at_once else "")
    if doing:
        _log.info("stopping: %s, up to %s", ", ".join(doing), f"{timeouts.shutdown:g} s{end}")
    else:
        _log.info("stopping: no request runs%s", end)


def tell_exit(where: str, stack: Sequence[str], status: int) -> None:
    """
    Log that the interpreter exits although the server was not told to stop.

    ``where``: which request or thread ended it. ``stack``: what ran there, as lines.
    """
    _log.critical(
        "%s ended the interpreter, and the server was not told to stop. C code does so with Py_Exit, or where it prints a "
        "SystemExit that it cannot hand on (PyErr_Print). The other requests are finished; then the process ends with "
        "status %d\n%s",
        where,
        status,
        "\n".join(stack),
    )


def lines_of(frame: FrameType | None) -> list[str]:
    """Return a stack as lines of text, innermost call last; a line that says so if no Python runs there."""
    return list(stack_lines(stack_of(frame))) or ["  (no Python runs there)"]


def tell_what_is_waited_for(patience: Seconds) -> None:
    """
    Log the threads for which the interpreter waits at its exit, if there are any. ``patience``: for how long, at most.
    """
    waited_for = [
        thread.name
        for thread in threading.enumerate()
        if not thread.daemon and thread not in (threading.main_thread(), threading.current_thread())
    ]
    if waited_for:
        _log.info(
            "stopping: waiting up to %.0f s for %s of the application: %s",
            patience,
            counted(len(waited_for), "thread"),
            ", ".join(waited_for),
        )


def tell_what_keeps_the_process(main_thread_too: bool) -> None:
    """
    Log each thread that keeps the interpreter from ending.

    ``main_thread_too``: whether the main thread should have ended as well, and is logged if it has not.
    """
    for thread in threading.enumerate():
        if not thread.daemon and (main_thread_too or thread is not threading.main_thread()):
            _log.error("%s keeps the process from ending\n%s", thread.name, _stack_of(thread.ident))


def _stack_of(ident: int | None) -> str:
    return "\n".join(stack_lines(stack_of(frame_of(ident or 0))))
