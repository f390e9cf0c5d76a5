"""The rows of options of worker processes."""

from __future__ import annotations

from pastepool.core.policy import ProcessPolicy
from pastepool.settings.option import Option
from pastepool.settings.parsing import Choice, Duration, Number

MOST_PROCESSES = 1000

_PROCESSES = ProcessPolicy()

ROWS: tuple[Option, ...] = (
    Option(
        names=("processes",),
        parser=Number(0, MOST_PROCESSES),
        default=_PROCESSES.processes,
        unit="processes",
        field="processes.processes",
        since="0.2",
        doc="How many processes serve, each with a pool of its own. A parent process that runs no code of the"
        " application starts them, replaces them and reloads them. 0: the command's own process serves, without a"
        " parent. The other options count for each process.",
        why="One process needs the least memory, and every application works in it.",
        group="Processes",
        example="2",
    ),
    Option(
        names=("startup_timeout",),
        parser=Duration(),
        default=_PROCESSES.startup,
        unit="seconds",
        field="processes.startup",
        since="0.2",
        doc="How long a new process may take to load the application. Then it is killed, and counts as one that failed;"
        " 0 waits for ever.",
        why="Large applications load in some seconds, also on a busy machine.",
        group="Processes",
    ),
    Option(
        names=("graceful_timeout",),
        parser=Duration(),
        default=_PROCESSES.drain,
        unit="seconds",
        field="processes.drain",
        since="0.2",
        doc="How long a process that is replaced may take to finish its requests. Its replacement serves by then. The"
        " end of the whole server is bounded by shutdown_timeout. Without processes it means shutdown_timeout, as"
        " gunicorn's option of this name.",
        why="Nobody waits for the old process, so it may have longer than the stop of the server.",
        group="Processes",
    ),
    Option(
        names=("start_failure",),
        parser=Choice(("retry", "exit")),
        default=_PROCESSES.start_failure,
        unit="",
        field="processes.start_failure",
        since="0.2",
        doc="What happens if the application cannot be loaded when the server starts: retry tries again after 1, 2, 4"
        " and up to 30 seconds, in a new process each time; exit ends the server with status 3.",
        why="On a terminal somebody reads the error. Elsewhere a database may only be late.",
        group="Processes",
        default_text="exit if started from a terminal, else retry",
        example="retry",
    ),
)
