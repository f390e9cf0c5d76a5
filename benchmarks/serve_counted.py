"""
Run pastepool so that its instructions can be counted: ``python -m benchmarks.serve_counted PORT``.

An interpreter under valgrind is some fifty times slower, so a call of a microsecond looks like a long one, and the baton
would change hands before each call, no piece of a response would come right behind the one before it, and many requests
would be noted as slow. Therefore the times by which that is decided are longer here. They are changed before the modules
that use them are imported.
"""

from __future__ import annotations

import runpy

from pastepool.core import dispatch
from pastepool.core.telling import slowest
from pastepool.runtime.http import joining

SLOWER = 1000
"""By how much: far more than valgrind slows the interpreter down, also on a busy machine."""

TIMES = {
    dispatch: ("LOOK_EVERY", "LOOK_AT_LEAST_EVERY", "PASS_ABOVE", "NEGLIGIBLE", "LONG"),
    joining: ("NO_PAUSE", "KEPT_AT_MOST"),
    slowest: ("SLOW_FROM",),
}


def lengthen_times() -> None:
    """Change the times. Call this before the modules that use them are imported."""
    for module, names in TIMES.items():
        for name in names:
            setattr(module, name, getattr(module, name) * SLOWER)


if __name__ == "__main__":
    lengthen_times()
    runpy.run_module("benchmarks.serve_pastepool", run_name="__main__")
