"""Say which interpreter runs us, where that changes what may be done. Pure; any thread."""

from __future__ import annotations

import sys


def runs_without_gil() -> bool:
    """
    Say whether threads run Python at the same time.

    That is so on a free-threaded build, unless an extension or the environment has switched the GIL on.
    """
    enabled = getattr(sys, "_is_gil_enabled", None)
    return enabled is not None and not enabled()
