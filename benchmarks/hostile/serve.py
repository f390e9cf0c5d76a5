"""
Run pastepool for the hostile inputs: ``python -m benchmarks.hostile.serve PORT LOGGED``.

``LOGGED``: 1 to write an access log, 0 to write none. The options are the defaults, except for the number of
connections: how many there may be is measured by tests.
"""

from __future__ import annotations

import logging
import os
import sys

from benchmarks.app import app
from benchmarks.servers import HOST, THREADS
from pastepool.entrypoints import http

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, filename=os.devnull)
    serve = http(
        {},
        host=HOST,
        port=sys.argv[1],
        threadpool_workers=str(THREADS),
        access_log="true" if sys.argv[2] == "1" else "false",
    )
    serve(app)
