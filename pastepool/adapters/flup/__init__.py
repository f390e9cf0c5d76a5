"""
flup's FastCGI, SCGI and AJP servers on our pool: ``on_our_pool(WSGIServer)``.

flup gives a connection to its pool, on which a front-end may send many requests. So such a piece of work holds requests,
and each call of the handler is one. flup's own pool starts threads in its constructor, refuses work too late, drops what
waits at the end, and freezes when as many requests hang as it has threads. Many names in this package are flup's.
"""

from __future__ import annotations

import importlib

from pastepool.adapters.missing import needs

with needs("flup"):
    importlib.import_module("flup.server")

from pastepool.adapters.flup.server import on_our_pool
from pastepool.adapters.flup.threadpool import ThreadPool

__all__ = ["ThreadPool", "on_our_pool"]
