"""
Where a kill must not land, although the window is open: inside the few lines that take or give back a lock of
everybody's.

An exception that lands between the taking of a lock and the ``try`` that gives it back leaves the lock taken for
ever. Where that lock is an application's own, the application has to live with it (contract P15). But ``logging``,
``threading`` and the import system keep locks that every thread of the process needs, the supervisor too; and
applications call into the pool itself (``add_task``, ``pastepool.kill_after``). Measured on CPython 3.10 to 3.12,
with a victim that does nothing but log: 3 to 4 kills of 100 left the handler's lock behind, and the next line anybody
logged never came back. With this rule: 0 of 30,000.

Why looking first is enough: whoever looks has the interpreter's lock, so the victim stands still, and what is
injected before that lock is let go lands where the victim stands now. A thread that has just got the lock keeps it
for some milliseconds.

Runs on: supervisor.
"""

from __future__ import annotations

import logging
import os
import threading
from types import CodeType, FrameType

from pastepool.runtime.stacks import current_frames

_HERE = os.path.dirname(__file__) + os.sep

_IMPORTING = "<frozen importlib._bootstrap>"
_LOCKING_FILES = frozenset({logging.__file__, threading.__file__, _IMPORTING})
_LOCKING_CODE = frozenset(
    {"acquire", "release", "__enter__", "__exit__", "_acquireLock", "_releaseLock", "_acquire_restore", "_release_save"}
)
"""
Where the standard library takes and gives back locks in Python, and what those functions are called (3.10 to 3.14).
"""

_MAY_BE_HIT = _HERE + "background.py"
"""Ours, and the innermost frame there is while it runs a callable that is no Python."""


def may_land(ident: int) -> bool:
    """
    Say whether an exception injected into a thread now would do harm to nobody else.

    Always, where frames cannot be looked at (no GIL) or the thread has ended.
    """
    frame = current_frames().get(ident)
    if frame is None:
        return True
    return not (_locks(frame.f_code) or _is_ours(_caller_of_threading(frame)))


def _locks(code: CodeType) -> bool:
    """
    Say whether a function of the standard library takes or gives back a lock.

    Those of ``threading`` that merely call ``acquire`` are left out: threads wait in them, and may wait there again
    and again. CPython 3.10 may raise right after such a call, in the caller; the others as well belong to it, because
    they are short.
    """
    if code.co_filename not in _LOCKING_FILES:
        return False
    return code.co_name in _LOCKING_CODE or (code.co_filename != threading.__file__ and "acquire" in code.co_names)


def _caller_of_threading(frame: FrameType) -> FrameType:
    """``Event.set`` and the like take a lock for whoever calls them."""
    while frame.f_code.co_filename == threading.__file__ and frame.f_back is not None:
        frame = frame.f_back
    return frame


def _is_ours(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    return file.startswith(_HERE) and file != _MAY_BE_HIT
