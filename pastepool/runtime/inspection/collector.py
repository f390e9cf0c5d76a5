"""
Keeping the garbage collector out of a few calls of the interpreter in which no Python code may run.

Up to CPython 3.11 it begins wherever an object is made, and runs callbacks and finalizers, which let other threads run.
From 3.12 on it begins between two instructions only, never inside of a call written in C, and there is nothing to do.
"""

from __future__ import annotations

import gc
import sys
import threading

_BEGINS_INSIDE_OF_CALLS = sys.version_info < (3, 12)

_kept_out = threading.RLock()
"""Held while it is off, or two threads at once would leave it off. A finalizer, or the thread itself, may come again."""


class CollectorKeptOut:
    """
    A context in which no garbage is collected; one that an application has switched off stays off.

    Not made by ``contextlib``: a kill may land there, and is held back in code of ours (``landing``).

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
