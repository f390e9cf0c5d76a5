"""Tell the pool which request a connection of cheroot serves, and end the connection of a request that is killed."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from pastepool import WorkerPool
from pastepool.adapters.sockets import hang_up

_TEXT = b"The request took too long and was ended by the server.\n"
_HEAD = (
    b"HTTP/1.1 504 Gateway Timeout\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
) % len(_TEXT)


def stamped(gateway: type[Any], pool: WorkerPool) -> type[Any]:
    """Return a gateway class like another one, whose requests ``pool`` knows."""
    return type(f"Stamped{gateway.__name__}", (_Stamped, gateway), {"pool": pool})


class _Stamped:
    """What is put before a gateway of cheroot. ``pool``: as in ``stamped``."""

    pool: WorkerPool
    req: Any

    def respond(self) -> None:
        """Run the request inside of its stamp. What goes to the client is sent with the window shut."""
        req = self.req
        if req.server.stats["Enabled"]:
            self.pool.counts.add({"Requests": 1})  # cheroot counts a connection that its client closes as one more
        environ = getattr(self, "env", None) or _environ_of(req)
        write = getattr(self, "write", None)
        # Another thread than its own must not write to a TLS connection.
        answer = self._answer if req.server.ssl_adapter is None else None
        with self.pool.request(environ, answer, self._hang_up) as stamp:
            # After a kill cheroot sends them in a ``finally``, and then has to close.
            req.send_headers = stamp.sender(req.send_headers, quietly=True)
            if write is not None:
                self.write = stamp.sender(write)
            try:
                stamp.call(super().respond)  # type: ignore[misc]
            finally:
                # Otherwise each request would be garbage that only the collector finds.
                del req.send_headers
                if write is not None:
                    del self.write

    def _answer(self) -> None:
        """Answer a request that is killed, and never block. Runs on: supervisor, which has the claim to the response."""
        with contextlib.suppress(OSError, ValueError):
            os.write(self.req.conn.socket.fileno(), _HEAD if self.req.method == b"HEAD" else _HEAD + _TEXT)

    def _hang_up(self) -> None:
        hang_up(self.req.conn.socket)


def _environ_of(req: Any) -> dict[str, Any]:
    """Return what the pool shows of a request whose gateway is no WSGI."""
    method, path = (text.decode("latin-1") if isinstance(text, bytes) else text for text in (req.method, req.path))
    return {"REQUEST_METHOD": method or "", "PATH_INFO": path or "", "REMOTE_ADDR": req.conn.remote_addr or ""}
