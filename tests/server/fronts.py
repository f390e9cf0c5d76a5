"""What tests with a real program in front of the server share: ports, and clients with another address."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable
from pathlib import Path

from tests.server.serving import Client
from tests.waiting import WATCHDOG

ELSEWHERE = "127.0.0.2"
"""Another address of this machine than the one from which a program in front connects."""


HAPROXY = shutil.which("haproxy") or "/usr/sbin/haproxy"
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
Front = Callable[[list[str], "int | Path"], None]
"""Start a program, and wait until it listens on a port or at a path."""


def free_port() -> int:
    """Return a port that is free at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def accepts(place: int | Path) -> bool:
    """Say whether a program listens on a port, or at the path of a unix socket."""
    at_port = isinstance(place, int)
    with socket.socket(socket.AF_INET if at_port else socket.AF_UNIX) as asking:
        return asking.connect_ex(("127.0.0.1", place) if at_port else str(place)) == 0


class ClientElsewhere(Client):
    """A client with another address than the program in front."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), WATCHDOG, (ELSEWHERE, 0))
        self._unread = b""
