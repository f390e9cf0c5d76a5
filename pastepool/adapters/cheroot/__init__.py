"""
cheroot's server, and CherryPy's, on our pool: ``use_in(server)``, ``ThreadPool`` or ``Server``.

cheroot gives a connection to its pool before the first byte has come. So such a piece of work holds requests, and each
call of the gateway is one. Many names in this package are cheroot's.
"""

from __future__ import annotations

import inspect
from typing import Any

from pastepool.adapters.missing import needs

with needs("cheroot"):
    import cheroot.wsgi

from pastepool.adapters.cheroot.threadpool import ThreadPool

__all__ = ["Server", "ThreadPool", "use_in"]


def use_in(server: Any, **options: object) -> Any:
    """
    Put our pool in the place of the one that a server of cheroot has. Call it before ``prepare``. Returns the server.

    ``options``: those of ``WorkerPool``.
    """
    old = server.requests
    server.requests = ThreadPool(server, old.min, old.max, old._queue.maxsize, old._queue_put_timeout, **options)
    return server


class Server(cheroot.wsgi.Server):
    """``cheroot.wsgi.Server`` on our pool. It takes cheroot's arguments, and the options of ``WorkerPool``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        theirs = inspect.signature(cheroot.wsgi.Server.__init__).parameters
        super().__init__(*args, **{name: value for name, value in kwargs.items() if name in theirs})
        use_in(self, **{name: value for name, value in kwargs.items() if name not in theirs})
