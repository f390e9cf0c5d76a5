"""Collect facts about the process that serves. A fact that the system does not provide is None; nothing raises."""

from __future__ import annotations

import contextlib
import gc
import os
import platform
import socket
import sys
import threading
import time
from typing import Any

from pastepool import __version__
from pastepool.runtime.inspection.memory import resident_size
from pastepool.types import Seconds
from pastepool.watch.wall import Wall, rounded

with contextlib.suppress(ImportError):  # this module exists on Unix only
    import resource


class Process:
    """
    Collects the facts. For the CPU share it keeps the CPU time at the start of an interval. A new interval starts when
    the facts are asked for and the present one has lasted half a second. The first one starts when this object is made.

    ``began_at``: when the server started. ``now``: this instant.
    """

    def __init__(self, began_at: Seconds, now: Seconds) -> None:
        self._began_at = began_at
        self._cpu_at = time.process_time()
        self._at = now
        self._share: float | None = None

    def facts(self, wall: Wall) -> dict[str, Any]:
        """Describe the process."""
        cpu = time.process_time()
        if wall.now >= self._at + 0.5:
            self._share = round(max(0.0, cpu - self._cpu_at) / (wall.now - self._at), 3)
            self._cpu_at, self._at = cpu, wall.now
        memory, peak = resident_size(os.getpid()), _peak()
        return {
            "version": __version__,
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "platform": sys.platform,
            "started_at": wall.text(self._began_at),
            "uptime": wall.ago(self._began_at),
            "memory": memory,
            # The kernel counts the two in different ways, and the peak may lag behind.
            "memory_peak": peak if memory is None or peak is None else max(memory, peak),
            "descriptors": _descriptors(),
            "descriptor_limit": _descriptor_limit(),
            "threads": threading.active_count(),
            "cpu_seconds": rounded(cpu),
            "cpu_share": self._share,
            "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
            "gc": _generations(),
        }


def _generations() -> list[dict[str, int]]:
    tracked, thresholds = gc.get_count(), gc.get_threshold()
    return [
        {
            "generation": number,
            "tracked": tracked[number],
            "threshold": thresholds[number],
            "collections": stats["collections"],
            "collected": stats["collected"],
        }
        for number, stats in enumerate(gc.get_stats())
    ]


def _peak() -> int | None:
    if "resource" not in globals():
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024


def _descriptors() -> int | None:
    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            return len(os.listdir(folder)) - 1  # listing the folder opens one descriptor itself
        except OSError:
            continue
    return None


def _descriptor_limit() -> int | None:
    if "resource" not in globals():
        return None
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if soft == resource.RLIM_INFINITY else int(soft)
