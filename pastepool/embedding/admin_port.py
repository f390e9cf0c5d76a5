"""The page of ``watch_threads`` on a port of its own, for a pool whose program does not mount it."""

from __future__ import annotations

from pastepool import __version__
from pastepool.core.addresses import is_within
from pastepool.embedding.applications import admin_application
from pastepool.pooling.hosted_pool import POOL_KEY
from pastepool.runtime.http.date_header import DateHeader
from pastepool.runtime.sockets.listener import Listener, open_all, url
from pastepool.runtime.system.clock import MonotonicClock
from pastepool.runtime.system.loggers import own_logger
from pastepool.runtime.system.standard_streams import errors_stream
from pastepool.runtime.system.threads import spawn_thread
from pastepool.runtime.watching.admin_listener import AdminListener
from pastepool.runtime.watching.paste_pool import PastePool
from pastepool.settings import Settings
from pastepool.types import Seconds
from pastepool.wsgi.environ import listener_prototype

_log = own_logger("pastepool")

_BACKLOG = 16
"""The kernel's backlog, as for the same listener of our server."""


class AdminPort:
    """
    The listener of one pool that runs, with the rules of access that it has in our server.

    ``open`` and ``close`` run on the thread that starts and stops the pool.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._listeners: tuple[Listener, ...] = ()
        self._admin: AdminListener | None = None

    def open(self) -> None:
        """Open the sockets. Raises: StartError: one of them cannot be opened."""
        self._listeners = open_all(self._settings.admin.listen, _BACKLOG)

    def serve(self, name: str, paste_pool: PastePool) -> None:
        """Serve the page of a pool. ``name``: of the pool, for the log. Raises: NoThread."""
        application = admin_application(self._settings.admin)
        if application is None:
            return
        allow_from, stamp = self._settings.admin.allow_from, DateHeader(self._settings.server_header)
        self._admin = AdminListener(
            application,
            stamp,
            MonotonicClock(),
            spawn_thread,
            admits=lambda address: is_within(address, allow_from),
        )
        self._admin.start([(each, _prototype(each, paste_pool)) for each in self._listeners])
        for each in self._listeners:
            _log.info("the threads of %s are shown on %s", name, url(each))

    def close(self, patience: Seconds) -> None:
        """Close everything. May be called in any state."""
        if self._admin is not None:
            self._admin.close(patience)
        for each in self._listeners:
            each.close()
        self._listeners = ()

    def in_child(self) -> None:
        """Close this process's copies: it is a child of the one that serves. Takes no lock."""
        if self._admin is not None:
            self._admin.in_child()
        for each in self._listeners:
            each.close()
        self._listeners, self._admin = (), None


def _prototype(listener: Listener, paste_pool: PastePool) -> dict[str, object]:
    endpoint = listener.endpoint
    return listener_prototype(
        scheme=endpoint.scheme,
        server_name=endpoint.server_name,
        server_port=endpoint.server_port,
        software=f"pastepool/{__version__}",
        errors=errors_stream(),
        extra={POOL_KEY: paste_pool},
    )
