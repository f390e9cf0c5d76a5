"""
``with pool.request(environ):``: tell the pool which request the calling worker runs, and since when.

Limits count from here, a kill is meant for this request alone, and it may land only in here. On a thread that is no
worker of the pool nothing happens.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from pastepool.core.ownership import calls_application
from pastepool.errors import WorkerKilled
from pastepool.pooling.hosted import HostedRequest
from pastepool.runtime.pool.host_worker import HostWorker
from pastepool.runtime.pool.worker import Fact

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Stamp:
    """
    The context of one request. ``request``: None on a thread that is no worker of the pool. Runs on: the worker.

    Each request of a host makes one, so its methods call little.
    """

    __slots__ = ("_before", "_worker", "request")

    def __init__(self, worker: HostWorker | None, request: HostedRequest | None) -> None:
        self.request = request
        self._worker = worker
        self._before: Fact

    def __enter__(self) -> Stamp:
        """Begin the request. Raises: WorkerKilled: an earlier request of the same work was killed, and it went on."""
        worker, request = self._worker, self.request
        if worker is not None and request is not None:
            window = worker.window
            if request.outer.open:
                window.shut()
            if window.killed:
                worker.raise_if_killed()
            self._before = worker.begin_request(request)
            window.open(request.serial)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        worker, request = self._worker, self.request
        if worker is not None and request is not None and not worker.orphaned:
            outer = request.outer
            try:
                worker.window.shut()
            except WorkerKilled:  # a repeated kill
                worker.shut_window()
            outer.request_ended_at = worker.end_request(request, self._before)
            request.let_go()
            if outer.open and not worker.window.killed:
                worker.window.open(outer.serial)

    @calls_application
    def call(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """
        Call what runs the request, and return its result.

        Only code of pastepool has to call it through this: otherwise its own function, in which no kill may land, would
        stand between the request and the pool.
        """
        return function(*args, **kwargs)

    def sender(self, send: Callable[..., Any], *, quietly: bool = False) -> Callable[..., Any]:
        """
        Return a function that sends a piece of the response by ``send``, and keeps kills away meanwhile, as ``sending``.

        It may call others like it. ``quietly``: it raises no WorkerKilled, but returns, for a host that sends in a
        ``finally`` and then has to go on. The next one raises.
        """
        worker, request = self._worker, self.request
        if worker is None or request is None:
            return send
        window = worker.window

        def sent(*args: Any) -> Any:  # no keywords: to pass none of them costs too
            if request.writing:
                return send(*args)
            window.shut()
            if window.killed:
                if quietly:
                    return None
                worker.raise_if_killed()
            request.began = request.writing = True
            try:
                result = send(*args)
            finally:
                request.writing = False
            if not quietly or not window.killed:
                window.open(request.serial)
            return result

        return sent

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
