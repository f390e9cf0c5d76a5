"""
Name this process in the list of processes.

With the package ``setproctitle`` the whole command line is replaced. Without it Linux shows 15 characters (``ps -o comm``).
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
from typing import Any

from pastepool.settings.values import Settings


def middle_of(settings: Settings) -> str:
    """Return what names the server: ``display_name``, or its file and section."""
    file = os.path.basename(settings.config_file)
    return settings.display_name or f"{file} {settings.section.partition(':')[2]}".strip()


def name_process(middle: str, what: str, short: str) -> None:
    """Name it ``pastepool: MIDDLE WHAT``, or ``pastepool SHORT``. Raises nothing."""
    titles = _titles()
    if titles is not None:
        titles.setproctitle(f"pastepool: {middle} {what}")
        return
    with contextlib.suppress(OSError):  # not Linux
        descriptor = os.open("/proc/self/comm", os.O_WRONLY)
        try:
            os.write(descriptor, f"pastepool {short}".encode())
        finally:
            os.close(descriptor)


@functools.cache
def _titles() -> Any:
    """
    Return the module that sets titles; None if it is not installed. The parent looks for it, and so its children know.

    To look for a module that is not there changes half a megabyte that a worker would otherwise share with its mold.
    """
    try:
        return importlib.import_module("setproctitle")
    except ImportError:
        return None
