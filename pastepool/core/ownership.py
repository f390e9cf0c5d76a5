"""
Whose code a source file is: the application's, a library's, the standard library's, or ours.

Decided here once, for the page, for the log, and for the rule that spares our own code from a kill. Ours is what lies in
the folder of this package, wherever that is installed and however its rooms are called. Pure; any thread.
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
"""The folder ``pastepool`` of this very installation."""

_LIBRARY = re.compile(r"[/\\](?:site-packages|dist-packages)[/\\]", re.IGNORECASE)
_STDLIB = re.compile(r"^<|[/\\]lib(?:64)?[/\\]python\d[^/\\]*[/\\]|[/\\]python\d+[/\\]lib[/\\]", re.IGNORECASE)

_DEMONSTRATION = ("demo",)
_APPLICATIONS = ("demo", "watch")
"""Rooms of the package that are WSGI applications: a worker runs them like any other application."""

_Function = TypeVar("_Function", bound=Callable[..., object])

_calls_applications: set[CodeType] = set()


class Owner(enum.Enum):
    """Whose code a call is. Everything but ``OWN`` is folded on the page."""

    OWN = "own"
    LIBRARY = "library"
    STDLIB = "stdlib"
    SERVER = "server"


@functools.lru_cache(maxsize=4096)
def owner_of(file: str, app_root: str = "") -> Owner:
    """
    Say whose code a file is, by where it lies.

    Args:
        file: as a code object names it.
        app_root: the application's folder, where known. What lies below it is the application's, except for an
            environment of libraries in it.
    """
    if _is_inside(file) and not _is_inside(file, _DEMONSTRATION):
        return Owner.SERVER
    judged = below(file, app_root)
    if _LIBRARY.search(judged):
        return Owner.LIBRARY
    return Owner.STDLIB if _STDLIB.search(judged) else Owner.OWN


def below(file: str, root: str) -> str:
    """Name a file from a folder; as it is when it lies elsewhere, or when no folder is given."""
    base = root.rstrip("/\\")
    if base and file.startswith(base) and file[len(base) : len(base) + 1] in ("/", "\\"):
        return file[len(base) + 1 :]
    return file


def calls_application(function: _Function) -> _Function:
    """
    Mark a function of ours that calls the application.

    While the application runs a callable written in C, such a function is the innermost Python there is. A kill may
    land in it, although it is ours.
    """
    _calls_applications.add(function.__code__)
    return function


def must_not_be_hit(code: CodeType) -> bool:
    """Say whether a kill that landed in this code would break our own bookkeeping."""
    if code in _calls_applications or not _is_inside(code.co_filename):
        return False
    return not _is_inside(code.co_filename, _APPLICATIONS)


def own_file(name: str) -> str:
    """Give the path of one of our modules from its path in the package: ``wsgi/call.py``."""
    return str(PurePath(PACKAGE_ROOT, name))


def _is_inside(file: str, rooms: tuple[str, ...] = ()) -> bool:
    """Say whether a file lies in the package, or in one of these rooms of it."""
    name = below(file, PACKAGE_ROOT)
    if name == file:
        return False
    return not rooms or PurePath(name).parts[0] in rooms
