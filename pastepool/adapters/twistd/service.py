"""
``Service``: our server in a program of Twisted, and the end of it in Twisted's order.

Nothing of the server runs in the reactor. It serves in a thread of its own, which ``startService`` starts after
``twistd`` has become a daemon.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from typing import Any

from twisted.application import service
from twisted.internet.defer import Deferred, succeed
from twisted.python import log

from pastepool import ServerThread

_EXIT_WITHIN = 2.0
"""
How many seconds a process may take to end after the drain, if a thread of the reactor hangs in it. Ends in order need
milliseconds.
"""


class Service(service.Service):
    """
    Our server as a service of Twisted (``IService``).

    ``server``: the ``ServerThread`` below it. ``reactor``: Twisted's own if None. ``on_reactor_threads``: the workers are
    calls on the threads of the reactor (contract F4); by itself each worker has a thread of its own, which is better.
    A server serves once, so a service can be started once.
    """

    def __init__(
        self,
        config: Any,
        application: Callable[..., Any] | None = None,
        *,
        reactor: Any = None,
        on_reactor_threads: bool = False,
        **where: Any,
    ) -> None:
        """
        Read and check what to serve. Nothing is opened, and no thread is started.

        ``config``, ``application``, ``where``: as for ``ServerThread``. Raises: SettingsError.
        """
        if reactor is None:
            reactor = importlib.import_module("twisted.internet.reactor")  # the first import installs it
        self.server = ServerThread(config, application, on_end=self._ended, **where)
        self._reactor = reactor
        self._on_reactor_threads = on_reactor_threads
        self._over: Deferred[None] = Deferred()
        self._started = False
        self._stopping = False
        self._process_ends = False

    def startService(self) -> None:
        """
        Load the application, and serve. Returns when requests are taken.

        Raises: StartError: a port is taken, or the reactor may have too few threads. RuntimeError: it was started before.
        """
        if self._started:
            raise RuntimeError("This service was started already, and a server serves once; make another Service.")
        if self._on_reactor_threads:
            self._reactor.addSystemEventTrigger("before", "shutdown", self._reactor_ends)
            self.server.start(self._reactor.callInThread, self._reactor.getThreadPool().max)
        else:
            self.server.start()
        self._started = True
        super().startService()

    def stopService(self) -> Deferred[None]:
        """Begin the drain. Returns when it is over: after the last response, or at ``shutdown_timeout``."""
        super().stopService()
        self._stopping = True
        if not self._started:
            return succeed(None)
        self.server.stop()
        return self._over

    def died(self, error: BaseException | None) -> None:
        """The server has ended without ``stopService``. Runs on: the reactor."""
        log.err(error or RuntimeError("It was stopped."), "The server of pastepool has ended")

    def _ended(self, error: BaseException | None) -> None:
        """Runs on: the server's thread."""
        self._reactor.callFromThread(self._tell_end, error)

    def _tell_end(self, error: BaseException | None) -> None:
        if self._on_reactor_threads:
            self._let_go()
        if not self._stopping:
            self.died(error)
        self._over.callback(None)

    def _reactor_ends(self) -> None:
        self._process_ends = True

    def _let_go(self) -> None:
        """Have nobody wait for the threads of the reactor in which a request runs that no kill reaches."""
        left: list[threading.Thread] = self.server.left_threads
        pool = self._reactor.getThreadPool()
        for thread in left:
            if thread in pool.threads:
                pool.threads.remove(thread)
        if left and self._process_ends:
            self.server.end_process_after(_EXIT_WITHIN)
