"""
Count the bytecode instructions that a request executes: ``python -m benchmarks.bytecodes [SCENARIO ...]``.

They depend on nothing but our code, the application's and the version of CPython: neither on the build nor on the
machine nor on its load. So a test holds them (``tests/server/test_bytecodes.py``). What is written in C, here and in the
interpreter, is one instruction; ``benchmarks.instructions`` looks into it.

The interpreter reports each instruction of the threads of a server in this process. This makes it some thirty times
slower, so the times that depend on how long a call takes are longer here, as for ``benchmarks.serve_counted``.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stdout
from types import FrameType
from typing import Any

from benchmarks import app
from benchmarks.instructions import COUNTED, Client
from benchmarks.scenarios import SCENARIOS
from benchmarks.serve_counted import lengthen_times

REQUESTS = 100
WARM_UP = 50
COUNTS = 3
"""How often they are counted. The median is taken: in one of the counts a keeper of the pool may have had its turn."""


class Counting:
    """
    Counts the instructions of each thread that starts after ``install``.

    Source: ``sys.settrace`` with ``frame.f_trace_opcodes``.
    """

    def __init__(self) -> None:
        self._by_thread: Counter[int] = Counter()

    def install(self) -> None:
        """Trace the threads that start from now on."""
        threading.settrace(self._trace)

    def take(self) -> int:
        """Return the count of the busiest thread since the last call: that of the only worker that had requests."""
        counted, self._by_thread = self._by_thread, Counter()
        return max(counted.values(), default=0)

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            self._by_thread[threading.get_ident()] += 1
        return self._trace


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bytecodes", description=__doc__.split("\n")[1])
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"all if none is named: {', '.join(COUNTED)}")
    found = parser.parse_args(argv)
    unknown = sorted({*found.scenarios} - {*COUNTED})
    if unknown:
        parser.error(f"{', '.join(unknown)}: not one of {', '.join(COUNTED)}.")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Count, and print one line for each scenario. Returns the exit status."""
    options = arguments(argv)
    lengthen_times()
    from pastepool import ServerThread  # after the times were changed

    counting = Counting()
    counting.install()
    settings = {"host": "127.0.0.1", "port": "0", "threadpool_workers": "10"}
    server = ServerThread(settings, lambda environ, start: app.ROUTES[environ["PATH_INFO"]](environ, start))
    with redirect_stdout(sys.stderr):
        server.start()  # it says where it serves
    try:
        port = server.listeners[0].socket.getsockname()[1]
        for row in SCENARIOS:
            if row.name in (options.scenarios or COUNTED):
                sys.stdout.write(f"{row.name:<10} {_per_request(counting, Client(row.load, port)):>7,}\n")
    finally:
        threading.settrace(None)
        server.stop()
        server.wait()
    return 0


def _per_request(counting: Counting, client: Client) -> int:
    client.ask(WARM_UP)
    counts = []
    for _ in range(COUNTS):
        counting.take()
        client.ask(REQUESTS)
        counts.append(counting.take())
    client.close()
    return round(statistics.median(counts) / REQUESTS)


if __name__ == "__main__":
    sys.exit(main())
