"""Run pastepool with the benchmark's application: ``python -m benchmarks.serve_pastepool PORT [PROCESSES]``."""

from __future__ import annotations

import sys

from benchmarks.app import app
from benchmarks.servers import CONNECTIONS, HOST, KEEP_ALIVE, THREADS
from pastepool.entrypoints import http

if __name__ == "__main__":
    serve = http(
        {},
        host=HOST,
        port=sys.argv[1],
        **({"processes": sys.argv[2]} if len(sys.argv) > 2 else {}),
        threadpool_workers=str(THREADS),
        queue_limit=str(CONNECTIONS),
        connection_limit=str(CONNECTIONS),
        keep_alive_timeout=str(KEEP_ALIVE),
    )
    serve(app)
