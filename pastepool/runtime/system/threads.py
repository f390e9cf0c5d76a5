"""Start the threads of the server."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pastepool.errors import NoThread
from pastepool.runtime.system import forks


def spawn_thread(body: Callable[[], None], name: str) -> None:
    """
    Start a daemon thread (``types.Spawner``).

    The thread is a daemon, because a hung application call must never keep the process from exiting. The drain finishes
    what has to be finished. If code of the application forks on this thread, and ``body`` returns or raises in the
    child, the child ends. Raises: NoThread, a RuntimeError, if the system cannot start another thread.
    """
    born = forks.generation()

    def run() -> None:
        try:
            body()
        except BaseException as error:
            forks.end_if_child(born, name, error)
            raise
        forks.end_if_child(born, name, None)

    try:
        threading.Thread(target=run, name=name, daemon=True).start()
    except RuntimeError as error:
        raise NoThread(str(error)) from error
