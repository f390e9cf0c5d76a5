"""The rows of options of worker processes."""

from __future__ import annotations

from pastepool.core.policy import ProcessPolicy
from pastepool.settings.option import Option
from pastepool.settings.parsing import Choice, Duration, Function, Number, Size, Text, Truth

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
    Option(
        names=("deadlock_timeout",),
        parser=Duration(),
        default=_PROCESSES.deadlock,
        unit="seconds",
        field="processes.deadlock",
        since="0.2",
        doc="A process in which no Python code runs for so long, because one call keeps the lock of the interpreter, is"
        " replaced, and killed when its replacement serves. After 5 seconds its stacks are in the log. 0 never does"
        " so.",
        why="Some calls in C take seconds and then return.",
        group="Processes",
    ),
    Option(
        names=("maximum_requests",),
        parser=Number(0, 10**12),
        default=_PROCESSES.max_requests,
        unit="requests",
        field="processes.max_requests",
        since="0.2",
        doc="A process is replaced after so many requests, or up to a tenth more, which is different for each; 0 for"
        " no limit. Its replacement serves first, and never two leave at once.",
        why="Most applications need no replacement.",
        group="Processes",
    ),
    Option(
        names=("restart_interval",),
        parser=Duration(),
        default=_PROCESSES.restart_every,
        unit="seconds",
        field="processes.restart_every",
        since="0.2",
        doc="A process is replaced when it has served for so long; 0 for no limit.",
        why="Most applications need no replacement.",
        group="Processes",
    ),
    Option(
        names=("inactivity_timeout",),
        parser=Duration(),
        default=_PROCESSES.inactive,
        unit="seconds",
        field="processes.inactive",
        since="0.2",
        doc="A process is replaced when it has had no request for so long, which gives its memory back; 0 for no limit.",
        why="The next client would find cold caches.",
        group="Processes",
    ),
    Option(
        names=("memory_limit",),
        parser=Size(0, 2**50),
        default=_PROCESSES.max_memory,
        unit="bytes",
        field="processes.max_memory",
        since="0.2",
        doc="A process is replaced when its resident memory was larger at two measurements, ten seconds apart; 0 for no"
        " limit. Linux only.",
        why="How much is too much depends on the machine.",
        group="Processes",
    ),
    Option(
        names=("preload",),
        parser=Truth(),
        default=_PROCESSES.preload,
        unit="",
        field="processes.preload",
        since="0.2",
        doc="One process of each generation loads the application and forks the others, which share its memory. An"
        " application that starts threads while it is loaded cannot be forked: the log names them, and each process"
        " loads it for itself. Connections that are opened while it is loaded would be shared. Linux only.",
        why="Not every application can be forked.",
        group="Processes",
    ),
    Option(
        names=("after_fork",),
        parser=Function(),
        default="",
        unit="",
        field="after_fork",
        since="0.2",
        doc="A function that is called without arguments in each process when the application is loaded, and with preload"
        " after the fork, before it serves: it may open what processes cannot share, and start threads. Without"
        " processes it is called too.",
        why="Most applications open their connections when they are needed.",
        group="Processes",
        default_text="nothing is called",
        example="shop.start:open_database",
    ),
    Option(
        names=("display_name",),
        parser=Text(),
        default="",
        unit="",
        field="display_name",
        since="0.2",
        doc="What names the server in the titles of its processes, between pastepool: and the role. The titles need the"
        " package setproctitle; without it Linux shows 15 characters without this name.",
        why="The name of the file tells most servers apart.",
        group="Processes",
        default_text="the name of the file and of the section",
        example="shop",
    ),
)
