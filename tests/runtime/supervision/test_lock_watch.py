"""A lock of the standard library that a killed request has left taken is told in the log, in the journal, on the page."""

from __future__ import annotations

import colorsys
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pastepool.core.left_locks import LOOK_AGAIN, LOOKS, TakenLock
from tests.runtime.supervised import LOGGER, Call, Supervised
from tests.waiting import WATCHDOG


class Taking(Call):
    """A call that takes a lock which its code does not give back, and runs on."""

    def _last(self) -> None:
        colorsys._lock.acquire()  # type: ignore[attr-defined]
        super()._last()


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervised]:
    """
    Two workers; a call is killed after 20 s of the test's clock.

    The search goes through ``sys.modules``. The stress of kills in imports takes the module out of it.
    """
    monkeypatch.setitem(sys.modules, "colorsys", colorsys)
    with Supervised(workers=2, hung_after=10.0, kill_after=20.0) as supervised:
        yield supervised


def kill(pool: Supervised, call: Call) -> None:
    """Let the supervisor kill a call, and wait until its worker has gone."""
    pool.call_of(call)
    victim = next(worker for worker in pool.workers if worker.task is call)
    pool.advance(25.0)
    victim.thread.join(WATCHDOG)
    assert not victim.thread.is_alive()
    pool.advance(0.0)


def told(pool: Supervised) -> list[str]:
    """Return the events about locks that were left."""
    return [event.text for event in pool.journal.events() if event.kind == "lock left"]


@pytest.mark.parametrize(("kind", "looks"), [(threading.RLock, 1), (threading.Lock, LOOKS)])
def test_lock_that_is_left_is_told_once(
    kind: Callable[[], Any],
    looks: int,
    pool: Supervised,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An ``RLock`` knows that its owner is dead. Of another one several looks have to find it taken."""
    monkeypatch.setattr(colorsys, "_lock", kind(), raising=False)
    call = Taking()
    kill(pool, call)
    for _ in range(looks - 1):
        assert pool.supervisor.condemned == ""
        pool.advance(LOOK_AGAIN)
    assert pool.supervisor.condemned in [
        f"colorsys._lock is taken for ever: left by worker {worker} ({call.title()}), which was killed. "
        "Requests that need it hang. Restart this process"
        for worker in (1, 2)
    ]
    pool.advance(100.0)
    assert told(pool) == [pool.supervisor.condemned]
    lines = [record.getMessage() for record in caplog.records if record.name == LOGGER]
    assert lines.count(pool.supervisor.condemned) == 1


def test_lock_that_another_thread_holds_is_not_told(pool: Supervised, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one whose owner lives, nor one that is free again at the next look."""
    owned, plain = threading.RLock(), threading.Lock()
    monkeypatch.setattr(colorsys, "_lock", owned, raising=False)
    monkeypatch.setattr(colorsys, "_other", plain, raising=False)
    with owned, plain:
        kill(pool, Call())
        pool.advance(LOOK_AGAIN)
    for _ in range(LOOKS):
        pool.advance(LOOK_AGAIN)
    assert pool.supervisor.condemned == ""
    assert told(pool) == []


def test_search_is_over_when_nothing_is_taken(pool: Supervised, monkeypatch: pytest.MonkeyPatch) -> None:
    """One look for each kill, and no other."""
    looks: list[int] = []

    def taken() -> list[TakenLock]:
        looks.append(1)
        return []

    monkeypatch.setattr("pastepool.runtime.supervision.lock_watch.taken_locks", taken)
    pool.advance(1.0)
    assert looks == []
    kill(pool, Call())
    for _ in range(LOOKS):
        pool.advance(LOOK_AGAIN)
    assert looks == [1]
