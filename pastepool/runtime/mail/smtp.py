"""
Hand one message to a mail server, or fail within a bounded time.

This module knows SMTP (through the standard library), STARTTLS, and time limits. The mailer knows why and how often a
message is sent, and what to do when that fails.

Runs on: the mailer's thread.
"""

from __future__ import annotations

import ipaddress
import smtplib
import socket
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from typing import Protocol

from pastepool.types import Clock, Seconds

OPERATION_TIMEOUT: Seconds = 10.0
"""
How long one step may take: connecting, a command, an answer. RFC 5321 4.5.3.2 allows minutes; those are for relays
between mail servers.
"""

DELIVERY_TIMEOUT: Seconds = 30.0
"""
How long the whole delivery may take. Without this limit, a server that answers one byte at a time would stay within the
limit of every step and hold the thread for ever.
"""

IMPLICIT_TLS_PORT = 465
_CHUNK = 4096


class Route(Protocol):
    """The mail server and how to talk to it. ``settings.values.MailSettings`` has this shape."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def username(self) -> str: ...
    @property
    def password(self) -> str: ...
    @property
    def use_tls(self) -> bool: ...


def tls_context(address: str) -> ssl.SSLContext:
    """
    Decide how the certificate of the mail server is checked.

    The certificate must be signed by an authority of the system's list and must have the name of the server. On the
    loopback interface nothing is checked, for three reasons: no third machine is in between; distributions install
    unsigned certificates for local use; and the server at the other end of a tunnel has another name.

    Args:
        address: the address of the connection, never the configured name: a name can be made to point to any address.
    """
    context = ssl.create_default_context()
    if _is_loopback(address):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def deliver(
    message: EmailMessage,
    route: Route,
    clock: Clock,
    *,
    operation_timeout: Seconds = OPERATION_TIMEOUT,
    delivery_timeout: Seconds = DELIVERY_TIMEOUT,
    context_for: Callable[[str], ssl.SSLContext] = tls_context,
) -> None:
    """
    Send one message to all its recipients.

    ``use_tls`` means STARTTLS; on port 465 it means TLS from the first byte, as servers expect there. A server that
    offers no TLS is then an error: the message is never sent without it. It is no error if the server refuses some
    recipients and accepts others.

    Raises:
        OSError: the server cannot be reached, is too slow or not trusted, or refuses (every error of ``smtplib`` is an
            OSError). The fault of the operator or of the server; the text says which.
        ValueError: the message cannot be written as mail. A bug of pastepool.

    Units: seconds. Source: RFC 5321, RFC 3207, RFC 8314 for port 465.
    """
    client = _Client(route, _Patience(clock, operation_timeout, delivery_timeout), context_for)
    try:
        if route.use_tls and not client.encrypted:
            client.starttls(context=context_for(client.peer))
        if route.username:
            client.login(route.username, route.password)
        client.send_message(message)
        client.part()
    finally:
        client.close()


class _Patience:
    """Computes how long the next step may take: the limit of one step, or less if less is left of the whole."""

    def __init__(self, clock: Clock, each: Seconds, whole: Seconds) -> None:
        self._clock = clock
        self._each = each
        self._whole = whole
        self._until = clock.now() + whole

    def left(self) -> Seconds:
        """Return how many seconds the next step may take. Raises: TimeoutError when no time is left."""
        left = min(self._each, self._until - self._clock.now())
        if left <= 0:
            raise TimeoutError(f"the mail server took longer than {self._whole:g} s in all")
        return left


class _Replies:
    """
    Reads the answers of the server, line by line.

    It replaces the buffered file that ``smtplib`` reads from, because that has no limit for the whole delivery.
    """

    def __init__(self, connection: socket.socket, patience: _Patience) -> None:
        self._connection = connection
        self._patience = patience
        self._unread = b""

    def readline(self, limit: int) -> bytes:
        """
        Return one line with its line end, but at most ``limit`` bytes.

        If the server hangs up first: return what it sent before.
        """
        while b"\n" not in self._unread and len(self._unread) < limit:
            received = self._receive()
            if not received:
                break
            self._unread += received
        end = self._unread.find(b"\n") + 1 or len(self._unread)
        line, self._unread = self._unread[: min(end, limit)], self._unread[min(end, limit) :]
        return line

    def _receive(self) -> bytes:
        self._connection.settimeout(self._patience.left())
        try:
            return self._connection.recv(_CHUNK)
        except TimeoutError:
            self._patience.left()  # raises if no time is left of the whole, and then says so
            raise

    def close(self) -> None:
        """Do nothing: the connection belongs to ``_Client``."""


class _Client(smtplib.SMTP):
    """The client of ``smtplib`` with a time limit for each step and for the whole. It connects when it is made."""

    def __init__(self, route: Route, patience: _Patience, context_for: Callable[[str], ssl.SSLContext]) -> None:
        self.peer = ""
        self._patience = patience
        self._wrap = context_for if route.use_tls and route.port == IMPLICIT_TLS_PORT else None
        super().__init__(route.host, route.port, timeout=patience.left())

    @property
    def encrypted(self) -> bool:
        """Whether the connection is inside TLS already."""
        return isinstance(self.sock, ssl.SSLSocket)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection = socket.create_connection((host, port), timeout)
        try:
            self.peer = connection.getpeername()[0]
            return self._wrap(self.peer).wrap_socket(connection, server_hostname=host) if self._wrap else connection
        except BaseException:
            connection.close()
            raise

    def part(self) -> None:
        """Send QUIT. The server has already accepted the mail, so an error here changes nothing."""
        try:
            self.quit()
        except OSError:
            pass

    def getreply(self) -> tuple[int, bytes]:
        """Read an answer through ``_Replies``. STARTTLS replaces the socket, and then there is a new ``_Replies``."""
        if self.file is None and self.sock is not None:
            self.file = _Replies(self.sock, self._patience)
        return super().getreply()

    def send(self, s: str | bytes) -> None:  # type: ignore[override]
        """Send bytes, within the time that is left."""
        if self.sock is not None:
            self.sock.settimeout(self._patience.left())
        super().send(s)
