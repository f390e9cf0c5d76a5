"""Run another server that is a library and not a command: ``python -m benchmarks.serve_peer NAME PORT``."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable

from benchmarks.app import app
from benchmarks.servers import CONNECTIONS, HOST, KEEP_ALIVE, THREADS


def waitress(port: int) -> None:
    """
    Serve with waitress. It uses poll, because select cannot hold 10,000 connections.

    When ten requests wait, waitress logs a warning for every further one. This is switched off, because writing the
    warnings would be measured too.
    """
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    importlib.import_module("waitress").serve(
        app,
        host=HOST,
        port=port,
        threads=THREADS,
        backlog=4096,
        connection_limit=CONNECTIONS,
        channel_timeout=KEEP_ALIVE,
        asyncore_use_poll=True,
    )


def cheroot(port: int) -> None:
    """
    Serve with cheroot.

    Its limit of ten kept-alive connections is raised. Otherwise it would close the other 54 after each answer.
    """
    server = importlib.import_module("cheroot.wsgi").Server(
        (HOST, port), app, numthreads=THREADS, max=THREADS, request_queue_size=4096, timeout=KEEP_ALIVE
    )
    server.keep_alive_conn_limit = CONNECTIONS
    server.start()


def bjoern(port: int) -> None:
    """Serve with bjoern. It has one thread, no pool and is written in C: the least CPU time, if no call blocks."""
    importlib.import_module("bjoern").run(app, HOST, port, listen_backlog=4096)


PEERS: dict[str, Callable[[int], None]] = {"waitress": waitress, "cheroot": cheroot, "bjoern": bjoern}

if __name__ == "__main__":
    PEERS[sys.argv[1]](int(sys.argv[2]))
