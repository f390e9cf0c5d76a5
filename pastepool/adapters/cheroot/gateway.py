"""Tell the pool which request a connection of cheroot serves, and end the connection of a request that is killed."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from typing import Any

from pastepool import WorkerPool
from pastepool.errors import WorkerKilled

_TEXT = b"The request took too long and was ended by the server.\n"


def stamped(gateway: type[Any], pool: WorkerPool, count: Callable[[], None]) -> type[Any]:
    """Return a gateway class like another one, whose requests ``pool`` knows. ``count``: called for each request."""
    return type(f"Stamped{gateway.__name__}", (_Stamped, gateway), {"pool": pool, "count": staticmethod(count)})


class _Stamped:
    """What is put before a gateway of cheroot. Its class has the arguments of ``stamped``."""

    pool: WorkerPool
    count: Callable[[], None]
    req: Any

    def respond(self) -> None:
        """Run the request inside of its stamp. What goes to the client is sent with the window shut."""
        self.count()
        req = self.req
        environ = getattr(self, "env", None)
        if environ is None:  # a gateway that is no WSGI
            environ = {"REQUEST_METHOD": _text(req.method), "PATH_INFO": _text(req.path)}
            environ["REMOTE_ADDR"] = req.conn.remote_addr or ""
        write = getattr(self, "write", None)
        plain = req.server.ssl_adapter is None
        answer = (lambda: _answer(req)) if plain else None  # another thread than its own must not use a TLS connection
        with self.pool.request(environ, answer, lambda: hang_up(req.conn)) as stamp:
            req.send_headers = _unless_killed(stamp, req.send_headers)
            if write is not None:
                self.write = _sending(stamp, write)
            try:
                stamp.call(super().respond)  # type: ignore[misc]
            finally:
                # Otherwise each request would be garbage that only the collector finds.
                del req.send_headers
                if write is not None:
                    del self.write


def _sending(stamp: Any, send: Callable[..., Any]) -> Callable[..., Any]:
    def sent(*args: Any) -> Any:
        with stamp.sending():
            return send(*args)

    return sent


def _unless_killed(stamp: Any, send: Callable[[], Any]) -> Callable[[], None]:
    """Send the headers, but let a kill pass: after it cheroot sends them in a ``finally``, and then has to close."""

    def sent() -> None:
        try:
            with stamp.sending():
                send()
        except WorkerKilled:
            pass

    return sent


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value or "")


def _answer(req: Any) -> None:
    """Answer a request that is killed, without ever blocking. Runs on: supervisor, which has the claim to the response."""
    body = b"" if req.method == b"HEAD" else _TEXT
    head = (
        f"{req.server.protocol} 504 Gateway Timeout\r\nContent-Type: text/plain\r\nContent-Length: {len(_TEXT)}\r\n"
        "Connection: close\r\n\r\n"
    )
    with contextlib.suppress(OSError, ValueError):
        os.write(req.conn.socket.fileno(), head.encode("ascii") + body)


def hang_up(conn: Any) -> None:
    """Shut a connection down, so that whatever reads from it or writes to it ends. Its worker closes it."""
    # Not with the methods of the object: those of a TLS connection belong to its worker.
    with contextlib.suppress(OSError, ValueError), socket.socket(fileno=os.dup(conn.socket.fileno())) as own:
        own.shutdown(socket.SHUT_RDWR)
