"""
Name the modules of the standard library in whose functions nothing is raised. Pure; any thread.

They take and give back locks that every thread of the process needs, or run where the interpreter swallows an exception
and an entry of a weak collection would stay behind for ever. Their functions are short or wait in C: a thread that
runs Python is soon back in the code that called them. Ours: found by experiments on CPython 3.10 to 3.15.
"""

from __future__ import annotations

import dis
import re
from pathlib import PurePath

_FOLDER = re.escape(str(PurePath(dis.__file__).parent))
_MODULES = (
    "threading",
    "_?weakref(?:set)?",
    "queue",
    "contextlib",
    "functools",
    "logging/[a-z_]+",
    "concurrent/futures/[a-z_]+",
    "importlib/[a-z_]+",
    "multiprocessing/[a-z_]+",
)
_SPARED = re.compile(
    rf"{_FOLDER}/(?:{'|'.join(_MODULES)})\.py$|^<frozen (?:importlib\._bootstrap(?:_external)?|_weakrefset|zipimport)>$",
    re.IGNORECASE,
)


def is_spared(file: str) -> bool:
    """Say whether nothing is raised in the functions of a file. ``file``: its path, as a code object names it."""
    return _SPARED.search(file) is not None
