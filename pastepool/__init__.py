"""
pastepool: the Paste Deploy server that does not hang. Importing it does nothing.

``WorkerPool`` is the pool without the server, ``Work`` is what it is given, ``CallableWork`` the same for a callable
(docs/reference/worker-pool.md). ``ServerThread`` is the server in a thread of its own
(docs/reference/server-thread.md). ``subscribe`` is for messages between worker processes
(docs/how-to/several-processes.md). They are loaded when they are first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pastepool.embedding.server_thread import ServerThread as ServerThread
    from pastepool.embedding.worker_pool import WorkerPool as WorkerPool
    from pastepool.pooling.hub import subscribe as subscribe
    from pastepool.pooling.work import CallableWork as CallableWork
    from pastepool.pooling.work import Work as Work

__version__ = "0.1.0"

__all__ = ["CallableWork", "ServerThread", "Work", "WorkerPool", "__version__", "subscribe"]

_HOMES = {
    "CallableWork": "pastepool.pooling.work",
    "ServerThread": "pastepool.embedding.server_thread",
    "Work": "pastepool.pooling.work",
    "WorkerPool": "pastepool.embedding.worker_pool",
    "subscribe": "pastepool.pooling.hub",
}


def __getattr__(name: str) -> object:
    """Load a public name from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module 'pastepool' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
