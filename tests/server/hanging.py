"""An application that hangs until the test releases it, and clients that send a request and do not wait."""

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
    """Send one request for each target, each on its own connection. Yields the clients; the responses are not read."""
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(run.client()) for _ in targets]
        for client, target in zip(opened, targets, strict=True):
            client.ask(target)
        yield opened


class Hanging:
    """
    An application that hangs if the path begins with ``/hang``. Every other path is answered at once.

    It hangs in a loop of Python code, where a kill takes effect. ``outcomes``: how each call ended, by path:
    ``returned`` or the name of an exception. As a context manager it releases all calls at its end.
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
        """Wait until ``count`` more calls hang."""
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
        """
        Loop until released.

        This is a separate function, because some CPythons lose an injected exception directly inside a ``try``.
        """
        while not self._released:
            time.sleep(0.001)
