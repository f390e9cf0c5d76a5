"""
Where a server listens, as a value: a host and a port, or the path of a unix socket. Pure; opens nothing.

The same value says where to listen (a name, ``*``, port 0) and, once it is bound, what the kernel gave.
"""

from __future__ import annotations

from dataclasses import dataclass

from pastepool.core.wording import host_and_port

_LOCAL_NAME = "localhost"
_HTTP_PORT = 80


@dataclass(frozen=True)
class Endpoint:
    """
    One place to listen. ``str`` writes it: ``127.0.0.1:8080``, ``[::1]:8080``, ``/run/shop.sock``.

    ``host``: without brackets; ``*`` means every address. ``port``: 0 lets the kernel choose. ``path``: of a unix socket;
    where it is set, host and port mean nothing.
    """

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        return self.path or host_and_port(self.host, self.port)

    @property
    def scheme(self) -> str:
        """What clients speak here, as URLs and ``wsgi.url_scheme`` name it."""
        return "http"

    @property
    def server_name(self) -> str:
        """``SERVER_NAME`` of requests that come in here; a unix socket has no name but this machine's."""
        return _LOCAL_NAME if self.path else self.host

    @property
    def server_port(self) -> int:
        """``SERVER_PORT`` of requests that come in here; a unix socket has the usual one of HTTP."""
        return _HTTP_PORT if self.path else self.port
