"""Start the threads of the server."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pastepool.errors import NoThread


def spawn_thread(body: Callable[[], None], name: str) -> None:
    """
    Start a daemon thread (``types.Spawner``).

    The thread is a daemon, because a hung application call must never keep the process from exiting. The drain finishes
    what has to be finished. Raises: NoThread, a RuntimeError, if the system cannot start another thread.
    """
    try:
        threading.Thread(target=body, name=name, daemon=True).start()
    except RuntimeError as error:
        raise NoThread(str(error)) from error
