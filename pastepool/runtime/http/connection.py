"""
One accepted socket with its engine: the facts about it, and which thread may touch it.

Ownership. ``owner`` is None while the connection belongs to the poller's side, that is, to the baton's holder. When a
request is complete, the holder sets ``owner`` to its exchange. From then on only the worker that runs the exchange
touches the connection, with these exceptions: the holder still writes ``gone`` and ``watched`` and flushes ``output``,
and the supervisor may shut the connection down when it kills the request. At its end the worker sets ``owner`` to None
and gives the connection back (``Exchange.conclude``).
"""

from __future__ import annotations

import enum
import math
import socket
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from pastepool.core.addresses import named
from pastepool.http1.engine import Engine
from pastepool.http1.limits import Limits
from pastepool.runtime.sockets.held_io import HELD_AT_MOST
from pastepool.runtime.sockets.readiness import READ
from pastepool.runtime.sockets.tls_socket import ClientSocket, TlsSocket
from pastepool.runtime.sockets.unacknowledged import unacknowledged

if TYPE_CHECKING:
    from pastepool.runtime.http.content import Content
    from pastepool.runtime.http.exchange import Exchange
    from pastepool.runtime.http.output import Output

NEVER = math.inf

READ_SIZE = HELD_AT_MOST
"""How many bytes one read takes if a client may send many requests."""

_RESET = struct.pack("ii", 1, 0)


class Waiting(enum.Enum):
    """What the poller waits for on a connection. It decides what happens at the connection's deadline."""

    HEAD = "head"
    BODY = "body"
    NEXT = "next request"
    WORKER = "worker"
    READER = "reader"
    LINGER = "linger"


HEAD, BODY, NEXT, WORKER, READER, LINGER = Waiting
"""
The members as module constants: to look one up on its class costs more than a tenth of a microsecond on CPython 3.11.
"""


class OwningRequest(Protocol):
    """What a connection asks of the request that a worker runs for it."""

    def in_child(self) -> None:
        """Close what this process has copied from the one that serves, which is its parent."""


class Connection:
    """
    What is known of one client.

    Large because it is the record of a connection: one object for each client, and facts that the poller and a worker
    read with one look-up each.

    ``waiting``: what the poller waits for. ``deadline``: when the poller acts if that has not happened. ``gone``: the
    client has closed or reset its side. ``sock``: what the bytes go through: ``bare``, the socket itself, or TLS around
    it. ``client``: the address that a header of a proxy gave; empty for none. ``watched``: the readiness mask that is
    registered now; 0 for none. ``began_at``: when the present transfer began. ``closed``: the socket is closed.
    ``resets``: closing sends a reset. ``read_size``: how many bytes are read of a request at first:
    ``READ_SIZE``, or after a request with long content as many as its head had. The next head is mostly as long, and
    then its content is read in one piece, which need not be joined. Through TLS heads and content are not read apart.
    """

    __slots__ = (
        "bare", "sock", "fd", "peer", "port", "engine", "recv", "send", "owner", "waiting", "deadline", "began_at",
        "gone", "closed", "watched", "output", "content", "keep_alive", "lingered", "resets", "client", "read_size",
    )  # fmt: skip

    def __init__(
        self,
        sock: socket.socket,
        peer: str,
        port: int,
        limits: Limits,
        prototype: dict[str, Any],
        make_request: Callable[..., Exchange],
    ) -> None:
        self.bare = sock
        self.sock: ClientSocket = sock
        self.fd = sock.fileno()
        self.peer = peer
        self.port = port
        self.engine: Engine[Exchange] = Engine(limits, prototype, make_request)
        self.recv: Callable[[int], bytes] = sock.recv
        self.send: Callable[[bytes], int] = sock.send
        self.owner: OwningRequest | None = None
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
        self.client = ""
        self.read_size = READ_SIZE

    def encrypt(self, tls: TlsSocket) -> None:
        """Let all further bytes go through TLS. ``tls``: has the socket of this connection."""
        self.sock, self.recv, self.send = tls, tls.recv, tls.send

    def begin_engine(self, limits: Limits, prototype: dict[str, Any], make_request: Callable[..., Exchange]) -> None:
        """Begin with the first request. What went before, a header of a proxy or a handshake, changed the prototype."""
        self.engine.close()
        self.engine = Engine(limits, prototype, make_request)
        if "pastepool.peer" in prototype:
            self.client = prototype["REMOTE_ADDR"]

    @property
    def name(self) -> str:
        """Name the client in a line of the log: its address, and the one of the balancer that it came through."""
        peer = named(self.peer)
        return f"{self.client} via {peer}" if self.client else peer

    def unacknowledged(self) -> int:
        """Return how many bytes the kernel keeps for the client. Runs on: any thread."""
        sock = self.sock
        return sock.unacknowledged() if isinstance(sock, TlsSocket) else unacknowledged(self.bare)

    def client_gone(self) -> bool:
        """
        Say whether the client has hung up. The application asks this, through the environ.

        This is also True for a client that only closed its sending side and still reads: TCP shows no difference until
        something is sent. The answer is late by some milliseconds. Runs on: any thread.
        """
        return self.gone or self.closed

    @property
    def between_requests(self) -> bool:
        """Whether no request is being served, and no byte of the next one was read yet."""
        return self.waiting in (NEXT, HEAD) and not self.engine.started

    def has_input(self) -> bool:
        """Say whether the client has sent something that was not read yet. The end of the connection does not count."""
        try:
            return bool(self.sock.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def shutdown(self) -> None:
        """
        Shut the socket down in both directions. This wakes each thread that is blocked on it, and tells the client.

        May be called twice, from any thread.
        """
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the connection is reset or closed already, which is what we want

    def reset_at_close(self) -> None:
        """Make ``close`` send a reset. So the client does not take an incomplete response for a complete one."""
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        except OSError:
            pass  # the socket is closed already
        self.resets = True

    def in_child(self) -> None:
        """
        Close this process's copy of the socket: the process is a child of the one that serves.

        The client notices nothing. A later send fails, because the socket is closed. Takes no lock. Runs on: the only
        thread of the child.
        """
        self.closed = True
        self.sock.close()
        output, self.output = self.output, None
        if output is not None:
            output.in_child()
        if self.content is not None:
            self.content.in_child()

    def close(self, maybe_shared: bool = True) -> None:
        """
        Close the socket. May be called twice. The caller must first take the connection out of the poller's table.

        ``maybe_shared``: a child process of the application may have the socket too, so that to close it would not end
        the connection.
        """
        self.closed = True
        self.owner = None  # breaks a cycle of references: the application may have switched garbage collection off
        if self.output is not None:
            self.output.break_off()
        if self.content is not None:
            self.content.close()
        if (maybe_shared or self.sock is not self.bare) and not self.resets:
            self.shutdown()  # TLS also tells its client that this is the end
        self.sock.close()
        self.engine.close()
