"""An application that hangs until the test lets it go, and clients that ask and do not wait."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tests.server.serving import Client, Environ, Running, path_echo
from tests.waiting import WATCHDOG


@contextlib.contextmanager
def asked(run: Running, *targets: str) -> Iterator[list[Client]]:
    """One connection for each target, each asked for and not waited for."""
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(run.client()) for _ in targets]
        for client, target in zip(opened, targets, strict=True):
            client.ask(target)
        yield opened


class Hanging:
    """
    Hangs where the path begins with ``/hang``; every other path is answered at once. A context manager that lets all go.

    It hangs in Python, so that a kill lands. ``outcomes``: how each call ended, by path: ``returned`` or the name of an
    exception.
    """

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}
        self._entered = threading.Semaphore(0)
        self._released = False

    def __enter__(self) -> Hanging:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()

    def release(self) -> None:
        """Let every call return."""
        self._released = True

    def await_calls(self, count: int = 1) -> None:
        """Wait until so many more calls hang."""
        for _ in range(count):
            assert self._entered.acquire(timeout=WATCHDOG), "the application was not called"

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith("/hang"):
            self._hang(path)
        return path_echo(environ, start_response)

    def _hang(self, path: str) -> None:
        try:
            self._entered.release()
            self._compute()
        except BaseException as error:
            self.outcomes[path] = type(error).__name__
            raise
        self.outcomes[path] = "returned"

    def _compute(self) -> None:
        """In a function of its own: directly inside a ``try``, some CPythons lose an exception from outside."""
        while not self._released:
            time.sleep(0.001)
