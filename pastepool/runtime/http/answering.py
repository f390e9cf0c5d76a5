"""
Send responses that need no worker, and end connections: the server's own paths, refusals, lingering.

This module only decides whose fault a failure is; ``http1.response`` makes the responses. Runs on: baton.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from pastepool.core.deadlines import deadline
from pastepool.core.policy import OverloadPolicy, Timeouts
from pastepool.errors import AppError, PeerError, TlsFailed
from pastepool.http1.request import Request
from pastepool.http1.response import CONTINUE, healthy_answer, short_answer
from pastepool.runtime.http.connection import BODY, HEAD, LINGER, NEXT, READER, Connection
from pastepool.runtime.http.exchange import Exchange
from pastepool.runtime.http.open_connections import OpenConnections
from pastepool.runtime.http.output import Output
from pastepool.runtime.http.shared import Shared
from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.sockets.readiness import READ
from pastepool.runtime.sockets.tls_socket import ClientSocket
from pastepool.types import Seconds

_log = scribbled("pastepool.http")

_LINGER_FOR: Seconds = 2.0
_LINGER_BYTES = 1048576
"""
For how long, and up to how many bytes, the server still reads from a connection that it closes. So no reset destroys
our response before the client has it (RFC 9112 9.6).
"""


class Answering:
    """
    Sends responses in the application's place, and closes connections.

    ``on_turned_away``: called for each client for which there is no connection left, with ``turned_away`` and the
    instant.
    """

    def __init__(
        self,
        connections: OpenConnections,
        shared: Shared,
        timeouts: Timeouts,
        overload: OverloadPolicy,
        on_turned_away: Callable[[str, Seconds], None],
    ) -> None:
        self._connections = connections
        self._shared = shared
        self._timeouts = timeouts
        self._overload = overload
        self._on_turned_away = on_turned_away
        self._now = shared.clock.now

    def answer_here(self, connection: Connection, request: Request) -> None:
        """Answer ``health_path`` or ``OPTIONS *`` (RFC 9110 9.3.7) without a worker."""
        shared = self._shared
        draining = shared.draining
        about_server = request.path == b"*"
        stamp = shared.date_header.joined()
        if draining and not about_server:
            head_only = request.method == "HEAD"
            answer = short_answer(503, "The server is stopping.", stamp, head_only=head_only)
            self._answer_and_close(connection, answer)
            return
        keep = request.keep_alive and not shared.closing
        answer = healthy_answer(stamp, keep, request, b"" if about_server else b"ok\n")
        if not self._send(connection, answer, keep):
            return
        if not keep:
            self.linger(connection)
            return
        connection.waiting = NEXT
        connection.deadline = deadline(self._now(), self._timeouts.keep_alive)
        if connection.engine.rest:
            shared.returning.give_back(connection)

    def tell_to_continue(self, connection: Connection) -> None:
        """Tell a client that waits for it to send the content of its request (RFC 9110 10.1.1)."""
        self._send(connection, CONTINUE, True)

    def _send(self, connection: Connection, answer: bytes, keep: bool) -> bool:
        """
        Send an answer. What the socket does not take is sent when it does; until then the client is not read from.

        Returns whether all of it was sent. ``keep``: whether the connection stays open. Raises: OSError.
        """
        try:
            sent = connection.send(answer)
        except (BlockingIOError, InterruptedError):
            sent = 0
        if sent == len(answer):
            return True
        output = Output(self._now())
        output.add(memoryview(answer)[sent:])
        output.finish()
        connection.output = output
        connection.keep_alive = keep
        connection.waiting = READER
        self._shared.returning.flush_soon(connection)
        return False

    def evict(self, connection: Connection) -> None:
        """Close a connection to make room for another. A client that has begun a request is told so."""
        if connection.engine.started and connection.waiting in (HEAD, BODY):
            self._tell_of_limit(connection.sock, f"The server has its limit of {self._connections.limit} connections.")
        self._connections.close(connection)

    def turn_away(self, sock: socket.socket, address: str = "", *, encrypted: bool = False) -> None:
        """
        Refuse an accepted socket, because there are too many connections already, and close it.

        ``address``: the client's address, if it is this address that has too many; empty if the server has too many.
        ``encrypted``: the client speaks TLS. It gets no answer, because one in plain text would only puzzle it.
        """
        if address:
            text = f"{address} has its limit of {self._connections.limit_per_address} connections."
        else:
            text = f"The server has its limit of {self._connections.limit} connections."
        if encrypted:
            self._on_turned_away("turned_away", self._now())
        else:
            self._tell_of_limit(sock, text)
        sock.close()

    def _tell_of_limit(self, sock: ClientSocket, text: str) -> None:
        self._on_turned_away("turned_away", self._now())
        stamp = self._shared.date_header.joined()
        answer = short_answer(503, text, stamp, retry_after=self._overload.retry_after)
        try:
            sock.send(answer)
        except OSError:
            pass  # the client has gone already

    def end(self, connection: Connection, error: Exception) -> None:
        """
        End a connection after an error. If the error is the client's fault (PeerError), the client gets a response.

        An error of the application comes from a file that its response names. It is logged, as is an internal error.
        """
        if isinstance(error, PeerError):
            self._refuse(connection, error)
            return
        if isinstance(error, TlsFailed):
            _log.info("%s: TLS failed: %s", connection.name, error)
            self.linger(connection)  # so that the client can read the alert
            return
        if connection.closed:
            return  # its worker or the supervisor has closed it meanwhile, which caused this error
        if isinstance(error, AppError):
            owner = connection.owner
            what = owner.title() if isinstance(owner, Exchange) else connection.name
            _log.error("%s: %s The connection is cut so that the client can tell.", what, error)
        elif isinstance(error, OSError) and not isinstance(error, (ConnectionError, TimeoutError, BlockingIOError)):
            _log.error("%s: the connection is closed because of %s", connection.name, error)
        elif not isinstance(error, OSError):
            _log.error(
                "Internal error; the connection of %s is closed; please report this",
                connection.name,
                exc_info=error,
            )
        self._connections.close(connection)

    def _refuse(self, connection: Connection, error: PeerError) -> None:
        """Send an error response to a client that broke HTTP or a limit, and close the connection."""
        _log.info("%s: refused with %d: %s", connection.name, error.status, error.reason)
        self._answer_and_close(connection, short_answer(error.status, error.reason, self._shared.date_header.joined()))

    def _answer_and_close(self, connection: Connection, answer: bytes) -> None:
        try:
            sent = self._send(connection, answer, False)
        except OSError:
            self._connections.close(connection)
            return
        if sent:
            self.linger(connection)

    def linger(self, connection: Connection) -> None:
        """
        Close our sending side, then read for a while what the client still sends.

        If a socket is closed with unread input, the kernel sends a reset, which may destroy our response on its way
        (RFC 9112 9.6).
        """
        try:
            connection.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._connections.close(connection)
            return
        connection.owner = None
        connection.waiting = LINGER
        connection.deadline = self._now() + _LINGER_FOR
        if connection.content is not None:
            connection.content.close()
            connection.content = None
        self._connections.watch(connection, READ)

    def discard(self, connection: Connection, size: int) -> None:
        """Count ``size`` bytes from a lingering client. Close the connection at its end, or if it sent too much."""
        connection.lingered += size
        if size == 0 or connection.lingered > _LINGER_BYTES:
            self._connections.close(connection)
