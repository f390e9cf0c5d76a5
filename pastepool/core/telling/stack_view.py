"""
Decide how a stack is shown to a person: names of files, the call that tells most, what the worker does for its client.

Knows paths of source files as Python installs them. Pure: the source lines themselves are read elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath

from pastepool.core.ownership import PACKAGE_ROOT, Owner, below, own_file, owner_of
from pastepool.core.telling.report import CodePlace, telling_place

_INSTALLED = re.compile(
    r"^.*[/\\](?:site-packages|dist-packages)[/\\]|^.*[/\\]lib(?:64)?[/\\]python\d[^/\\]*[/\\]", re.IGNORECASE
)

_OUTPUT = own_file("runtime/http/output.py")
_WAITS_FOR_CLIENT = "wait_for_room"
_WRITES = frozenset(
    {
        own_file("runtime/http/connection.py"),
        own_file("runtime/http/exchange.py"),
        own_file("runtime/http/transmitting.py"),
        own_file("runtime/http/returning.py"),
        own_file("runtime/http/spool.py"),
        own_file("runtime/pool/worker.py"),
        own_file("runtime/sockets/waker.py"),
        own_file("wsgi/call.py"),
    }
)

_CALLS_THE_APPLICATION = frozenset({"_run", "respond", "run"})


def short_name(file: str, app_root: str = "") -> str:
    """
    Return a file's path relative to the application's directory, or to the directory of packages that it lies in.

    The path is returned whole if the file lies in neither.
    """
    named = below(file, app_root)
    if named == file and owner_of(file) is Owner.SERVER:
        named = below(file, str(PurePath(PACKAGE_ROOT).parent))
    return _INSTALLED.sub("", file) if named == file else named


def telling_index(frames: Sequence[CodePlace], app_root: str = "") -> int:
    """Return the index of the call that tells its reader most; 0 for an empty stack."""
    place = telling_place(tuple(frames), app_root)
    return 0 if place is None else frames.index(place)


def phase_of(frames: Sequence[CodePlace]) -> str:
    """
    Say what a busy worker does for its client, by its innermost call that is not of the standard library.

    Returns: ``running`` (in the application, or not known), ``writing``, ``waiting for the client``.
    """
    for place in frames:
        if place.file == _OUTPUT:
            return "waiting for the client" if _WAITS_FOR_CLIENT in place.function else "writing"
        if place.file in _WRITES:
            return "running" if place.function.rpartition(".")[2] in _CALLS_THE_APPLICATION else "writing"
        if owner_of(place.file) is not Owner.STDLIB:
            return "running"
    return "running"
