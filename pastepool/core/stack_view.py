"""
How a stack is shown to a person: whose code each call is, which line tells most, what the thread does for its client.

Knows paths of source files as Python installs them. Pure: the source lines themselves are read by ``runtime.stacks``.
"""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Sequence

from pastepool.core.report import Place, telling_place


class Owner(enum.Enum):
    """Whose code a call is. Everything but ``OWN`` is folded on the page."""

    OWN = "own"
    LIBRARY = "library"
    STDLIB = "stdlib"
    SERVER = "server"


_SERVER = re.compile(r"[/\\]pastepool[/\\](?:core|http1|runtime|server|settings|watch|wsgi|entrypoints)\b")
_LIBRARY = re.compile(r"[/\\](?:site-packages|dist-packages)[/\\]", re.IGNORECASE)
_STDLIB = re.compile(r"^<|[/\\]lib(?:64)?[/\\]python\d[^/\\]*[/\\]|[/\\]python\d+[/\\]lib[/\\]", re.IGNORECASE)
_INSTALLED = re.compile(
    r"^.*[/\\](?:site-packages|dist-packages)[/\\]|^.*[/\\]lib(?:64)?[/\\]python\d[^/\\]*[/\\]", re.IGNORECASE
)

_WAITS_FOR_CLIENT = re.compile(r"[/\\]pastepool[/\\]runtime[/\\]output\b")
_WRITES = re.compile(r"[/\\]pastepool[/\\](?:runtime[/\\](?:exchange|connection|poller|worker)|wsgi[/\\]call)\b")

_CALLS_THE_APPLICATION = frozenset({"_run", "respond", "run"})


@functools.lru_cache(maxsize=4096)
def owner_of(file: str) -> Owner:
    """Say whose code a file is, by where it lies."""
    if _SERVER.search(file):
        return Owner.SERVER
    if _LIBRARY.search(file):
        return Owner.LIBRARY
    return Owner.STDLIB if _STDLIB.search(file) else Owner.OWN


def short_name(file: str, app_root: str = "") -> str:
    """Name a file from the application's directory, or from the one packages lie in; whole where neither is above."""
    root = app_root.rstrip("/\\")
    if root and file.startswith(root) and file[len(root) : len(root) + 1] in ("/", "\\"):
        return file[len(root) + 1 :]
    found = _SERVER.search(file)
    return file[found.start() + 1 :] if found else _INSTALLED.sub("", file)


def telling_index(frames: Sequence[Place], app_root: str = "") -> int:
    """Say which call of a stack tells its reader most; 0 for an empty one."""
    place = telling_place(tuple(frames), app_root)
    return 0 if place is None else frames.index(place)


def phase_of(frames: Sequence[Place]) -> str:
    """
    Say what a busy worker does for its client, by its innermost calls that are not the interpreter's.

    Returns: ``running`` (in the application, or nobody knows), ``writing``, ``waiting for the client``.
    """
    for place in frames:
        if _WAITS_FOR_CLIENT.search(place.file):
            return "waiting for the client"
        if _WRITES.search(place.file):
            return "running" if place.function.rpartition(".")[2] in _CALLS_THE_APPLICATION else "writing"
        if owner_of(place.file) is not Owner.STDLIB:
            return "running"
    return "running"
