"""
``pastepool.WorkerPool``: the pool for the program of somebody else, with its page on a port of its own if it has
``admin_listen``.
"""

from __future__ import annotations

from pastepool.embedding.admin_port import AdminPort
from pastepool.errors import NoThread, StartError
from pastepool.pooling.hosted_pool import HostedPool
from pastepool.runtime.system.loggers import own_logger
from pastepool.types import Seconds

_log = own_logger("pastepool")

_CLOSE_FOR: Seconds = 0.5
"""How long to wait for the thread that accepts on that port. It needs a millisecond."""


class WorkerPool(HostedPool):
    """
    A pool of threads that outlives work that hangs (``HostedPool``), and shows itself on ``admin_listen``.

    Its arguments are those of ``HostedPool``. The page is there from ``start`` to the end of ``stop``. In a child of a fork
    the port is the parent's.
    """

    _port: AdminPort | None = None
    _parent_has_port = False

    def start(self) -> None:
        """
        Start the workers, the supervisor and the page, in the process that will serve. A second call does nothing.

        Raises: StartError: the system has no thread left, or the port of ``admin_listen`` cannot be opened.
        """
        if self._port is not None or not self.settings.admin.listen:
            super().start()
            return
        port = AdminPort(self.settings)
        try:
            port.open()
        except StartError:
            if not self._parent_has_port:
                raise
            _log.warning("the threads of %s are not shown in this process, a fork: its parent has the port", self.name)
        self._port = port
        try:
            super().start()
            port.serve(self.name, self.paste_pool)
        except NoThread as error:
            self.stop(0)
            raise StartError(f"The page of {self.name} cannot be served: {error}.") from error
        self._parts.sampler.watched(for_ever=True)

    def stop(self, timeout: Seconds | None = 5.0) -> bool:
        """Stop as ``HostedPool`` does; the page is there until the end."""
        try:
            return super().stop(timeout)
        finally:
            port, self._port = self._port, None
            if port is not None:
                port.close(_CLOSE_FOR)

    def in_child(self) -> None:
        """Give up everything that belongs to the parent process (``forks.Forked``)."""
        port, self._port = self._port, None
        super().in_child()
        if port is not None:
            self._parent_has_port = True
            port.in_child()
