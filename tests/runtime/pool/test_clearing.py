"""What a killed call has left ends: its frames, its garbage, and what its thread kept, without the automatic collector."""

from __future__ import annotations

import gc
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from pastepool.core.states import Phase
from pastepool.errors import WorkerKilled
from pastepool.runtime.pool import clearing
from pastepool.runtime.pool.clearing import Clearing
from pastepool.runtime.supervision.kill_ladder import KillLadder
from pastepool.testing import FakeClock, StepSpawner
from tests.runtime.pools import Job, LivePool
from tests.waiting import WATCHDOG, until

CLEARING = "pastepool clearing"


@pytest.fixture(autouse=True)
def no_automatic_collection() -> Iterator[None]:
    """Switch the automatic collector off, which would end cycles by chance."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def live() -> Iterator[LivePool]:
    """A running pool of two workers."""
    with LivePool(2) as pool:
        yield pool


class Transaction:
    """Stands for an open transaction: it ends with its object. ``ended_in``: the names of the threads it ended in."""

    def __init__(self, in_cycle: bool = True) -> None:
        self.itself = self if in_cycle else None
        self.ended_in: list[str] = []
        names = self.ended_in
        self._finalizer = weakref.finalize(self, lambda: names.append(threading.current_thread().name))


class Request:
    """
    A task that opens a transaction and then computes until it is killed.

    ``keep``: gets the transaction before that. ``after``: what the application does when it sees the kill.
    """

    def __init__(
        self,
        keep: Callable[[Transaction], object] = lambda transaction: None,
        after: Callable[[], object] | None = None,
        in_cycle: bool = True,
    ) -> None:
        self.entered = threading.Event()
        self.ended_in: list[str] = []
        self._keep = keep
        self._after = after
        self._in_cycle = in_cycle

    def __call__(self) -> None:
        transaction = Transaction(self._in_cycle)
        self.ended_in = transaction.ended_in
        self._keep(transaction)
        try:
            self._compute()
        except WorkerKilled:
            if self._after is None:
                raise
            self._after()

    def _compute(self) -> None:
        self.entered.set()
        while True:
            pass


def kill(live: LivePool, request: Callable[[], object], entered: threading.Event) -> str:
    """Run a request, kill it when it computes, and return the name of its worker."""
    [job] = live.run(request)
    assert entered.wait(WATCHDOG)
    worker = next(w for w in live.pool.workers.values() if w.task is job)
    assert KillLadder(False).kill(worker, job.serial, time.monotonic())
    return worker.name


def fails() -> None:
    """Raise another error in the place of the kill."""
    raise ValueError("the application cannot handle this")


def test_cycle_of_a_killed_call_is_collected_in_its_own_thread(live: LivePool) -> None:
    """``pyramid_tm`` sees no kill, and leaves its session in a cycle: it ends before the worker does."""
    request = Request()
    worker = kill(live, request, request.entered)
    assert live.exits.acquire(timeout=WATCHDOG)
    assert request.ended_in == [worker]


@pytest.mark.parametrize("after", [fails, lambda: None], ids=["raises another error", "swallows the kill"])
def test_call_that_hides_the_kill_is_cleared_too(after: Callable[[], object], live: LivePool) -> None:
    """Whatever the application makes of the exception: the worker was killed, and clears away."""
    request = Request(after=after)
    worker = kill(live, request, request.entered)
    assert live.exits.acquire(timeout=WATCHDOG)
    assert request.ended_in == [worker]


def test_frames_of_a_kept_exception_are_ended(live: LivePool) -> None:
    """An error reporter keeps the exception: the variables of its frames end all the same."""
    kept: list[BaseException | None] = []
    request = Request(in_cycle=False)

    def reported() -> None:
        try:
            request()
        except WorkerKilled as error:
            kept.append(error)
            raise ValueError("something else") from None

    worker = kill(live, reported, request.entered)
    assert live.exits.acquire(timeout=WATCHDOG)
    assert isinstance(kept[0], WorkerKilled)
    assert request.ended_in == [worker]


@pytest.mark.parametrize("kind", ["threading.local", "ContextVar"])
def test_what_only_the_thread_kept_is_collected_when_it_has_ended(kind: str, live: LivePool) -> None:
    """The session of a ``scoped_session`` lies in one of these, which end later than the call."""
    local, variable = threading.local(), ContextVar[Transaction]("transaction")
    keep = variable.set if kind == "ContextVar" else lambda transaction: setattr(local, "transaction", transaction)
    request = Request(keep=keep)
    kill(live, request, request.entered)
    until(lambda: request.ended_in, "it has ended")
    assert request.ended_in == [CLEARING]


def test_call_that_is_not_killed_collects_nothing(live: LivePool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one that returns nor one that fails comes to the collector, or starts a thread."""
    collections: list[str] = []
    monkeypatch.setattr(clearing.gc, "collect", lambda: collections.append(threading.current_thread().name))
    monkeypatch.setattr(live.pool.clearing, "clear", fails)
    jobs = live.run(lambda: None, fails)
    for job in jobs:
        assert job.done.wait(WATCHDOG)
    until(lambda: live.feed.polled_by, "somebody polls again")
    assert collections == []
    assert CLEARING not in [thread.name for thread in threading.enumerate()]


def test_loop_in_a_callback_of_the_collector_is_killed_again(live: LivePool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the application does at the end of its objects may hang as well: it is dying, and the kill is repeated."""
    looping, swallowed = threading.Event(), threading.Event()
    monkeypatch.setattr(sys, "unraisablehook", lambda raised: swallowed.set())

    def loop(reference: object) -> None:
        looping.set()
        while True:
            pass

    references: list[Any] = []
    entered = threading.Event()

    def request() -> None:
        transaction = Transaction()
        references.append(weakref.ref(transaction, loop))
        entered.set()
        while True:
            pass

    [job] = live.run(request)
    assert entered.wait(WATCHDOG)
    worker = next(w for w in live.pool.workers.values() if w.task is job)
    assert KillLadder(False).kill(worker, job.serial, time.monotonic())
    assert looping.wait(WATCHDOG)
    assert job.events == ["run", "killed", "failed", "conclude"]
    assert worker.phase is Phase.DYING

    def killed_again() -> bool:
        KillLadder(False).kill(worker, job.serial, time.monotonic())  # False once the worker has gone on
        return swallowed.is_set()

    until(killed_again, "it was swallowed")
    assert live.exits.acquire(timeout=WATCHDOG)
    assert job.events == ["run", "killed", "failed", "conclude"]


# The share of the time.


class Window:
    """A window that is opened and shut, in turn."""

    def __init__(self) -> None:
        self.open = False

    def open_for_close(self, serial: int) -> None:
        assert not self.open
        self.open = True

    def shut(self) -> None:
        self.open = False


class Cleared:
    """A ``Clearing`` whose collections take 0.5 s of a clock that the test moves. ``collected``: when each was made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = FakeClock()
        self.spawner = StepSpawner()
        self.clearing = Clearing(self.clock, self.spawner)
        self.collected: list[float] = []
        self._spent = 0.0
        monkeypatch.setattr(clearing.gc, "collect", self._collect)
        monkeypatch.setattr(clearing.time, "thread_time", lambda: self._spent)

    def _collect(self) -> None:
        self.collected.append(self.clock.now())
        self._spent += 0.5

    def clear(self) -> None:
        """Clear a killed call away, and end its thread."""
        window = Window()
        self.clearing.clear([], window, 1)
        assert not window.open
        self.clearing.collect_after(ended())


def ended() -> threading.Thread:
    """Return a thread that has ended."""
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join(WATCHDOG)
    return thread


@pytest.fixture
def cleared(monkeypatch: pytest.MonkeyPatch) -> Cleared:
    """Clear with a clock of the test, and collections that take half a second of it."""
    return Cleared(monkeypatch)


def test_many_kills_at_once_are_two_collections(cleared: Cleared) -> None:
    """The first one collects itself; for all of them together there is one more, when its time has come."""
    for _ in range(40):
        cleared.clear()
    assert cleared.collected == [1000.0]
    assert cleared.spawner.spawned == [CLEARING]
    thread = cleared.spawner.release()
    cleared.clock.settle()
    assert cleared.clock.waiting_until == [1004.5]
    cleared.clock.advance(4.5, settle=False)
    thread.join(WATCHDOG)
    assert cleared.collected == [1000.0, 1004.5]


def test_kill_after_the_last_of_them_starts_a_thread_again(cleared: Cleared) -> None:
    """The thread that collects ends when no worker has ended meanwhile; the next one that does starts another."""
    for moment in (1000.0, 1010.0):
        cleared.clear()
        cleared.clock.advance(4.5)
        cleared.spawner.step()
        cleared.clock.advance(5.5)
        assert cleared.collected[-2:] == [moment, moment + 4.5]
    assert cleared.spawner.spawned == [CLEARING, CLEARING]


def test_collection_that_waits_for_another_one_begins_after_it(
    cleared: Cleared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one runs it is not known how long the next has to wait; it is woken when that is known."""
    begun, go_on = threading.Event(), threading.Event()

    def collect() -> None:
        begun.set()
        assert go_on.wait(WATCHDOG)

    with monkeypatch.context() as patched:
        patched.setattr(clearing.gc, "collect", collect)
        first = threading.Thread(target=cleared.clearing.clear, args=([], Window(), 1))
        first.start()
        assert begun.wait(WATCHDOG)
        cleared.clearing.collect_after(ended())
        second = cleared.spawner.release()
        cleared.clock.settle()
        go_on.set()
        first.join(WATCHDOG)
        second.join(WATCHDOG)
        assert not second.is_alive()


def test_pool_that_closes_waits_for_no_collection(cleared: Cleared) -> None:
    """The thread that waits for its time ends, and none is started any more."""
    cleared.clear()
    thread = cleared.spawner.release()
    cleared.clock.settle()
    cleared.clearing.close()
    thread.join(WATCHDOG)
    assert not thread.is_alive()
    cleared.clear()
    assert cleared.spawner.spawned == [CLEARING]
    assert cleared.collected == [1000.0]


def test_machine_without_a_thread_leaves_the_garbage_to_the_next(cleared: Cleared) -> None:
    """A thread that cannot be started is tried again with the next worker that ends."""
    cleared.spawner.refuse()
    cleared.clear()
    assert cleared.spawner.spawned == []
    cleared.clear()
    assert cleared.spawner.spawned == [CLEARING]
    cleared.clock.advance(4.5)
    cleared.spawner.step()
    assert len(cleared.collected) == 2


def test_task_that_is_cleared_has_been_concluded(live: LivePool) -> None:
    """First its client has everything; a finalizer that hangs keeps nobody."""
    concluded: list[bool] = []

    entered = threading.Event()

    def request() -> None:
        transaction = Transaction()
        weakref.finalize(transaction, lambda: concluded.append(job.done.is_set()))
        entered.set()
        while True:
            pass

    job = Job(request)
    live.feed.add(job)
    assert entered.wait(WATCHDOG)
    worker = next(w for w in live.pool.workers.values() if w.task is job)
    assert KillLadder(False).kill(worker, job.serial, time.monotonic())
    assert live.exits.acquire(timeout=WATCHDOG)
    assert concluded == [True]
