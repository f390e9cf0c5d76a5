"""
Who asks for the page, judged by the connection itself and never by what a header claims.

Under our own server the address is the one the socket has, found through the worker that runs this very request, so
that no middleware and no proxy in front of the application can put another into its place. Runs on: the thread that
answers.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pastepool.runtime.watching.admin_listener import CLOSING
from pastepool.runtime.watching.server_view import ServerView

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


def identify(environ: Mapping[str, Any], server_view: ServerView | None) -> Visitor:
    """Find out who asks. ``server_view``: of our own server, if that is what answers."""
    told = str(environ.get("REMOTE_ADDR") or "")
    forwarded = any(environ.get(key) for key in FORWARDED_BY)
    closing = environ.get(CLOSING)
    if isinstance(closing, threading.Event):
        return Visitor(told, forwarded, closing=closing)
    ident = threading.get_ident()
    for worker in server_view.workers() if server_view else ():
        task = worker.fact[2]
        if worker.ident == ident and task is not None:
            connection = getattr(task, "connection", None)
            peer = told if connection is None else str(connection.peer)
            return Visitor(peer, forwarded or peer != told, worker.worker_id, task.serial)
    return Visitor(told, forwarded)
