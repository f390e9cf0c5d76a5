"""
Hand one message to a mail server, or fail within a bounded time.

Knows SMTP through the standard library, STARTTLS, and how to be impatient. Does not know why a message is sent, how
often, or what to do when that fails: the mailer does.

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
"""How long one step may take: connecting, a command, an answer. RFC 5321 4.5.3.2 has minutes, but for relays."""

DELIVERY_TIMEOUT: Seconds = 30.0
"""How long the whole may take: a server that answers one byte at a time would else never miss a step's timeout."""

IMPLICIT_TLS_PORT = 465
_CHUNK = 4096


class Route(Protocol):
    """Which server takes the mail, and how: ``settings.values.MailSettings`` has this shape."""

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
    Decide what the server's certificate has to prove.

    Everything the system's own list of authorities demands, name included; except on the loopback interface, where
    nobody is in between, where distributions install certificates nobody signed, and where the far end of a tunnel
    carries another name.

    Args:
        address: of the server as connected to, never the name asked for: a name can be made to point anywhere.
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

    ``use_tls`` is STARTTLS, and TLS from the first byte on port 465, where servers expect it. It is never given up
    quietly: a server that offers none is an error. A recipient that is refused while others are taken is no error.

    Raises:
        OSError: the server is not there, too slow, not trusted, or refuses (every error of ``smtplib`` is one). The
            operator's or the server's fault; the text says which.
        ValueError: the message cannot be written as mail. Our bug.

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
    """How long the next step may take: a step's own limit, or what is left of the whole."""

    def __init__(self, clock: Clock, each: Seconds, whole: Seconds) -> None:
        self._clock = clock
        self._each = each
        self._whole = whole
        self._until = clock.now() + whole

    def left(self) -> Seconds:
        """Raises: TimeoutError when nothing is left."""
        left = min(self._each, self._until - self._clock.now())
        if left <= 0:
            raise TimeoutError(f"the mail server took longer than {self._whole:g} s in all")
        return left


class _Replies:
    """The server's answers, line by line; in place of the buffered file ``smtplib`` reads, which knows no whole."""

    def __init__(self, connection: socket.socket, patience: _Patience) -> None:
        self._connection = connection
        self._patience = patience
        self._unread = b""

    def readline(self, limit: int) -> bytes:
        """Return one line with its end, what came before the server hung up, or ``limit`` bytes."""
        while b"\n" not in self._unread and len(self._unread) < limit:
            self._connection.settimeout(self._patience.left())
            received = self._connection.recv(_CHUNK)
            if not received:
                break
            self._unread += received
        end = self._unread.find(b"\n") + 1 or len(self._unread)
        line, self._unread = self._unread[: min(end, limit)], self._unread[min(end, limit) :]
        return line

    def close(self) -> None:
        """There is nothing to close: the connection belongs to the client."""


class _Client(smtplib.SMTP):
    """``smtplib``'s client with a limit to its patience; connects when made."""

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
        """Say goodbye, which is polite; the mail is the server's by now, so what it answers changes nothing."""
        try:
            self.quit()
        except OSError:
            pass

    def getreply(self) -> tuple[int, bytes]:
        """Read an answer; its lines come through ``_Replies``, anew after STARTTLS has changed the socket."""
        if self.file is None and self.sock is not None:
            self.file = _Replies(self.sock, self._patience)
        return super().getreply()

    def send(self, s: str | bytes) -> None:  # type: ignore[override]
        """Send, within what patience is left."""
        if self.sock is not None:
            self.sock.settimeout(self._patience.left())
        super().send(s)
