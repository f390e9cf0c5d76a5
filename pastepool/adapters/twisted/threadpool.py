"""``ThreadPool``: the interface of ``twisted.python.threadpool.ThreadPool``. Names in this module are Twisted's."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python import context

from pastepool import WorkerPool
from pastepool.adapters.twisted.calls import Call, OnResult
from pastepool.adapters.twisted.numbers import Numbers

_READY_WITHIN = 5.0
"""How long ``start`` waits for its threads. They need about a millisecond each."""


class ThreadPool(Numbers):
    """
    Twisted's pool on ours. It takes Twisted's arguments, ``shutdown_timeout`` and the options of ``WorkerPool``.

    ``max`` is how many threads there may be that do not hang; ``max_workers`` limits them all. ``pool``: the ``WorkerPool``
    below it. ``stop`` waits for ``shutdown_timeout`` at most.
    """

    min = 5
    max = 20
    joined = False
    started = False
    name: str | None = None

    def __init__(
        self,
        minthreads: int = 5,
        maxthreads: int = 20,
        name: str | None = None,
        *,
        shutdown_timeout: float = 10.0,
        **options: Any,
    ) -> None:
        self._check(minthreads, maxthreads)
        self.min, self.max, self.name = minthreads, maxthreads, name
        self.pool = WorkerPool(name or "twisted", workers=max(1, minthreads), most=max(1, maxthreads), **options)
        self._timeout = shutdown_timeout

    @staticmethod
    def _check(minthreads: int, maxthreads: int) -> None:
        if minthreads < 0:
            raise AssertionError("minimum is negative")
        if minthreads > maxthreads:
            raise AssertionError("minimum is greater than maximum")

    def __getstate__(self) -> dict[str, Any]:
        return {"min": self.min, "max": self.max}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["min"], state["max"])  # type: ignore[misc]

    # The life.

    def start(self) -> None:
        """Start ``min`` threads, and run what was given before."""
        self.joined, self.started = False, True
        self.pool.resize(max(1, self.min), max(1, self.max))
        if self.min or self.pool.qsize or self.pool.settings.admin.listen:
            self.pool.start()
            never = threading.Event()
            for _ in range(int(_READY_WITHIN / 0.001)):
                if len(self.threads) >= self.min:
                    break
                never.wait(0.001)

    def stop(self) -> None:
        """Finish what was taken, and end. Returns within ``shutdown_timeout`` and a second, whatever hangs."""
        self.joined, self.started = True, False
        self.pool.stop(self._timeout)

    def stopping(self, reactor: Any) -> Deferred[None]:
        """Do ``stop``, while the reactor goes on for the work that waits for it. Returns when that is over."""
        over: Deferred[None] = Deferred()

        def stop() -> None:
            self.stop()
            reactor.callFromThread(over.callback, None)

        threading.Thread(target=stop, name="pastepool stops", daemon=True).start()
        return over

    def install(self, reactor: Any) -> None:
        """
        Be the pool of the reactor: for ``deferToThread``, for names that are looked up, and for all who use that.

        Raises: RuntimeError: the reactor has a pool already.
        """
        if reactor.threadpool is not None:
            raise RuntimeError(
                "The reactor has a pool already, because something has used it or another one was installed. Install this"
                " one first, right after the reactor is imported."
            )
        reactor.threadpool = self
        reactor._threadpoolStartupID = reactor.callWhenRunning(self.start)
        reactor.threadpoolShutdownID = reactor.addSystemEventTrigger("during", "shutdown", reactor._stopThreadPool)
        self.serve(reactor, start=False)

    def serve(self, reactor: Any, *, start: bool = True) -> None:
        """Start when the reactor runs, and end before it ends. ``start``: False if something else starts this pool."""
        if start:
            reactor.callWhenRunning(self.start)
        reactor.addSystemEventTrigger("before", "shutdown", self.stopping, reactor)

    # Work.

    def callInThread(self, func: Callable[..., object], *args: Any, **kw: Any) -> None:
        """Call a function in a thread. What it raises is logged."""
        self.callInThreadWithCallback(None, func, *args, **kw)

    def callInThreadWithCallback(
        self, onResult: OnResult | None, func: Callable[..., object], *args: Any, **kw: Any
    ) -> None:
        """
        Call a function in a thread, and ``onResult(True, result)`` or ``onResult(False, Failure)`` there after it.

        A call that is killed has the Failure of ``WorkerKilled``. After ``stop`` nothing is called.
        """
        if self.joined:
            return
        ctx = context.theContextTracker.currentContext().contexts[-1]
        name = f"call of {getattr(func, '__qualname__', func)!r}"
        self.pool.submit(Call(functools.partial(context.call, ctx, func, *args, **kw), name, onResult))
        if self.started:  # looked at after the call is there: ``start`` looks for it after it has set this
            self.pool.start()

    def wrap(self, application: Callable[..., Any]) -> Callable[..., Any]:
        """Return a WSGI application whose requests the pool knows: by their paths, and from their begin."""
        return self.pool.wrap(application)

    # The size.

    def adjustPoolsize(self, minthreads: int | None = None, maxthreads: int | None = None) -> None:
        """Set ``min`` and ``max``. A pool that runs gets more threads, or idle ones leave."""
        least = self.min if minthreads is None else minthreads
        most = self.max if maxthreads is None else maxthreads
        self._check(least, most)
        self.min, self.max = least, most
        self.pool.resize(max(1, least), max(1, most))
        if self.started:
            self.pool.shrink(self.workers - most)
            self.pool.grow(least - self.workers)

    def startAWorker(self) -> None:
        """Start one more thread, up to ``max``."""
        if self.started:
            self.pool.start()
            self.pool.grow(1)

    def stopAWorker(self) -> None:
        """Tell an idle thread to leave."""
        if self.started:
            self.pool.shrink(1)
