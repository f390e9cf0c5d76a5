"""The pool as a ``concurrent.futures.Executor``: for ``loop.run_in_executor``, and for every library that takes one."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

from pastepool.core.ownership import calls_application
from pastepool.errors import PoolClosed
from pastepool.pooling.work import Work

_P = ParamSpec("_P")
_T = TypeVar("_T")


class _FutureWork(Work, Generic[_T]):
    """A call whose outcome goes into a future. The future is told when no kill can land any more."""

    def __init__(self, called: Callable[[], _T], name: str) -> None:
        self.future: concurrent.futures.Future[_T] = concurrent.futures.Future()
        self._called = called
        self._name = name
        self._error: BaseException | None = None
        self._result: Any = None
        self._cancelled = False

    @calls_application
    def run(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            self._cancelled = True
            return
        self._result = self._called()

    def title(self) -> str:
        return self._name

    def failed(self, error: BaseException) -> None:
        self._error = error

    def finished(self) -> None:
        if self._cancelled:
            return
        if self._error is not None:
            self.future.set_exception(self._error)
        else:
            self.future.set_result(self._result)
        self._error = self._result = None  # the future may outlive this, and its owner decides for how long

    def refused(self, reason: str) -> None:
        if self.future.cancel():
            self.future.set_running_or_notify_cancel()


class PoolExecutor(concurrent.futures.Executor):
    """
    Gives calls to a ``WorkerPool`` and returns futures.

    A call that is killed has ``WorkerKilled`` as the exception of its future. ``shutdown`` takes no further calls, but
    leaves the pool as it is: the pool may have other users.
    """

    def __init__(self, submit: Callable[[Work], bool]) -> None:
        self._submit = submit
        self._closed = False
        self._waiting: set[concurrent.futures.Future[Any]] = set()

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> concurrent.futures.Future[_T]:
        """
        Have a call done by the pool.

        Raises: PoolClosed: the pool stops or its backlog is full, or this executor was shut down.
        """
        if self._closed:
            raise PoolClosed("The executor was shut down and takes no further calls.")
        name = f"call of {getattr(fn, '__qualname__', fn)!r}"
        work = _FutureWork(_Bound(fn, args, kwargs), name)
        self._waiting.add(work.future)
        work.future.add_done_callback(self._waiting.discard)
        if not self._submit(work):
            self._waiting.discard(work.future)
            raise PoolClosed("The call was not taken: the pool stops, or queue_limit tasks wait already.")
        return work.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no further calls. ``wait``: until all calls have ended. ``cancel_futures``: those that have not begun."""
        self._closed = True
        waiting = list(self._waiting)
        if cancel_futures:
            for future in waiting:
                future.cancel()
        if wait:
            concurrent.futures.wait(waiting)


class _Bound(Generic[_T]):
    """A function with its arguments. ``functools.partial`` would do, but its call is no frame in which a kill may land."""

    def __init__(self, fn: Callable[..., _T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._fn, self._args, self._kwargs = fn, args, kwargs

    @calls_application
    def __call__(self) -> _T:
        return self._fn(*self._args, **self._kwargs)
