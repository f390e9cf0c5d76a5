"""
Find out who asks for the page. The connection decides, never a header.

Under our own server the address is the address of the socket. It is found through the worker that runs this request, so
no middleware and no proxy in front of the application can replace it. Pure.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pastepool.core.wording import printable
from pastepool.runtime.watching.admin_listener import CLOSING

CREDENTIALS = "pastepool.peer_credentials"
"""The key that the server sets for a client on a unix socket."""

FORWARDED_BY = (
    "HTTP_FORWARDED",
    "HTTP_VIA",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_REAL_IP",
    "pastepool.forwarded",
)
"""
The headers that proxies add, and the key that is set where some of them were removed. Their values are not trusted; the
presence of one means that the request came through a proxy.
"""


@dataclass(frozen=True)
class Visitor:
    """
    The client that asks for the page.

    ``address``: the other end of the connection; empty if unknown. ``is_local``: it is on a unix socket, so it has no
    address, and is a process of this machine. ``forwarded``: the request came through a proxy.
    ``worker``, ``serial``: the worker and the serial of this request; 0 if no worker of the pool runs it. ``closing``:
    for a request to the admin listener, an event that is set when the listener closes; None in the main server.
    """

    address: str
    forwarded: bool = False
    worker: int = 0
    serial: int = 0
    closing: threading.Event | None = None
    is_local: bool = False

    def told(self) -> str:
        """Name the visitor and the way the request came. Sentences of the log and of events begin with this."""
        where = "the admin listener" if self.closing is not None else "the page"
        who = "somebody on a unix socket" if self.is_local else "somebody"
        return f"{printable(self.address, 60) or who}, by {where},"


@dataclass(frozen=True)
class OwnRequest:
    """
    The request for the page, as the pool that runs it knows it.

    ``worker``: the number of the worker that runs it. ``serial``: the serial of the task. ``peer``: the client's
    address as the socket has it; None if the task has no connection.
    """

    worker: int
    serial: int
    peer: str | None


def identify(environ: Mapping[str, Any], own: OwnRequest | None) -> Visitor:
    """Find out who asks for the page. ``own``: the request as our pool knows it; None if our pool does not run it."""
    told = str(environ.get("REMOTE_ADDR") or "")
    forwarded = any(environ.get(key) for key in FORWARDED_BY)
    closing = environ.get(CLOSING)
    if isinstance(closing, threading.Event):
        return Visitor(told, forwarded, closing=closing)
    if own is None:
        return Visitor(told, forwarded)
    peer = told if own.peer is None else own.peer
    is_local = not peer and CREDENTIALS in environ
    return Visitor(peer, forwarded or peer != told, own.worker, own.serial, is_local=is_local)
