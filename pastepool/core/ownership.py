"""
Decide whose code a source file is: the application's, a library's, the standard library's, or ours.

The page, the log, and the rule that no kill may land in our own code all use this module. Our own code is every file in
the folder of this package. It does not matter where the package is installed or how its rooms are named. Pure; any
thread.
"""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Callable
from pathlib import PurePath
from types import CodeType
from typing import TypeVar

PACKAGE_ROOT = str(PurePath(__file__).parents[1])
"""The folder of the package ``pastepool`` that is running."""

_LIBRARY = re.compile(r"[/\\](?:site-packages|dist-packages)[/\\]", re.IGNORECASE)
_STDLIB = re.compile(r"^<|[/\\]lib(?:64)?[/\\]python\d[^/\\]*[/\\]|[/\\]python\d+[/\\]lib[/\\]", re.IGNORECASE)

_DEMONSTRATION = ("demo",)
_APPLICATIONS = ("demo", "watch")
"""Rooms of the package that are WSGI applications. A worker runs them like any other application."""

_Function = TypeVar("_Function", bound=Callable[..., object])

_calls_applications: set[CodeType] = set()


class Owner(enum.Enum):
    """Whose code a call is. ``OWN``: the application's. ``SERVER``: ours. The page folds all but ``OWN``."""

    OWN = "own"
    LIBRARY = "library"
    STDLIB = "stdlib"
    SERVER = "server"


@functools.lru_cache(maxsize=4096)
def owner_of(file: str, app_root: str = "") -> Owner:
    """
    Say whose code a file is, by its path.

    Args:
        file: its path, as a code object names it.
        app_root: the application's folder, if it is known. The files below it are the application's, except for those
            of an environment of libraries in it.
    """
    if _is_inside(file) and not _is_inside(file, _DEMONSTRATION):
        return Owner.SERVER
    judged = below(file, app_root)
    if _LIBRARY.search(judged):
        return Owner.LIBRARY
    return Owner.STDLIB if _STDLIB.search(judged) else Owner.OWN


def below(file: str, root: str) -> str:
    """Return a file's path relative to a folder. The path is unchanged if it lies elsewhere or no folder is given."""
    base = root.rstrip("/\\")
    if base and file.startswith(base) and file[len(base) : len(base) + 1] in ("/", "\\"):
        return file[len(base) + 1 :]
    return file


def calls_application(function: _Function) -> _Function:
    """
    Mark a function of ours that calls the application: a kill may land in it, although it is ours.

    While the application runs a callable written in C, the marked function is the innermost Python function of its
    thread. If kills were forbidden there, they could not reach such an application.
    """
    _calls_applications.add(function.__code__)
    return function


def must_not_be_hit(code: CodeType) -> bool:
    """Say whether a kill that landed in this code would break our own bookkeeping."""
    if code in _calls_applications or not _is_inside(code.co_filename):
        return False
    return not _is_inside(code.co_filename, _APPLICATIONS)


def own_file(name: str) -> str:
    """Return the full path of one of our modules. ``name``: its path in the package, such as ``wsgi/call.py``."""
    return str(PurePath(PACKAGE_ROOT, name))


def _is_inside(file: str, rooms: tuple[str, ...] = ()) -> bool:
    """Say whether a file lies in the package or, if ``rooms`` are given, in one of those rooms of the package."""
    name = below(file, PACKAGE_ROOT)
    if name == file:
        return False
    return not rooms or PurePath(name).parts[0] in rooms
