"""
One accepted socket with its engine: the facts about it and who may touch it.

Ownership. ``owner`` is None while the connection belongs to the poller's side (whoever holds the baton). When a
request is complete the holder sets ``owner`` to its exchange; from then on only the worker that runs the exchange
touches the connection, except for ``gone``, ``watched`` and the flush of ``output``, which stay with the holder. The
worker gives it back by setting ``owner`` to None as its last act.
"""

from __future__ import annotations

import enum
import math
import socket
import struct
from typing import TYPE_CHECKING, Any

from pastepool.http1.engine import Engine
from pastepool.http1.limits import Limits
from pastepool.runtime.sockets.readiness import READ

if TYPE_CHECKING:
    from pastepool.runtime.http.content import Content
    from pastepool.runtime.http.output import Output

NEVER = math.inf

_RESET = struct.pack("ii", 1, 0)


class Waiting(enum.Enum):
    """What the poller waits for on a connection, which decides what happens at its deadline."""

    HEAD = "head"
    BODY = "body"
    NEXT = "next request"
    WORKER = "worker"
    READER = "reader"
    LINGER = "linger"


HEAD, BODY, NEXT, WORKER, READER, LINGER = Waiting
"""The members by themselves: looking one up on its class costs more than a tenth of a microsecond on CPython 3.11."""


class Connection:
    """
    What is known of one client.

    Large because it is the record of a connection: one object for each client, and facts that the poller and a worker read
    with one look-up each.

    ``waiting``/``deadline``: what must happen until when, or the poller acts. ``gone``: the client has closed or
    reset its side. ``watched``: the readiness mask registered now. ``began_at``: when the awaited transfer began.
    ``closed``: the socket is.
    ``resets``: it closes with a reset.
    """

    __slots__ = (
        "sock", "fd", "peer", "port", "engine", "recv", "send", "owner", "waiting", "deadline", "began_at",
        "gone", "closed", "watched", "output", "content", "keep_alive", "lingered", "resets",
    )  # fmt: skip

    def __init__(self, sock: socket.socket, peer: str, port: int, limits: Limits, prototype: dict[str, Any]) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.peer = peer
        self.port = port
        self.engine = Engine(limits, prototype)
        self.recv = sock.recv
        self.send = sock.send
        self.owner: object | None = None
        self.waiting = HEAD
        self.deadline = NEVER
        self.began_at = 0.0
        self.gone = False
        self.closed = False
        self.watched = READ
        self.output: Output | None = None
        self.content: Content | None = None
        self.keep_alive = True
        self.lingered = 0
        self.resets = False

    def shutdown(self) -> None:
        """Wake whoever waits on the socket, at both ends. May be called twice, from any thread."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # reset, or closed already: what was wanted

    def reset_at_close(self) -> None:
        """Have ``close`` send a reset instead of a farewell, so that the client takes nothing it got for whole."""
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        except OSError:
            pass  # closed already
        self.resets = True

    def close(self) -> None:
        """
        Close the socket. May be called twice; the caller has taken the connection out of the poller's table first.
        """
        self.closed = True
        if self.output is not None:
            self.output.break_off()
        if self.content is not None:
            self.content.close()
        if not self.resets:
            self.shutdown()  # the client is told even if a child process of the application has the socket too
        self.sock.close()
        self.engine.close()
