"""
Stand in for the engine of a connection until the PROXY header before the first request is complete.

A connection of a listener with ``proxy`` begins with a ``Preamble`` as its engine. When the header is complete, the
preamble gives the connection its real engine, and passes the rest of the bytes on to it. So other connections have
nothing to do with it.

Runs on: baton.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pastepool.core.addresses import Network, is_within, named
from pastepool.core.wording import counted
from pastepool.errors import ClientGone
from pastepool.http1.engine import Engine
from pastepool.http1.limits import Limits
from pastepool.http1.proxy_protocol import BadProxyHeader, ProxySource, read_proxy_header
from pastepool.http1.request import Request
from pastepool.runtime.log.scribe import scribbled
from pastepool.types import Clock, Seconds

if TYPE_CHECKING:
    from pastepool.runtime.http.connection import Connection
from pastepool.runtime.http.exchange import Exchange

_log = scribbled("pastepool.http")

_TELL_EVERY: Seconds = 60.0
"""At most one line in this time tells of a listener's refused connections: a port scanner must not fill the log."""


class ProxyHeaders:
    """
    What one listener with ``proxy`` remembers: which peers may send a header, and the count of refused connections.

    ``listener``: its address, in words. ``refused``: how many connections were closed because their header was missing,
    garbled or late, or because their peer may not send one.
    """

    def __init__(self, listener: str, allowed: Sequence[Network], clock: Clock) -> None:
        self.listener = listener
        self.refused = 0
        self._allowed = allowed
        self._now = clock.now
        self._told = 0
        self._tell_at = 0.0

    def admits(self, peer: str) -> bool:
        """Say whether a peer may send a header. ``peer``: empty for a unix socket, whose rights say who may connect."""
        return not peer or is_within(peer, self._allowed)

    def refuse(self, peer: str, why: str) -> None:
        """Count a refused connection, and tell it unless a line was written a short while ago."""
        self.refused += 1
        now = self._now()
        if now >= self._tell_at:
            self._tell_at = now + _TELL_EVERY
            closed = counted(self.refused - self._told, "connection")
            self._told = self.refused
            _log.warning(
                "%s: %s without a right PROXY header closed; the last from %s: %s. Clients that send none, such as health"
                " checks, need a listener without proxy.",
                self.listener,
                closed,
                named(peer),
                why,
            )


class Preamble:
    """
    The engine of a connection until its header is complete: see ``http1.engine.Engine`` for what it stands in for.

    ``begin``: called with what the header says and the bytes behind it; gives the connection its real engine, feeds it
    and returns it.
    """

    def __init__(
        self, headers: ProxyHeaders, peer: str, begin: Callable[[ProxySource, bytes], Engine[Exchange]]
    ) -> None:
        self.rest = b""
        self._headers = headers
        self._peer = peer
        self._begin = begin
        self._so_far = b""
        self._engine: Engine[Exchange] | None = None
        self._is_over = False

    @property
    def started(self) -> bool:
        """False: a client whose header does not come is not answered."""
        return False

    @property
    def remaining(self) -> int:
        """How much of the content of the first request is still to come: the real engine is not asked here."""
        return 0

    @property
    def complete(self) -> bool:
        """Whether the real engine has a complete request."""
        return self._engine is not None and self._engine.complete

    @property
    def request(self) -> Request | None:
        """The request that the real engine has begun to read."""
        return None if self._engine is None else self._engine.request

    def feed(self, data: bytes) -> None:
        """Take bytes of the client. Raises: ClientGone: the header is garbled, so the connection must be closed."""
        self._so_far += data
        try:
            source = read_proxy_header(self._so_far)
        except BadProxyHeader as error:
            self._refuse(str(error))
            raise ClientGone(str(error)) from error
        if source is None:
            return
        self._is_over = True
        rest, self._so_far = self._so_far[source.size :], b""
        self._engine = self._begin(source, rest)

    def close(self) -> None:
        """Count a connection that ends before its header is complete."""
        if not self._is_over:
            self._refuse("it is missing or came too late")

    def _refuse(self, why: str) -> None:
        if not self._is_over:
            self._is_over = True
            self._headers.refuse(self._peer, why)


def with_preamble(
    connection: Connection,
    headers: ProxyHeaders,
    limits: Limits,
    prototype: dict[str, Any],
    ready: Callable[[bytes], bytes],
) -> None:
    """
    Make a new connection begin with a PROXY header.

    The client's address of the header becomes ``REMOTE_ADDR``; that of the connection stays in ``pastepool.peer``, and
    counts for access to the page of watch_threads. ``prototype``: of the connection's environs. ``ready``: called when
    the header is complete, with the bytes behind it; returns those of them that are for the engine.
    """

    def begin(source: ProxySource, rest: bytes) -> Engine[Exchange]:
        if source.address:
            prototype["pastepool.peer"] = prototype["REMOTE_ADDR"]
            prototype["REMOTE_ADDR"], prototype["REMOTE_PORT"] = source.address, str(source.port)
        if source.over_tls:
            prototype["wsgi.url_scheme"] = "https"
        connection.begin_engine(limits, prototype, Exchange)
        rest = ready(rest)
        if rest:
            connection.engine.feed(rest)
        return connection.engine

    connection.engine.close()
    connection.engine = Preamble(headers, connection.peer, begin)  # type: ignore[assignment]
