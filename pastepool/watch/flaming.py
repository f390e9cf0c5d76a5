"""
Make the flame graph of the running pool: a thread looks at the busy workers for some seconds and adds up their stacks.

The cost has a limit: the thread looks at most fifty times a second, and uses at most 2 % of one processor. The graph
shows the cost that was measured. Only one graph is made at a time. The thread ends after its seconds, or when the
server stops.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pastepool.core.ownership import Owner, owner_of
from pastepool.core.telling.report import CodePlace
from pastepool.core.wording import counted
from pastepool.runtime.inspection.stacks import current_frames, stack_of
from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.watching.server_view import ServerView
from pastepool.types import Seconds
from pastepool.watch.flame import FlameTree, svg
from pastepool.watch.wall import rounded

_log = scribbled("pastepool.watch")

CHOICES = (5, 15, 60)
INTERVAL: Seconds = 0.02
COST_SHARE = 0.02
"""The largest part of one processor that looking may use."""

NO_FLAME: Mapping[str, Any] = {
    "running": False,
    "seconds": 0,
    "left": 0.0,
    "samples": 0,
    "ready": False,
    "finished_ago": None,
    "title": "",
    "cost_share": None,
    "choices": list(CHOICES),
}
"""The status of the flame graph, in the form of the JSON, where no graph can be drawn."""


@dataclass
class _Run:
    """One graph that is being made. Only its sampling thread writes to it. ``worker``: 0 means all."""

    seconds: Seconds
    worker: int
    began_at: Seconds
    tree: FlameTree
    looks: int = 0
    cost: Seconds = 0.0

    def title(self) -> str:
        """Return the title: which workers, for how long, and how much was seen."""
        who = f"worker {self.worker}" if self.worker else "all workers"
        return f"{who} for {self.seconds:g} s: {counted(self.looks, 'look')}, {counted(self.tree.root.count, 'stack')}"


@dataclass(frozen=True)
class _Finished:
    picture: bytes
    title: str
    at: Seconds
    cost_share: float


class Flames:
    """
    Makes flame graphs, one at a time, and keeps the last.

    ``_run`` is written under ``_lock``; ``_finished`` is written by the sampling thread.
    """

    def __init__(self, server_view: ServerView, app_root: str) -> None:
        self._server_view = server_view
        self._app_root = app_root
        self._lock = threading.Lock()
        self._run: _Run | None = None
        self._finished: _Finished | None = None

    def start(self, seconds: Seconds, worker: int) -> bool:
        """
        Start a graph of one worker, or of all workers if ``worker`` is 0. Returns False if another graph is being made.

        Raises: RuntimeError: the system has no thread left.
        """
        with self._lock:
            if self._run is not None:
                return False
            self._run = run = _Run(seconds, worker, self._server_view.clock.now(), FlameTree())
            try:
                self._server_view.spawn(lambda: self._sample(run), "pastepool flame graph")
            except RuntimeError:
                self._run = None
                raise
            return True

    def picture(self) -> bytes | None:
        """Return the last finished graph as SVG; None if there is none yet."""
        finished = self._finished
        return None if finished is None else finished.picture

    def status(self) -> dict[str, Any]:
        """Return the status of the graph, in the form of the JSON."""
        run, finished, now = self._run, self._finished, self._server_view.clock.now()
        ends_at = run.began_at + run.seconds if run else now
        return {
            "running": run is not None,
            "seconds": run.seconds if run else 0,
            "left": rounded(max(0.0, ends_at - now)),
            "samples": run.tree.root.count if run else 0,
            "ready": finished is not None,
            "finished_ago": rounded(max(0.0, now - finished.at)) if finished else None,
            "title": finished.title if finished else "",
            "cost_share": finished.cost_share if finished else None,
            "choices": list(CHOICES),
        }

    def _sample(self, run: _Run) -> None:
        try:
            self._look_on(run)
            now = self._server_view.clock.now()
            picture = svg(run.tree, run.title(), self._app_root).encode("utf-8", "replace")
            share = run.cost / max(0.001, now - run.began_at)
            self._finished = _Finished(picture, run.title(), now, round(share, 4))
        except Exception:
            _log.exception("Internal error in the flame graph; please report this")
        finally:
            with self._lock:
                self._run = None

    def _look_on(self, run: _Run) -> None:
        clock, never = self._server_view.clock, threading.Event()
        ends_at = run.began_at + run.seconds
        while clock.now() < ends_at and not self._server_view.draining():
            began = time.thread_time()
            self._look(run)
            took = time.thread_time() - began
            run.cost += took
            clock.wait(never, min(ends_at, clock.now() + max(INTERVAL, took / COST_SHARE)))

    def _look(self, run: _Run) -> None:
        frames = current_frames()
        run.looks += 1
        for worker in self._server_view.workers():
            if worker.task is not None and run.worker in (0, worker.worker_id):
                places = applications_part(stack_of(frames.get(worker.ident)))
                if places:
                    run.tree.add(places)


def applications_part(places: Sequence[CodePlace]) -> Sequence[CodePlace]:
    """
    Cut off the server's calls, with which every stack of a worker begins. ``places``: innermost call first.

    If the worker is in the server's own code, only the innermost of the server's calls is left.
    """
    inner = tuple(itertools.takewhile(lambda place: owner_of(place.file) is not Owner.SERVER, places))
    if len(inner) == len(places) or any(owner_of(place.file) is not Owner.STDLIB for place in inner):
        return inner
    return places[len(inner) : len(inner) + 1]
