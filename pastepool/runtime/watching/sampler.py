"""
Look at the pool once a second, for the curves of the page, while the page is in use.

The sampler reads the facts of the workers and the length of the backlog, and keeps two minutes of samples. Its thread
starts when a visitor asks for the page, and ends ten minutes after the last such request. With ``for_ever`` it runs
until the server stops.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass

from pastepool.core.policy import PoolPolicy
from pastepool.core.states import Status, classify
from pastepool.runtime.pool.baton import Baton
from pastepool.runtime.pool.pool import Pool, record_of
from pastepool.runtime.system.loggers import own_logger
from pastepool.types import Clock, Seconds, Spawner

_log = own_logger("pastepool")

INTERVAL: Seconds = 1.0
KEPT = 120
LINGERS_FOR: Seconds = 600.0
"""How long the sampler goes on after the last request for the page. A visitor who comes back finds no gap."""


@dataclass(frozen=True)
class Sample:
    """The result of one look. ``served``: how many requests all workers have run so far, ended workers included."""

    at: Seconds
    served: int
    busy: int
    hung: int
    backlog: int


class Sampler:
    """
    Takes samples and keeps them.

    ``_runs``, ``_until`` and ``_samples`` are read and written under ``_lock``.
    """

    def __init__(self, pool: Pool, baton: Baton, policy: PoolPolicy, clock: Clock, spawn: Spawner) -> None:
        self._pool = pool
        self._baton = baton
        self._policy = policy
        self._clock = clock
        self._spawn = spawn
        self._samples: deque[Sample] = deque(maxlen=KEPT + 1)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._finished = threading.Event()
        self._finished.set()
        self._until: Seconds = -math.inf
        self._runs = False

    def watched(self, for_ever: bool = False) -> None:
        """
        Take samples from now on, because the page is in use. ``for_ever``: until ``close``. Runs on: any thread.

        If no thread can be started, this is logged.
        """
        with self._lock:
            self._until = math.inf if for_ever else max(self._until, self._clock.now() + LINGERS_FOR)
            if self._runs or self._stop.is_set():
                return
            finished = threading.Event()
            try:
                self._spawn(lambda: self._run(finished), "pastepool sampler")
                self._runs, self._finished = True, finished
            except RuntimeError as error:
                _log.warning("the page shows no curves: its sampler cannot be started: %s", error)

    def samples(self) -> list[Sample]:
        """Return the kept samples, the oldest first."""
        with self._lock:
            return list(self._samples)

    def close(self, wait: Seconds) -> None:
        """Take no more samples, and wait at most ``wait`` seconds for the thread. Runs on: the thread that serves."""
        with self._lock:
            self._stop.set()
        self._finished.wait(wait)

    def take(self) -> None:
        """Take one sample."""
        now = self._clock.now()
        busy = hung = 0
        served = self._pool.tally.gone_requests
        for worker in list(self._pool.workers.values()):
            served += worker.served
            status = classify(record_of(worker.worker_id, worker.fact, now), now, self._policy)
            busy += status is Status.BUSY
            hung += status is Status.HUNG
        sample = Sample(now, served, busy, hung, len(self._baton.backlog))
        with self._lock:
            self._samples.append(sample)

    def _run(self, finished: threading.Event) -> None:
        next_at = self._clock.now()
        while not self._has_ended():
            self.take()
            next_at = max(next_at + INTERVAL, self._clock.now())
            self._clock.wait(self._stop, next_at)
        finished.set()

    def _has_ended(self) -> bool:
        """
        Decide whether the thread ends. ``watched`` takes the same lock, so it either prolongs this run or starts a new
        one.
        """
        with self._lock:
            self._runs = not self._stop.is_set() and self._clock.now() < self._until
            return not self._runs
