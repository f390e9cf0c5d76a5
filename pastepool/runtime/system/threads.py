"""Starting threads: the one place that does."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pastepool.errors import NoThread


def spawn_thread(body: Callable[[], None], name: str) -> None:
    """
    Start a daemon thread (``types.Spawner``).

    Daemon, because a hung application call must never keep the process from exiting; what has to be finished is
    finished by the drain. Raises: NoThread, a RuntimeError, if the system has no thread left.
    """
    try:
        threading.Thread(target=body, name=name, daemon=True).start()
    except RuntimeError as error:
        raise NoThread(str(error)) from error
