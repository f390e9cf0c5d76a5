"""
What Linux does with processes whose parent ends, for ``preload``: a mold forks its workers twice, so they are orphans.

Source: prctl(2).
"""

from __future__ import annotations

import os
import signal

from pastepool.errors import StartError

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """
    Have the system give this process what its descendants leave behind: a worker that its mold has forked twice.

    Raises: StartError: the system cannot do that.
    """
    if not _set(_PR_SET_CHILD_SUBREAPER, 1):
        raise StartError("preload is set, and this system is not Linux, which it needs; delete preload.")


def end_with_parent(parent: int) -> None:
    """Have the system kill this process when its parent ends, also if a call never returns. ``parent``: its pid."""
    _set(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)  # it has ended before


def _set(what: int, value: int) -> bool:
    """Set one of what Linux keeps of a process. Returns whether that could be done."""
    import ctypes  # a parent without preload does not need it

    try:
        return int(ctypes.CDLL(None).prctl(what, value, 0, 0, 0)) == 0
    except (OSError, AttributeError):
        return False
