"""
Kill one request after the other on a server whose page is watched, and count what the process keeps.

As a program, ``python -m tests.watch.soaking 200 800``, it prints how many objects and bytes there are more after 800 kills
than after 200, as JSON: in a test, pytest keeps all that is logged.
"""

from __future__ import annotations

import gc
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tests.waiting import WATCHDOG, until
from tests.watch.watching import Watched, watched

_PAGE = 4096


class Hanging:
    """An application that loops for ever below ``/hang``. Each call has a few thousand objects of its own."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        rows = [{"number": str(number)} for number in range(500)]
        if environ["PATH_INFO"] == "/hang":
            self._deep(5, rows)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(len(rows)).encode()]

    def _deep(self, calls: int, rows: list[dict[str, str]]) -> None:
        if calls:
            self._deep(calls - 1, rows)
        self.entered.release()
        while True:
            time.sleep(0.0005)  # else each step of the test would wait for its turn to run


def kill_one(run: Watched, app: Hanging) -> None:
    """Let a request hang, show it on the page, kill it, and wait until its worker has ended."""
    with run.client() as client:
        client.ask("/hang")
        assert app.entered.acquire(timeout=WATCHDOG)
        parts = run.server.parts
        worker, task = next(
            (worker, task)
            for worker in list(parts.pool.workers.values())
            for task in [worker.task]
            if task is not None and "/hang" in task.title()
        )
        run.ask("/api/v1/state")
        parts.supervisor.ask_kill(worker.worker_id, task.serial)
        client.rest()
    worker.thread.join(WATCHDOG)
    assert not worker.thread.is_alive()


def objects() -> Counter[str]:
    """
    Return how many objects there are of each type that the collector knows. Pytest keeps the log records of a test.

    Waits until what the last kills have left is cleared away, for which the server takes a tenth of the time.
    """
    cleared = lambda: all(thread.name != "pastepool clearing" for thread in threading.enumerate())  # noqa: E731
    until(cleared, "what killed calls have left is cleared away")
    gc.collect()
    found = Counter(f"{type(found).__module__}.{type(found).__qualname__}" for found in gc.get_objects())
    del found["logging.LogRecord"]
    return found


def resident() -> int:
    """Return the memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE


def soak(warm_up: int, more: int) -> dict[str, object]:
    """Return how many objects, by type, and bytes there are more after ``more`` kills than before them."""
    app = Hanging()
    with watched(app, allow_kill=True, threadpool_workers=2) as run:
        for _ in range(warm_up):
            kill_one(run, app)
        objects_before, resident_before = objects(), resident()
        for _ in range(more):
            kill_one(run, app)
        return {"objects": objects() - objects_before, "bytes": resident() - resident_before}


if __name__ == "__main__":
    json.dump(soak(int(sys.argv[1]), int(sys.argv[2])), sys.stdout)
