"""
Kill requests that run in endless loops, beside innocent ones that use the same locks, and count what the kills did.

Each kill has one victim, whose loop is a shape of ``kill_shapes``. It is killed at a random moment, through the kill
ladder. How long it then takes to end is measured. After all kills everything that the shapes share must be free.
"""

from __future__ import annotations

import functools
import random
import sys
import threading
import time
import traceback
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pastepool.core.policy import OverloadPolicy
from pastepool.core.states import Phase
from pastepool.errors import WorkerKilled
from pastepool.runtime.inspection.library_locks import taken_locks
from pastepool.runtime.pool.worker import Worker
from pastepool.runtime.supervision.kill_ladder import KillLadder
from tests.runtime.kill_shapes import LONG, SHAPES, Site, a_few, for_ever
from tests.runtime.kill_stress import frequent_switches, interrupted_system_calls
from tests.runtime.pools import Job, LivePool
from tests.waiting import WATCHDOG, Stopwatch

SOON = 1.0
"""Within how many seconds a kill should have ended its request."""

_LONGEST = 0.003
_LOOK_EVERY = 100
_PATIENCE = 5.0


class Request(Job):
    """
    A request that runs a shape.

    ``began``: its loop runs. ``ended_at``: when it had ended; 0 until then. ``landed_at``: the innermost calls at which it
    was killed, outermost first.
    """

    def __init__(self, name: str, site: Site, victim: bool) -> None:
        super().__init__(functools.partial(SHAPES[name], site, for_ever() if victim else a_few()))
        self.name = name
        self.worker: Worker | None = None
        self.began = threading.Event()
        self.ended_at = 0.0
        self.landed_at: list[str] = []

    def failed(self, error: BaseException) -> None:
        """Keep no frame: it would keep what the loop holds."""
        places = traceback.extract_tb(error.__traceback__)
        self.landed_at = [f"{Path(place.filename).name}:{place.lineno} {place.name}" for place in places[-4:]]
        self.error = type(error)(str(error))
        self.events.append("failed")

    def conclude(self, now: float) -> None:
        self.ended_at = time.monotonic()
        super().conclude(now)


@dataclass
class Account:
    """
    The result of a run.

    ``soon``: how many kills took no longer than ``SOON``, ``slowest``: the longest of all, both by the clock.
    ``late``: those that took longer, without the time in which something waited for a processor. Each list has faults
    of one kind.
    """

    kills: int = 0
    soon: int = 0
    innocent: int = 0
    slowest: float = 0.0
    by_shape: Counter[str] = field(default_factory=Counter)
    late: list[str] = field(default_factory=list)
    hit: list[str] = field(default_factory=list)
    own_left: list[str] = field(default_factory=list)
    library_left: list[str] = field(default_factory=list)

    @property
    def faults(self) -> dict[str, list[str]]:
        """Return the faults by their kind, at most ten of each kind. Empty if there is none."""
        return {name: value[:10] for name, value in vars(self).items() if isinstance(value, list) and value}


class ShapeStress:
    """A pool of ``workers``, of which one runs the victim and the others innocent requests."""

    def __init__(self, folder: Path, seed: int = 1, workers: int = 3) -> None:
        self.account = Account()
        self.site = Site(folder)
        self._random = random.Random(seed)
        self._workers = workers
        self._lock = threading.Lock()
        self._stopped = False
        self._room = threading.Semaphore(workers)
        self._pending: set[Request] = set()
        self._last: deque[Request] = deque(maxlen=5)
        overload = OverloadPolicy(queue_limit=10**9, queue_timeout=600.0)
        self._live = LivePool(workers, overload=overload)

    def run(self, victims: Iterable[str]) -> Account:
        """Kill a victim of each of these shapes, one after the other, and return what happened."""
        with frequent_switches(), interrupted_system_calls(), warnings.catch_warnings(), self._live:
            warnings.simplefilter("ignore", ResourceWarning)
            self._live.pool.changed = self._replace
            feeder = threading.Thread(target=self._feed, name="feeder")
            feeder.start()
            try:
                for number, shape in enumerate(victims):
                    if not self._kill_one(shape) or (number % _LOOK_EVERY == 0 and not self._look()):
                        break
            finally:
                self._stopped = True
                self._room.release(10 * self._workers)
                feeder.join()
            self._look()
            self._settle()
        if not self.account.own_left:
            self.site.close()
        return self.account

    def _feed(self) -> None:
        while not self._stopped:
            self._room.acquire()
            request = Request(any_shape(self._random), self.site, victim=False)
            conclude = request.conclude

            def concluded(now: float, request: Request = request, conclude: Callable[[float], None] = conclude) -> None:
                conclude(now)
                self._pending.discard(request)
                self.account.innocent += 1
                if request.error is not None:
                    self.account.hit.append(f"{request.name}: {request.error!r}")
                self._room.release()

            request.conclude = concluded  # type: ignore[method-assign]
            self._pending.add(request)
            self._add(request)

    def _add(self, request: Request) -> None:
        run = request.run

        def running(window: object) -> None:
            request.worker = next(
                worker for worker in list(self._live.pool.workers.values()) if worker.ident == threading.get_ident()
            )
            request.began.set()
            run(window)  # type: ignore[arg-type]

        request.run = running  # type: ignore[method-assign]
        self._live.feed.add(request)

    def _replace(self) -> None:
        with self._lock:
            pool = self._live.pool
            for worker in list(pool.workers.values()):
                if worker.phase is Phase.GONE:
                    pool.forget(worker.worker_id)
            if not self._stopped:
                for _ in range(self._workers - len(pool.workers)):
                    pool.spawn()

    def _kill_one(self, shape: str) -> bool:
        """Answer whether the victim got a worker and ended."""
        account = self.account
        victim = Request(shape, self.site, victim=True)
        self._add(victim)
        self._last.append(victim)
        if not victim.began.wait(WATCHDOG):
            account.hit.append(f"{victim.name} got no worker")
            return False
        time.sleep(self._random.uniform(0, _LONGEST))
        account.kills += 1
        account.by_shape[victim.name] += 1
        began, watch = time.monotonic(), Stopwatch()
        ended = self._kill(victim, began)
        took = victim.ended_at - began if ended else float("inf")
        account.slowest = max(account.slowest, took)
        account.soon += took <= SOON
        if took - watch.busy() > SOON:
            account.late.append(f"{victim.name}: {took:.2f} s")
        if ended and not isinstance(victim.error, WorkerKilled):
            account.hit.append(f"victim {victim.name}: {victim.error!r}")
        return ended

    def _kill(self, victim: Request, began: float) -> bool:
        """Kill as the supervisor does: again after a second, where nothing was raised."""
        assert victim.worker is not None
        while time.monotonic() < began + WATCHDOG:
            ladder = KillLadder(False)
            ladder.kill(victim.worker, victim.serial, self._live.clock.now())
            ladder.finish()
            if victim.done.wait(1.0 if ladder.missed else WATCHDOG):
                return True
        return False

    def _look(self) -> bool:
        """Answer whether all that the innocent and the victims share can be had."""
        self.account.own_left = self.site.left(_PATIENCE)
        self.account.library_left = library_locks_left(_PATIENCE)
        return not self.account.own_left and not self.account.library_left

    def _settle(self) -> None:
        deadline = time.monotonic() + WATCHDOG
        for request in list(self._pending):
            if not request.done.wait(max(0.0, deadline - time.monotonic())):
                self.account.hit.append(f"{request.name} did not end")


def any_shape(choice: random.Random) -> str:
    """Choose a shape. One that takes long to kill comes a tenth as often as another one."""
    return choice.choices(list(SHAPES), [1 if name in LONG else 10 for name in SHAPES])[0]


def library_locks_left(patience: float) -> list[str]:
    """Return the names of the locks of the standard library that each of several looks finds taken."""
    left = {lock.name for lock in taken_locks()}
    deadline = time.monotonic() + patience
    while left and time.monotonic() < deadline:
        time.sleep(patience / 100)
        left &= {lock.name for lock in taken_locks()}
    return sorted(left)


def report(account: Account) -> str:
    """Return the figures as one line of text."""
    return (
        f"{sys.version.split()[0]}: {account.kills} kills, {account.soon} within {SOON:g} s, slowest "
        f"{account.slowest:.2f} s, {account.innocent} innocent, {account.faults}"
    )
