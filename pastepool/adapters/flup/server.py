"""Make a server class of flup like another one, but on our pool. Names in this module are flup's."""

from __future__ import annotations

import io
import socket
import threading
from typing import Any

from pastepool.adapters.flup.threadpool import ThreadPool
from pastepool.adapters.sockets import hang_up
from pastepool.errors import StartError, WorkerKilled


def on_our_pool(server_class: type[Any]) -> type[Any]:
    """
    Return a class like one of flup's threaded ``WSGIServer`` classes, on our pool.

    Its constructor takes flup's arguments, ``shutdown_timeout`` and the options of ``WorkerPool``.
    """
    return type(server_class.__name__, (_OnOurPool, server_class), {})


class _OnOurPool:
    """What is put before a server class of flup."""

    _bindAddress: Any
    _keepGoing: bool
    _jobClass: Any

    def __init__(self, application: Any, *args: Any, **kwargs: Any) -> None:
        theirs = _arguments_of(type(self).__mro__[2])
        ours = {name: kwargs.pop(name) for name in list(kwargs) if name not in theirs}
        # flup's own pool gets no thread.
        super().__init__(application, *args, **kwargs, minSpare=0, maxSpare=0)  # type: ignore[call-arg]
        self._threadPool = ThreadPool(**ours)
        if getattr(self._jobClass, "_multiplexed", False):
            self._jobClass = _multiplexed(self._jobClass, self._threadPool)
        elif not hasattr(self._jobClass, "_keepGoing") and hasattr(self._jobClass, "_cping"):
            self._jobClass = _ending(self._jobClass)

    @property
    def pool(self) -> ThreadPool:
        """Return the pool."""
        return self._threadPool

    def run(self) -> bool:
        """Serve until ``stop``, and finish what was taken. Returns whether SIGHUP came. flup's AJP finishes nothing."""
        try:
            return bool(super().run())  # type: ignore[misc]
        finally:
            self.shutdown()  # type: ignore[attr-defined]

    def stop(self) -> None:
        """End ``run``, within a second and the time for the drain. Runs on: any thread."""
        self._keepGoing = False

    def _setupSocket(self) -> socket.socket:
        """
        Open the listening socket, and start the pool.

        Raises: StartError: one of them cannot be had; flup's own way to say so is a TypeError.
        """
        try:
            sock: socket.socket = super()._setupSocket()  # type: ignore[misc]
        except OSError as error:
            raise StartError(f"Cannot listen on {self._bindAddress}: {error.strerror or error}.") from error
        if sock.family != socket.AF_UNIX:
            # What is accepted gets it too. flup sends a packet in two pieces, and each second one would wait 40 ms.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._threadPool.pool.start()
        except BaseException:
            sock.close()
            raise
        return sock

    def handler(self, req: Any) -> Any:
        """Run a request inside of its stamp; what it sends is sent with the window shut."""
        environ = req.params if hasattr(req, "params") else req.environ
        if isinstance(getattr(req, "stdin", None), io.StringIO):
            req.stdin = io.BytesIO()  # flup gives a request without content a file of text
        with self._threadPool.pool.request(environ, hang_up=lambda: _cut_if_begun(req)) as stamp:
            names = ("stdout",) if hasattr(req, "stdout") else ("startResponse", "write")
            before = {name: getattr(req, name) for name in names}
            try:
                for name, value in before.items():
                    setattr(req, name, stamp.sender(value) if callable(value) else _Sending(value, stamp))
                return stamp.call(super().handler, req)  # type: ignore[misc]
            except WorkerKilled:
                req._conn._keepGoing = False  # its worker leaves, so the front-end has to open another connection
                raise
            finally:
                for name, value in before.items():
                    setattr(req, name, value)  # flup's page about an error is no part of the request

    def error(self, req: Any) -> None:
        """Answer with flup's page about an error; its AJP has the status 200 for that."""
        start = getattr(req, "startResponse", None)
        if start is not None:
            req.startResponse = lambda status, *rest: start(max(status, 500), *rest)
        super().error(req)  # type: ignore[misc]

    def _installSignalHandlers(self) -> None:
        """Install flup's handlers, in the main thread alone: elsewhere Python refuses it, and its host has its own."""
        self._oldSIGs: list[Any] = []
        if threading.current_thread() is threading.main_thread():
            super()._installSignalHandlers()  # type: ignore[misc]


class _Sending:
    """A file through which a response is sent, with kills kept away meanwhile."""

    def __init__(self, through: Any, stamp: Any) -> None:
        self._through = through
        self.write = stamp.sender(through.write)
        self.flush = stamp.sender(through.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._through, name)


def _cut_if_begun(req: Any) -> None:
    """Cut the connection of a killed request whose response has begun; to another one flup sends a page about the error."""
    begun = req.stdout.dataWritten if hasattr(req, "stdout") else req._headersSent
    if begun:
        hang_up(req._conn._sock)


def _ending(connection_class: type[Any]) -> type[Any]:
    """
    Return a class of connections that end where flup's own end for ``_keepGoing = False``.

    flup's AJP has no such end: it waits for the next request until the front-end hangs up. So the worker of a killed
    request would never leave, and the server would never end.
    """

    def processInput(self: Any) -> None:
        if not self._keepGoing and self._request is None:
            raise EOFError
        connection_class.processInput(self)

    return type(connection_class.__name__, (connection_class,), {"_keepGoing": True, "processInput": processInput})


def _multiplexed(connection_class: type[Any], pool: ThreadPool) -> type[Any]:
    """Return a class of connections whose requests run on the pool; flup starts a bare thread for each."""

    def _start_request(self: Any, req: Any) -> None:
        if not pool.addJob(req, allowQueuing=False):
            self.end_request(req, 0, _OVERLOADED, remove=True)

    return type(connection_class.__name__, (connection_class,), {"_start_request": _start_request})


_OVERLOADED = 2
"""FastCGI's word for "no thread left"."""


def _arguments_of(server_class: type[Any]) -> frozenset[str]:
    code = server_class.__init__.__code__  # type: ignore[misc]
    return frozenset(code.co_varnames[: code.co_argcount])
