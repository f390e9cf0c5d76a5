"""
Begin TLS on connections, and bound how much of the baton's time the handshakes take.

A step of a handshake takes as much time as some tens of short requests. So in each look of the poller at its connections
only a few of them are taken; the bytes of the other clients stay in the kernel until a later look.

Runs on: baton.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

from pastepool.http1.limits import Limits
from pastepool.runtime.http.connection import Connection
from pastepool.runtime.http.exchange import Exchange
from pastepool.runtime.sockets.tls_socket import TlsSocket
from pastepool.wsgi.tls_keys import TlsFacts, tls_keys

STEPS_IN_ONE_LOOK = 4
"""How many steps of handshakes are taken in one look: about two milliseconds of work, with a key of RSA."""


class HandshakeTurns:
    """
    Counts the steps of handshakes in one look of the poller.

    ``look``: returns an object that is another one in each look.
    """

    def __init__(self, look: Callable[[], object]) -> None:
        self._look = look
        self._seen: object = None
        self._left = 0

    def take(self) -> bool:
        """Say whether one more step may be taken in the present look, and count it."""
        look = self._look()
        if look is not self._seen:
            self._seen = look
            self._left = STEPS_IN_ONE_LOOK
        if not self._left:
            return False
        self._left -= 1
        return True


class Encrypting:
    """
    Puts TLS around the sockets of new connections.

    ``context_for``: returns the context with the present certificate for a host. ``look``: see ``HandshakeTurns``.
    """

    def __init__(
        self, limits: Limits, context_for: Callable[[str], ssl.SSLContext], look: Callable[[], object]
    ) -> None:
        self._limits = limits
        self._context_for = context_for
        self._turns = HandshakeTurns(look)

    def begin(self, connection: Connection, environ: dict[str, Any]) -> TlsSocket:
        """
        Let a connection begin with a handshake; its socket must still be bare.

        ``environ``: its prototype, which is told of the client's certificate and of the cipher after the handshake.
        """

        def on_open(tls: ssl.SSLObject, asked_for: str) -> None:
            environ.update(tls_keys(facts_of(tls, asked_for)))
            connection.begin_engine(self._limits, environ, Exchange)

        encrypted = TlsSocket(connection.bare, self._context_for, self._turns.take, on_open)
        connection.encrypt(encrypted)
        return encrypted


def facts_of(tls: ssl.SSLObject, asked_for: str) -> TlsFacts:
    """Return what an application may be told of an open connection. ``asked_for``: the host; empty for none."""
    cipher = tls.cipher()
    certificate = tls.getpeercert() or {}
    der = tls.getpeercert(True) if certificate else None
    return TlsFacts(tls.version(), cipher[0] if cipher else None, asked_for, certificate, der or b"")
