"""
Find the server that runs a request. Only this module reads the object under Paste's key in the environ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pastepool.runtime.watching.server_view import ServerView
from pastepool.watch.foreign import Nobody, PastesPool
from pastepool.watch.own_server import OwnServer
from pastepool.watch.paste_state import has_pastes_shape
from pastepool.watch.watched import Watched

POOL_KEY = "paste.httpserver.thread_pool"
WATCHED_KEY = "pastepool.watched"
"""The key under which the desk gives what it shows: there is no pool in its process."""

_SHARED = "watch"


def watched_by(environ: Mapping[str, Any]) -> Watched:
    """
    Return what a request can watch: our own server, Paste's pool, or neither.

    The object under Paste's key can be of any kind, because a middleware may have put it there.
    """
    if WATCHED_KEY in environ:
        return cast(Watched, environ[WATCHED_KEY])
    pool = environ.get(POOL_KEY)
    server_view = getattr(pool, "server_view", None)
    if isinstance(server_view, ServerView):
        return own_server(server_view)
    return PastesPool(pool) if has_pastes_shape(pool) else Nobody()


def own_server(server_view: ServerView) -> Watched:
    """
    Return the object that all pages of one server share. The first request makes it.

    ``dict.setdefault`` is atomic, so this needs no lock.
    """
    found: Watched | None = server_view.common.get(_SHARED)
    if found is None:
        found = server_view.common.setdefault(_SHARED, OwnServer(server_view))
    return found


def share(server_view: ServerView, watched: Watched) -> None:
    """Let all pages of one server share an object, before the first request."""
    server_view.common[_SHARED] = watched
