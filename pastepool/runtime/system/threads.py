"""Start the threads of the server."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pastepool.errors import NoThread
from pastepool.runtime.system import forks
from pastepool.types import Spawner


class _ServerThread(threading.Thread):
    """
    A daemon thread whose daemon flag is not inherited by the threads that the application starts on it.

    A new thread is a daemon if the thread that makes it says that it is one (``threading.Thread``). So this thread says
    no when it asks itself while it runs. A thread of the application is then what it is in any program: no daemon unless
    it is told to be one, so that the interpreter waits for it at its exit.
    """

    _runs = False

    def run(self) -> None:
        self._runs = True
        try:
            super().run()
        finally:
            self._runs = False

    @property
    def daemon(self) -> bool:  # type: ignore[override]
        return not (self._runs and threading.get_ident() == self.ident)


def spawn_thread(body: Callable[[], None], name: str) -> None:
    """
    Start a daemon thread (``types.Spawner``).

    The thread is a daemon, because a hung application call must never keep the process from exiting. The drain finishes
    what has to be finished. If code of the application forks on this thread, and ``body`` returns or raises in the
    child, the child ends. Raises: NoThread, a RuntimeError, if the system cannot start another thread.
    """
    try:
        _ServerThread(target=_ending_in_child(body, name), name=name, daemon=True).start()
    except RuntimeError as error:
        raise NoThread(str(error)) from error


def spawner_on(call_in_thread: Callable[[Callable[[], None]], object]) -> Spawner:
    """
    Return what runs a body as one call in the pool of another framework (``types.Spawner``, contract F4).

    ``call_in_thread``: gives a function to that pool. The thread is the framework's: its name and its end are too.
    """

    def spawn(body: Callable[[], None], name: str) -> None:
        call_in_thread(_ending_in_child(body, name))

    return spawn


def _ending_in_child(body: Callable[[], None], name: str) -> Callable[[], None]:
    born = forks.generation()

    def run() -> None:
        try:
            body()
        except BaseException as error:
            forks.end_if_child(born, name, error)
            raise
        forks.end_if_child(born, name, None)

    return run
