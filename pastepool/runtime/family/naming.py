"""
Name this process in the list of processes.

With the package ``setproctitle`` the whole command line is replaced. Without it Linux shows 15 characters (``ps -o comm``).
"""

from __future__ import annotations

import contextlib
import importlib
import os
from pathlib import Path

from pastepool.settings.values import Settings


def middle_of(settings: Settings) -> str:
    """Return what names the server: ``display_name``, or its file and section."""
    file = os.path.basename(settings.config_file)
    return settings.display_name or f"{file} {settings.section.partition(':')[2]}".strip()


def name_process(middle: str, what: str, short: str) -> None:
    """Name it ``pastepool: MIDDLE WHAT``, or ``pastepool SHORT``. Raises nothing."""
    try:
        titles = importlib.import_module("setproctitle")
    except ImportError:
        with contextlib.suppress(OSError):  # not Linux
            Path("/proc/self/comm").write_text(f"pastepool {short}", encoding="utf-8")
        return
    titles.setproctitle(f"pastepool: {middle} {what}")
