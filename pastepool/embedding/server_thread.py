"""
``pastepool.ServerThread``: our server in a thread of its own, inside of a program that has other work to do.

A server serves once. It handles no signals here: they are the program's, which calls ``stop``.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from pastepool.core.states import Phase
from pastepool.embedding.applications import admin_application, check_application
from pastepool.embedding.sources import source_of
from pastepool.errors import StartError
from pastepool.runtime.sockets.listener import Listener
from pastepool.runtime.system.forced_exit import end_process
from pastepool.runtime.system.loggers import own_logger
from pastepool.runtime.system.threads import spawn_thread, spawner_on
from pastepool.server import Server
from pastepool.settings import Settings
from pastepool.types import Seconds

_log = own_logger("pastepool")

SPARE_THREADS = 3
"""
How many threads the pool of another framework must have beside our workers, for its own work such as to look up names.
The number is a choice.
"""

_EXIT_FUNCTIONS_FOR: Seconds = 3.0
"""How long the exit functions of a program may take whose process is ended. As where a server ends its own."""


class ServerThread:
    """
    A server for a program with other work. It may be made before a fork; ``start`` runs in the process that serves.

    ``settings``: the effective options. ``on_end``: called once when the server has ended, with None, or with what ended
    it too early. Runs on: the server's thread, as its last act.
    """

    def __init__(
        self,
        config: str | os.PathLike[str] | Mapping[str, object],
        application: Callable[..., Any] | None = None,
        *,
        server: str = "main",
        app: str = "main",
        variables: Mapping[str, str] = MappingProxyType({}),
        on_end: Callable[[BaseException | None], object] = lambda error: None,
    ) -> None:
        """
        Read and check what to serve. Nothing is opened, and no thread is started.

        Args:
            config: the path of an INI file, or options as in its section of the server.
            application: the application. None: that of the file, which is loaded by ``start``.
            server, app: the names of the sections [server:NAME] and [app:NAME] of the file.
            variables: as on the command line of ``paster serve``.
            on_end: see above.

        Raises: SettingsError: the operator must change the file, or the program its options.
        """
        self.settings: Settings
        self.settings, self._load = source_of(config, application, server, app, variables)
        self._on_end = on_end
        self._lock = threading.Lock()
        self._server: Server | None = None
        self._ended = threading.Event()
        self._error: BaseException | None = None

    def start(self, call_in_thread: Callable[[Callable[[], None]], object] | None = None, threads: int = 0) -> None:
        """
        Load the application, and serve. Returns when requests are taken.

        Args:
            call_in_thread: gives a function to the pool of another framework. The workers then are calls there, each for
                as long as the worker lives. None: each worker has a thread of its own, which is better: a request that
                no kill reaches keeps a thread of the framework for good.
            threads: how many threads that pool may have.

        Raises: StartError: a socket or a thread cannot be had, or that pool is too small. SettingsError: there is no WSGI
            application. RuntimeError: it was started before: a server serves once.
        """
        with self._lock:
            if self._server is not None:
                raise RuntimeError("This server was started already, and a server serves once; make another one.")
            self._check_threads(call_in_thread is not None, threads)
            application = self._load()
            check_application(application, self.settings.config_file)
            admin = admin_application(self.settings.admin)
            spawn = spawn_thread if call_in_thread is None else spawner_on(call_in_thread)
            server = Server(self.settings, application, admin, spawn=spawn)
            server.bind()
            try:
                threading.Thread(target=self._serve, args=(server,), name="pastepool server").start()
            except RuntimeError as error:
                server.stop()
                server.serve()  # of a server that was stopped, it only closes the sockets
                raise StartError(f"The thread of the server cannot be started: {error}.") from error
            self._server = server
        server.ready.wait()
        if self._error is not None:
            raise self._error

    def _check_threads(self, on_theirs: bool, threads: int) -> None:
        most = self.settings.pool.max_workers
        needed = most + SPARE_THREADS
        if on_theirs and threads < needed:
            raise StartError(
                f"The pool of the host may have {threads} threads, and {needed} are needed: {most} for the workers"
                f" (threadpool_max_workers) and {SPARE_THREADS} for its other work. Let it have {needed}, or lower"
                " threadpool_max_workers."
            )

    def _serve(self, server: Server) -> None:
        error: BaseException | None = None
        try:
            server.serve()
        except BaseException as raised:  # the program is told of whatever ends its server
            error = raised
        if not server.ready.is_set():
            self._error = error
            server.ready.set()  # ``start`` waits for it
        elif error is not None:
            _log.critical("the server has ended because of an error", exc_info=error)
        self._ended.set()
        self._on_end(error)

    def stop(self) -> None:
        """
        Begin the drain, and return. The server ends within ``shutdown_timeout`` and a second. May be called often.

        Runs on: any thread, also in a signal handler.
        """
        if self._server is not None:
            self._server.stop()

    def wait(self, timeout: Seconds | None = None) -> bool:
        """Wait until the server has ended, for at most ``timeout`` seconds. Returns whether it has."""
        return self._server is None or self._ended.wait(timeout)

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Return what it listens on; nothing before ``start``."""
        return () if self._server is None else self._server.listeners

    @property
    def left_threads(self) -> list[threading.Thread]:
        """Return the threads in which a request still runs after the end, because no kill reached it."""
        workers = [] if self._server is None else list(self._server.parts.pool.workers.values())
        return [worker.thread for worker in workers if worker.ident and worker.phase is not Phase.GONE]

    def end_process_after(self, patience: Seconds) -> None:
        """
        End the process in so many seconds with status 1, unless it has ended before.

        For a program that ends although ``left_threads`` has threads which are not ours: Python waits for these.
        """

        def end() -> None:
            threading.Event().wait(patience)
            end_process(1, _EXIT_FUNCTIONS_FOR)

        spawn_thread(end, "pastepool end")
