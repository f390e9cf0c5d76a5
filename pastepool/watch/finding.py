"""
Find the server that runs a request. Only this module reads the object under Paste's key in the environ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pastepool.runtime.watching.server_view import ServerView
from pastepool.watch.foreign import Nobody, PastesPool
from pastepool.watch.own_server import OwnServer
from pastepool.watch.paste_state import has_pastes_shape
from pastepool.watch.watched import Watched

POOL_KEY = "paste.httpserver.thread_pool"
_SHARED = "watch"


def watched_by(environ: Mapping[str, Any]) -> Watched:
    """
    Return what a request can watch: our own server, Paste's pool, or neither.

    The object under Paste's key can be of any kind, because a middleware may have put it there.
    """
    pool = environ.get(POOL_KEY)
    server_view = getattr(pool, "server_view", None)
    if isinstance(server_view, ServerView):
        return _own_server(server_view)
    return PastesPool(pool) if has_pastes_shape(pool) else Nobody()


def _own_server(server_view: ServerView) -> OwnServer:
    """
    Return the object that all pages of one server share. The first request makes it.

    ``dict.setdefault`` is atomic, so this needs no lock.
    """
    found = server_view.common.get(_SHARED)
    if not isinstance(found, OwnServer):
        found = server_view.common.setdefault(_SHARED, OwnServer(server_view))
    return found
