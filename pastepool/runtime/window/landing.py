"""
Where a kill must not land, although the window is open: inside the few lines that take or give back a lock of
everybody's, or where it would be lost.

An exception that lands between the taking of a lock and the ``try`` that gives it back leaves the lock taken for
ever. Where that lock is an application's own, the application has to live with it (contract P15). But ``logging``,
``threading`` and the import system keep locks that every thread of the process needs, the supervisor too; and
applications call into the pool itself (``add_task``, ``pastepool.kill_after``). Measured on CPython 3.10 to 3.12,
with a victim that does nothing but log: 3 to 4 kills of 100 left the handler's lock behind, and the next line anybody
logged never came back. With this rule: 0 of 30,000.

Looking and raising are one step (``async_exc``): otherwise the thread may have gone on in between, from a harmless
place to one of those. From 3.13 on the exception may come one look of the thread's later than that, at the entry of the
next function at the latest; hence nothing of the import system is hit, where that could be the way out of a lock.

Nor in the callbacks of the standard library's weak collections: they run wherever garbage is found, the interpreter
swallows what is raised in them, and the collection keeps an entry that is dead.

Runs on: supervisor.
"""

from __future__ import annotations

import logging
import threading
import weakref
from types import CodeType, FrameType

from pastepool.core.ownership import must_not_be_hit
from pastepool.runtime.inspection.stacks import frame_of
from pastepool.runtime.window.async_exc import set_async_exc, set_async_exc_inside

_IMPORTING = "<frozen importlib._bootstrap>"
_LOCKING_FILES = frozenset({logging.__file__, threading.__file__})
_LOCKING_CODE = frozenset(
    {"acquire", "release", "__enter__", "__exit__", "_acquireLock", "_releaseLock", "_acquire_restore", "_release_save"}
)
"""
Where the standard library takes and gives back locks in Python, and what those functions are called (3.10 to 3.14).
"""

_WEAK_FILES = frozenset({weakref.__file__, weakref.WeakSet.__init__.__code__.co_filename})
_WEAK_CALLBACKS = frozenset({"_remove", "remove", "_cb"})
"""What is called, in which files, when an entry of a ``WeakSet``, a weak dictionary or a ``WeakMethod`` has died."""


def raise_where_it_may_land(ident: int, exception: type[BaseException]) -> bool | None:
    """
    Raise in a thread if it stands where that hurts nobody else.

    Where frames cannot be looked at (no GIL) it is raised without looking.

    Returns: None if it does not, or has moved on meanwhile, and nothing was raised; False if it has ended.
    """
    frame = frame_of(ident)
    if frame is None:
        return bool(set_async_exc(ident, exception))
    return set_async_exc_inside(frame, ident, exception) if may_land(frame) else None


def may_land(frame: FrameType) -> bool:
    """Say whether an exception raised in a thread's innermost frame would arrive, and do harm to nobody else."""
    return not (
        _locks(frame.f_code) or _would_lose_it(frame.f_code) or must_not_be_hit(_caller_of_threading(frame).f_code)
    )


def _locks(code: CodeType) -> bool:
    """
    Say whether a function of the standard library takes or gives back a lock.

    Those of ``threading`` that merely call ``acquire`` are left out: threads wait in them, and may wait there again
    and again. CPython 3.10 may raise right after such a call, in the caller; the others as well belong to it, because
    they are short.
    """
    if code.co_filename not in _LOCKING_FILES:
        return code.co_filename == _IMPORTING
    return code.co_name in _LOCKING_CODE or (code.co_filename != threading.__file__ and "acquire" in code.co_names)


def _would_lose_it(code: CodeType) -> bool:
    return code.co_name in _WEAK_CALLBACKS and code.co_filename in _WEAK_FILES


def _caller_of_threading(frame: FrameType) -> FrameType:
    """``Event.set`` and the like take a lock for whoever calls them."""
    while frame.f_code.co_filename == threading.__file__ and frame.f_back is not None:
        frame = frame.f_back
    return frame
