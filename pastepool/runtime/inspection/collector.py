"""
Keep the garbage collector out of a few calls of the interpreter in which no Python code may run.

Up to CPython 3.11 a collection can begin wherever an object is made. It runs callbacks and finalizers, and they let
other threads run. From 3.12 on a collection begins only between two bytecode instructions, never inside a call written
in C. So from 3.12 on this module does nothing.
"""

from __future__ import annotations

import gc
import sys
import threading

_BEGINS_INSIDE_OF_CALLS = sys.version_info < (3, 12)

_kept_out = threading.RLock()
"""
Held while the collector is off. Without this lock, two threads that switch it off at the same time could leave it off.
It is reentrant because the same thread can enter again: directly, or in a finalizer that runs on it.
"""


class CollectorKeptOut:
    """
    A context in which no garbage is collected. If the application has switched the collector off, it stays off.

    It is a class and not a generator with ``contextlib.contextmanager``: a kill may land in the code of ``contextlib``,
    but is held back in code of this package (``landing``).

    Runs on: any thread, for microseconds.
    """

    def __enter__(self) -> None:
        if _BEGINS_INSIDE_OF_CALLS:
            _kept_out.acquire()
            self._collects = gc.isenabled()
            gc.disable()

    def __exit__(self, *_: object) -> None:
        if _BEGINS_INSIDE_OF_CALLS:
            if self._collects:
                gc.enable()
            _kept_out.release()
