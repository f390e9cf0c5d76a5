"""
Who asks for the page, judged by the connection itself and never by what a header claims.

Under our own server the address is the one the socket has, found through the worker that runs this very request, so
that no middleware and no proxy in front of the application can put another into its place. Pure.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pastepool.core.wording import printable
from pastepool.runtime.watching.admin_listener import CLOSING

FORWARDED_BY = (
    "HTTP_FORWARDED",
    "HTTP_VIA",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_REAL_IP",
)
"""What a proxy leaves behind. Nothing in them is believed; that they are there means that somebody asks through it."""


@dataclass(frozen=True)
class Visitor:
    """
    ``address``: the other end of the connection, empty where nobody knows. ``forwarded``: a proxy stands between.
    ``worker``/``serial``: of the request that asks; 0 where no worker of the pool runs it. ``closing``: set when the
    admin listener, over which this came, closes; ``None`` in the main server.
    """

    address: str
    forwarded: bool = False
    worker: int = 0
    serial: int = 0
    closing: threading.Event | None = None

    def told(self) -> str:
        """Who it is and by which door, as log and events begin their sentences."""
        where = "the admin listener" if self.closing is not None else "the page"
        return f"{printable(self.address, 60) or 'somebody'}, by {where},"


@dataclass(frozen=True)
class OwnRequest:
    """
    The request that asks, as the pool knows it that runs it.

    ``worker``: the number of the worker that runs it. ``serial``: its own. ``peer``: the address the socket has; None
    where the task has no connection.
    """

    worker: int
    serial: int
    peer: str | None


def identify(environ: Mapping[str, Any], own: OwnRequest | None) -> Visitor:
    """Find out who asks. ``own``: the request that asks, if a pool of ours runs it."""
    told = str(environ.get("REMOTE_ADDR") or "")
    forwarded = any(environ.get(key) for key in FORWARDED_BY)
    closing = environ.get(CLOSING)
    if isinstance(closing, threading.Event):
        return Visitor(told, forwarded, closing=closing)
    if own is None:
        return Visitor(told, forwarded)
    peer = told if own.peer is None else own.peer
    return Visitor(peer, forwarded or peer != told, own.worker, own.serial)
