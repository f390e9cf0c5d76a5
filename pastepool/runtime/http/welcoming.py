"""
Welcome new clients: make a watched connection of each accepted socket, or refuse it.

Runs on: baton.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Sized
from typing import Any

from pastepool.core.addresses import client_address
from pastepool.core.deadlines import deadline
from pastepool.core.overload import accept
from pastepool.core.policy import Timeouts
from pastepool.core.sharing import AT_ONCE
from pastepool.http1.limits import Limits
from pastepool.runtime.http.answering import Answering
from pastepool.runtime.http.connection import Connection
from pastepool.runtime.http.encrypting import Encrypting
from pastepool.runtime.http.evicting import Evicting
from pastepool.runtime.http.exchange import Exchange
from pastepool.runtime.http.open_connections import OpenConnections
from pastepool.runtime.http.preamble import ProxyHeaders, with_preamble
from pastepool.runtime.http.sharing import Sharing
from pastepool.runtime.http.sweeper import Sweeper
from pastepool.runtime.sockets.acceptor import Acceptor
from pastepool.runtime.sockets.peer_credentials import credentials_of
from pastepool.runtime.sockets.readiness import Readiness
from pastepool.settings.values import ProxyHeaderRules
from pastepool.types import Clock, Seconds
from pastepool.wsgi.environ import connection_prototype


class Welcoming:
    """
    Makes connections of the sockets that the acceptor yields, and makes the sweeper watch their deadlines.

    ``spool_files``: has an element for each temporary file that is open. ``encrypting``: begins TLS. ``proxy_headers``: by
    descriptor of the listener, for each with ``proxy``.
    """

    def __init__(
        self,
        connections: OpenConnections,
        answering: Answering,
        sweeper: Sweeper,
        clock: Clock,
        *,
        limits: Limits,
        timeouts: Timeouts,
        spool_files: Sized,
        proxy_headers: ProxyHeaderRules,
        encrypting: Encrypting,
    ) -> None:
        self._acceptor: Acceptor
        self._sharing: Sharing | None = None
        self._connections = connections
        self._answering = answering
        self._sweeper = sweeper
        self._clock = clock
        self._now = clock.now
        self._limits = limits
        self._header_timeout = timeouts.header
        self._spool_files = spool_files
        self._proxy_rules = proxy_headers
        self._encrypting = encrypting
        self.proxy_headers: dict[int, ProxyHeaders] = {}
        self._evicting = Evicting(connections, timeouts, clock, answering.evict)

    def start(self, acceptor: Acceptor, readiness: Readiness, sharing: Sharing | None = None) -> None:
        """Start to accept clients. Call this in the process that will serve. ``sharing``: if it is one of several."""
        self._acceptor = acceptor
        self._sharing = sharing
        allowed = self._proxy_rules.allowed
        self.proxy_headers = {fd: ProxyHeaders(name, allowed, self._clock) for fd, name in acceptor.proxied.items()}
        acceptor.start(readiness)

    def close(self) -> None:
        """Close the listeners. May be called twice."""
        self._acceptor.close()

    def accept(self, fd: int) -> None:
        """Accept clients from the listener with this descriptor. Does nothing if no listener has it."""
        if fd not in self._acceptor.fds:
            return
        most = AT_ONCE if self._sharing is None else self._sharing.clients_to_take()
        for sock, address, prototype in self._acceptor.accept(fd, self._evicting.make_room, most):
            self._welcome(sock, address, prototype, fd)
        if self._acceptor.paused:
            self._sweeper.soon(self._now())  # the sweep ends the pause

    def resume(self, now: Seconds) -> bool:
        """Accept again if a pause is over. Returns whether a pause still lasts."""
        self._acceptor.resume(now)
        return self._acceptor.paused

    def _has_room(self, new: int = 0) -> bool:
        """
        Say whether there is room for one more connection or temporary file. A file takes the place of a connection.

        ``new``: how many of those that are there already are not counted.
        """
        there = len(self._connections.by_fd) + len(self._spool_files)
        return accept(there - new, self._connections.limit)

    def keep_room(self) -> None:
        """Close a connection if there was no room for the temporary file that was just opened."""
        if not self._has_room(new=1):
            self._evicting.make_room()

    def stop_accepting(self, everything: bool) -> None:
        """
        Close the listeners.

        ``everything``: accept first the connections that the kernel has ready, because no other process will.
        """
        for fd in list(self._acceptor.fds) if everything else ():
            for sock, address, prototype in self._acceptor.accept(fd, self._evicting.make_room, math.inf):
                self._welcome(sock, address, prototype, fd)
        self.close()

    def _welcome(self, sock: socket.socket, address: Any, prototype: dict[str, Any], fd: int) -> None:
        """
        Make a connection of an accepted socket, or refuse it if there are too many connections.

        ``fd``: of the listener.
        """
        connections = self._connections
        headers, encrypted = self.proxy_headers.get(fd), fd in self._acceptor.encrypted
        is_unix = not isinstance(address, tuple)  # the address of a client on a unix socket is a path, mostly empty
        peer, port = ("", 0) if is_unix else (client_address(address[0]), address[1])
        if headers is not None and not headers.admits(peer):
            headers.refuse(peer, "its address is not in proxy_from")
            sock.close()
            return
        if connections.are_too_many_from(peer):
            self._answering.turn_away(sock, peer, encrypted=encrypted)
            return
        if not self._has_room() and not self._evicting.make_room():
            self._answering.turn_away(sock, encrypted=encrypted)
            return
        credentials = credentials_of(sock) if is_unix else None
        environ = connection_prototype(prototype, peer, port, credentials)
        connection = Connection(sock, peer, port, self._limits, environ, Exchange)
        environ["pastepool.client_gone"] = connection.client_gone
        now = self._now()
        connection.began_at = now
        connection.deadline = deadline(now, self._header_timeout)
        if headers is not None:
            self._await_proxy_header(connection, headers, environ, encrypted)
        elif encrypted:
            self._encrypting.begin(connection, environ)
        connections.enter(connection)
        if self._sharing is not None:
            self._sharing.note(connection)
        if self._sweeper.next_at == float("inf"):
            self._sweeper.soon(now)

    def _await_proxy_header(
        self, connection: Connection, headers: ProxyHeaders, environ: dict[str, Any], encrypted: bool
    ) -> None:
        """
        Let a connection begin with a header of the PROXY protocol.

        ``headers``: of its listener. ``environ``: its prototype. ``encrypted``: TLS begins behind the header.
        """
        request_by = connection.deadline

        def ready(rest: bytes) -> bytes:
            connection.deadline = request_by
            if not encrypted:
                return rest
            tls = self._encrypting.begin(connection, environ)
            try:
                return tls.receive(rest)
            except BlockingIOError:
                return b""

        connection.deadline = connection.began_at + self._proxy_rules.timeout
        with_preamble(connection, headers, self._limits, environ, ready)
