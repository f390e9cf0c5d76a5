"""
The pid file of Zope's ``runwsgi``.

``paster`` and ``pserve`` write a pid file before there are workers, so it names the parent. ``runwsgi`` writes one when
the application is loaded, which is in each worker, and removes it when that worker ends. An operator who sends SIGTERM to
the pid in it would have one worker replaced. So each worker writes the pid of the parent instead, and only the end of all
removes the file.

Source: ``Zope2.Startup.serve`` of Zope 4 to 6.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def name_parent(parent: int, stops: Callable[[], bool]) -> None:
    """
    Let Zope's pid file name the parent, if this worker was started by Zope's command.

    ``stops``: says at the end of this process whether all end. Runs on: a worker, after the command has written the file.
    """
    module = sys.modules.get("App.config")
    configuration: Any = None if module is None else module.getConfiguration()
    path = getattr(configuration, "pid_filename", "")
    if configuration is None or not path:
        return
    with contextlib.suppress(OSError):  # Zope passes over a file that it may not write, too
        beside = Path(f"{path}.{os.getpid()}")
        beside.write_text(str(parent), encoding="ascii")
        beside.replace(path)
    configuration.pid_filename = ""  # so the command does not remove the file when this worker ends
    atexit.register(_remove, Path(path), parent, stops)


def _remove(path: Path, parent: int, stops: Callable[[], bool]) -> None:
    """Remove the file at the end of all, unless a new server has it already."""
    with contextlib.suppress(OSError, ValueError):
        if stops() and int(path.read_text(encoding="ascii")) == parent:
            path.unlink()
