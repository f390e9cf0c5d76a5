"""
``with pool.request(environ):``: tell the pool which request the calling worker runs, and since when.

Limits count from here, a kill is meant for this request alone, and it may land only in here. On a thread that is no
worker of the pool nothing happens.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

from pastepool.core.ownership import calls_application
from pastepool.pooling.hosted import HostedRequest
from pastepool.runtime.pool.host_worker import HostWorker
from pastepool.runtime.pool.worker import Fact


class Stamp:
    """
    The context of one request. ``request``: None on a thread that is no worker of the pool.

    ``now``: the pool's clock. Runs on: the worker.
    """

    def __init__(self, worker: HostWorker | None, request: HostedRequest | None, now: Callable[[], float]) -> None:
        self.request = request
        self._worker = worker
        self._now = now
        self._before: Fact

    def __enter__(self) -> Stamp:
        """Begin the request. Raises: WorkerKilled: an earlier request of the same work was killed, and it went on."""
        worker, request = self._worker, self.request
        if worker is not None and request is not None:
            if request.outer.open:
                worker.window.shut()
            worker.raise_if_killed()
            self._before = worker.begin_request(request)
            worker.window.open(request.serial)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        worker, request = self._worker, self.request
        if worker is not None and request is not None and not worker.orphaned:
            worker.shut_window()
            worker.end_request(request, self._before)
            request.environ = {}  # breaks the reference cycle through the callables in it
            request.outer.request_ended_at = self._now()
            if request.outer.open and not worker.window.killed:
                worker.window.open(request.outer.serial)

    @calls_application
    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """
        Call what runs the request, and return its result.

        Only code of pastepool has to call it through this: otherwise its own function, in which no kill may land, would
        stand between the request and the pool.
        """
        return function(*args)

    def sending(self) -> Sending:
        """
        Keep kills away while a piece of the response is sent: it would be cut in the middle.

        It may be nested. The first piece takes the claim to the response: from then on a kill does not answer the client
        any more. Raises: WorkerKilled, if a kill has the claim already.
        """
        request = self.request
        return Sending(None if request is None or request.writing else self._worker, request)


class Sending:
    """
    The context of one piece of a response. ``worker``: None where it has nothing to do.

    A class, because a generator with ``contextlib`` takes four times as long, and each response needs it several times.
    """

    __slots__ = ("_request", "_worker")

    def __init__(self, worker: HostWorker | None, request: HostedRequest | None) -> None:
        self._worker = worker
        self._request = request

    def __enter__(self) -> None:
        worker, request = self._worker, self._request
        if worker is not None and request is not None:
            worker.window.shut()
            worker.raise_if_killed()
            request.began = request.writing = True

    def __exit__(self, kind: type[BaseException] | None, *ignored: object) -> None:
        worker, request = self._worker, self._request
        if worker is not None and request is not None:
            request.writing = False
            if kind is None:
                worker.window.open(request.serial)
