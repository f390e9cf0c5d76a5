"""Send an input to a server, and wait until the server has read it."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from dataclasses import dataclass

from benchmarks import measure
from benchmarks.errors import ServerFailed
from benchmarks.hostile.inputs import Input
from benchmarks.servers import HOST

PATIENCE = 60.0
_READ_AT_ONCE = 262_144

_LOOK_AFTER = 0.05
"""Seconds between two looks at the CPU time of a server that should have nothing left to do."""

_QUIET = 0.001
"""CPU seconds between two looks below which a server counts as quiet."""


@dataclass(frozen=True)
class Sent:
    """What was sent: bytes, and packets as the client wrote them."""

    size: int
    packets: int


def converse(port: int, what: Input) -> Sent:
    """
    Send an input on one connection, and read all that comes, until the server closes.

    Raises: ServerFailed: the server did not close within PATIENCE seconds.
    """
    data = what.make()
    with socket.create_connection((HOST, port), PATIENCE) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        sent = packets = 0
        give_up_at = time.monotonic() + PATIENCE
        with contextlib.suppress(ConnectionError):
            told = what.ends
            while True:
                left = sent < len(data)
                if not left and not told:
                    sock.shutdown(socket.SHUT_WR)
                    told = True
                readable, writable, _ = select.select([sock], [sock] if left else [], [], PATIENCE)
                if time.monotonic() > give_up_at:
                    raise ServerFailed(f"{what.name}: the server did not close the connection")
                if readable and not sock.recv(_READ_AT_ONCE):
                    break
                if writable:
                    sent += sock.send(data[sent : sent + what.piece])
                    packets += 1
    return Sent(sent, packets)


def hold(port: int, what: Input) -> tuple[socket.socket, int]:
    """Send an input on one connection and keep it open. Returns the socket, and how many bytes were sent."""
    data = what.make()
    sock = socket.create_connection((HOST, port), PATIENCE)
    with contextlib.suppress(ConnectionError):
        sock.sendall(data)
    return sock, len(data)


def until_quiet(session: int) -> None:
    """
    Wait until a server uses no CPU time any more, so that it has read everything.

    Raises: ServerFailed: it still does after PATIENCE seconds.
    """
    give_up_at = time.monotonic() + PATIENCE
    before = measure.cpu_seconds(session)
    while time.monotonic() < give_up_at:
        time.sleep(_LOOK_AFTER)
        now = measure.cpu_seconds(session)
        if now - before < _QUIET:
            return
        before = now
    raise ServerFailed("the server is never quiet")
