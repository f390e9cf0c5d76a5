"""What several adapters do to the socket of a client."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any


def hang_up(sock: Any) -> None:
    """Shut a connection down, so that whatever reads from it or writes to it ends. Its worker closes it."""
    # Not with the methods of the object: those of a TLS connection belong to its worker.
    with contextlib.suppress(OSError, ValueError), socket.socket(fileno=os.dup(sock.fileno())) as own:
        own.shutdown(socket.SHUT_RDWR)
