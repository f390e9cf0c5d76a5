"""A kill inside of what runs a loop of its own in a request: ``asyncio`` and greenlets."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pastepool.errors import WorkerKilled
from pastepool.runtime.supervision.kill_ladder import KillLadder
from tests.runtime.pools import Job, LivePool
from tests.waiting import WATCHDOG, until


@pytest.fixture
def live() -> Iterator[LivePool]:
    """A running pool of one worker."""
    with LivePool(1) as pool:
        yield pool


class Computing:
    """Computes until it is killed. ``cleaned``: its ``finally`` has run."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.cleaned = False

    def __call__(self) -> None:
        try:
            self._compute()
        finally:
            self.cleaned = True

    def _compute(self) -> None:
        self.entered.set()
        while True:
            pass


def kill(live: LivePool, request: Callable[[], object], computing: Computing) -> Job:
    """Run a request, kill it when it computes, and wait until its worker has left."""
    [job] = live.run(request)
    assert computing.entered.wait(WATCHDOG)
    worker = next(each for each in live.pool.workers.values() if each.task is job)
    ladder = KillLadder(False)

    def is_hit() -> bool:
        ladder.missed.clear()
        return ladder.kill(worker, job.serial, time.monotonic()) and not ladder.missed

    until(is_hit, "the kill is on its way")  # once, because a second one would come after the loop
    assert live.exits.acquire(timeout=WATCHDOG)
    return job


def test_kill_comes_out_of_a_coroutine(live: LivePool) -> None:
    """``asyncio.run`` ends with it, and closes its loop."""
    computing = Computing()

    async def main() -> None:
        computing()

    job = kill(live, lambda: asyncio.run(main()), computing)
    assert isinstance(job.error, WorkerKilled)
    assert computing.cleaned


def test_kill_comes_out_of_a_greenlet(live: LivePool) -> None:
    """The greenlet ends with it, and it goes on in the one that had switched to it: SQLAlchemy runs its drivers so."""
    greenlet = pytest.importorskip("greenlet", reason="greenlet is no dependency")
    computing = Computing()
    job = kill(live, lambda: greenlet.greenlet(computing).switch(), computing)
    assert isinstance(job.error, WorkerKilled)
    assert computing.cleaned


def test_callback_of_a_loop_swallows_the_kill(live: LivePool) -> None:
    """asyncio lets only SystemExit and KeyboardInterrupt out of a callback; the worker leaves all the same."""
    computing, handled = Computing(), list[object]()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        over = loop.create_future()

        def handle(_: object, context: dict[str, Any]) -> None:
            handled.append(context["exception"])
            over.set_result(None)

        loop.set_exception_handler(handle)
        loop.call_soon(computing)
        await over

    job = kill(live, lambda: asyncio.run(main()), computing)
    assert job.error is None
    assert [type(each) for each in handled] == [WorkerKilled]
