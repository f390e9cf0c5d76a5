"""The rows of options of the pool: how many workers there are, and when a request hangs, is killed or given up."""

from __future__ import annotations

from pastepool.core.policy import PoolPolicy
from pastepool.errors import KILL_EXCEPTIONS
from pastepool.settings.option import Option
from pastepool.settings.parsing import Choice, Duration, Number, Text, Truth

_POOL = PoolPolicy()

MOST_WORKERS = 10000
"""Far above any pool that makes sense in one process, and below the number of threads that a process can have."""

ROWS: tuple[Option, ...] = (
    Option(
        names=("threadpool_workers",),
        parser=Number(1, MOST_WORKERS),
        default=_POOL.workers,
        unit="workers",
        field="pool.workers",
        since="0.1",
        doc="How many workers should be able to take a request at any time; hung workers do not count.",
        why="The same as in Paste. Enough for an application that waits for a database, and few enough that the"
        " workers seldom wait for the GIL.",
        group="Pool",
    ),
    Option(
        names=("threadpool_max_workers",),
        parser=Number(1, MOST_WORKERS),
        default=None,
        unit="workers",
        field="pool.max_workers",
        since="0.1",
        doc="The most worker threads that may exist at once, hung ones included.",
        why="Three whole pools may hang and a fourth still works. Paste has no cap, so its number of threads can grow"
        " without limit.",
        group="Pool",
        default_text="4 x threadpool_workers",
        example=str(_POOL.max_workers),
    ),
    Option(
        names=("threadpool_spawn_if_under",),
        parser=Number(0, MOST_WORKERS),
        default=_POOL.spawn_if_under,
        unit="workers",
        field="pool.spawn_if_under",
        since="0.1",
        doc="While requests wait, workers are added until this many are busy and not hung; 0 adds none.",
        why="The same as in Paste. If threadpool_workers is smaller, the default is lowered to it.",
        group="Pool",
    ),
    Option(
        names=("threadpool_hung_thread_limit",),
        parser=Duration(minimum=0.001),
        default=_POOL.hung_after,
        unit="seconds",
        field="pool.hung_after",
        since="0.1",
        doc="A worker that has been in the same application call for this long counts as hung and is reported with its"
        " stack.",
        why="The same as in Paste (contract P6). Hardly any user waits longer for a page.",
        group="Pool",
    ),
    Option(
        names=("threadpool_kill_thread_limit",),
        parser=Duration(),
        default=_POOL.kill_after,
        unit="seconds",
        field="pool.kill_after",
        since="0.1",
        doc="A worker that has been in the same application call for this long is killed and replaced; 0 never kills.",
        why="The same as in Paste (contract P7). Long enough for a slow report or a slow upload to finish.",
        group="Pool",
    ),
    Option(
        names=("threadpool_dying_limit", "threadpool_dying_thread_limit"),
        parser=Duration(),
        default=_POOL.dying_for,
        unit="seconds",
        field="pool.dying_for",
        since="0.1",
        doc="A killed worker that still lives after this long counts as a zombie.",
        why="The same as in Paste (contract P9). The application can clean up for a tenth of this time, half a minute;"
        " then the kill is repeated.",
        group="Pool",
    ),
    Option(
        names=("threadpool_max_zombie_threads_before_die", "threadpool_max_zombies_before_die"),
        parser=Number(0, MOST_WORKERS),
        default=_POOL.max_zombies,
        unit="workers",
        field="pool.max_zombies",
        since="0.1",
        doc="With more zombies than this the process ends with status 3, so that a process monitor starts it again;"
        " 0 never ends it. With processes it is replaced instead, and 1 is the default.",
        why="The same as in Paste (contract P10). Ending the process helps only if something starts it again.",
        group="Pool",
    ),
    Option(
        names=("threadpool_hung_check_period",),
        parser=Number(0, 10**9),
        default=_POOL.check_every,
        unit="requests",
        field="pool.check_every",
        since="0.1",
        doc="The supervisor looks at the workers once more after this many requests, at most four times a second. With"
        " 0 it looks only when time makes it necessary, and no hung worker is missed.",
        why="The same as in Paste (contract P7).",
        group="Pool",
    ),
    Option(
        names=("threadpool_max_requests",),
        parser=Number(0, 10**9),
        default=_POOL.max_requests,
        unit="requests",
        field="pool.max_requests",
        since="0.1",
        doc="A worker thread is replaced after about this many requests; 0 never replaces it.",
        why="Replacing a thread frees no memory that CPython would not free anyway, so Paste's 100 only costs time.",
        group="Pool",
    ),
    Option(
        names=("threadpool_idle_timeout",),
        parser=Duration(),
        default=_POOL.idle_for,
        unit="seconds",
        field="pool.idle_for",
        since="0.1",
        doc="Workers beyond threadpool_workers end when they have not been needed for this long.",
        why="The same time after which a worker counts as hung. With a shorter time, the pool would start and end"
        " threads at every short peak.",
        group="Pool",
    ),
    Option(
        names=("kill_unblocks_sockets",),
        parser=Truth(),
        default=_POOL.unblock_sockets,
        unit="",
        field="pool.unblock_sockets",
        since="0.1",
        doc="Whether a kill also shuts down the socket on which the worker waits, if it is not the client's: the socket"
        " to a database, for example.",
        why="Off, because other threads may use the same connection.",
        group="Pool",
    ),
    Option(
        names=("threadpool_kill_exception",),
        parser=Choice(tuple(KILL_EXCEPTIONS)),
        default=_POOL.kill_exception,
        unit="",
        field="pool.kill_exception",
        since="0.1",
        doc="What a kill raises in the application. With SystemExit it is a subclass of WorkerKilled and of SystemExit, for"
        " applications that clean up after a SystemExit. A C extension that cannot hand it on may then end the process:"
        " psycopg2 does so.",
        why="Nothing takes a WorkerKilled for the wish to end the process. Paste raises SystemExit (contract P8).",
        group="Pool",
    ),
    Option(
        names=("threadpool_kill_without_gil",),
        parser=Truth(),
        default=_POOL.kill_without_gil,
        unit="",
        field="pool.kill_without_gil",
        since="0.1",
        doc="Whether requests are killed even if Python runs without the GIL (a free-threaded build).",
        why="Off, because a request that is killed there may leave a lock taken for ever, and then others hang too. See"
        " the page on free-threaded Python.",
        group="Pool",
    ),
    Option(
        names=("threadpool_logger",),
        parser=Text(),
        default="paste.httpserver.ThreadPool",
        unit="",
        field="logger",
        since="0.1",
        doc="The name of the logger to which the pool writes.",
        why="The same as in Paste, because the [loggers] sections of existing files have this name.",
        group="Pool",
    ),
    Option(
        names=("use_threadpool",),
        parser=Truth(),
        default=True,
        unit="",
        field="",
        since="0.1",
        doc="Accepted, because Paste's files have it. The pool is used with false too, and a line in the log says so.",
        why="Without a pool, each request has its own thread, and the number of threads has no limit.",
        group="Pool",
    ),
    Option(
        names=("daemon_threads",),
        parser=Truth(),
        default=None,
        unit="",
        field="",
        since="0.1",
        doc="Accepted, because Paste's files have it, but without effect, and a line in the log says so.",
        why="shutdown_timeout limits the exit: no thread of the pool keeps the process alive longer, daemon or not.",
        group="Pool",
        default_text="not set",
        example="true",
    ),
)
