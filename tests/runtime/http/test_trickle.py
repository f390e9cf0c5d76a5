"""A trickle of requests that all hang, for ever: contract P14, which a check at every hundredth request never stops."""

from __future__ import annotations

import math

import pytest

from pastepool.core.states import Status
from pastepool.errors import WorkerKilled
from tests.runtime.supervised import Call, Supervised
from tests.waiting import WATCHDOG, until

STEP = 0.5


class Trickle:
    """
    One request that hangs each second, and an account of how the pool stands twice a second.

    ``calls``: with the instant each began. ``unserved_for``: seconds for which nobody could have taken a request, the
    longest time. ``most``: threads alive at once.
    """

    def __init__(self, pool: Supervised) -> None:
        self.calls: list[tuple[float, Call]] = []
        self.unserved_for = 0.0
        self.most = 0
        self._pool = pool
        self._unserved_since = math.inf

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        pool = self._pool
        end = pool.clock.now() + seconds
        while pool.clock.now() < end:
            self._one_comes()
            for _ in range(round(1.0 / STEP)):
                self._account()
                pool.advance(STEP)
                self._await_kills()

    def _one_comes(self) -> None:
        call, now = Call(), self._pool.clock.now()
        call.arrived_at = now
        self._pool.calls.append(call)
        assert self._pool.baton.offer(call)
        if self._pool.baton.backlog:
            self._pool.nudge()
        assert call.entered.wait(WATCHDOG), f"a request that came at {now} was taken by nobody"
        self.calls.append((now, call))

    def _await_kills(self) -> None:
        """Those past the kill limit end, at that very instant of the clock, and so do their threads."""
        now, limit = self._pool.clock.now(), self._pool.policy.kill_after
        for began, call in self.calls:
            if now >= began + limit:
                assert call.done.wait(WATCHDOG), f"the call that began at {began} was not killed by {now}"
        hang = sum(not call.done.is_set() for _, call in self.calls)
        until(lambda: len(self._pool.workers) == hang + self._pool.baton.follower_count, "the killed have gone")
        assert self._pool.number(Status.DYING, Status.ZOMBIE) == 0

    def _account(self) -> None:
        pool, now = self._pool, self._pool.clock.now()
        self.most = max(self.most, len(pool.workers))
        if pool.baton.follower_count:
            self._unserved_since = math.inf
        else:
            self._unserved_since = min(self._unserved_since, now)
            self.unserved_for = max(self.unserved_for, now + STEP - self._unserved_since)


@pytest.mark.parametrize(
    ("hung_after", "spawn_if_under", "unserved"),
    [
        # A request takes the second of two workers each second; half a second later the first is hung, and replaced.
        (1.5, 0, 0.5),
        # Four of those that came last are busy and not hung yet: spawn_if_under sees to the fifth, the moment it waits.
        (4.0, 5, 1.0),
    ],
)
def test_trickle_of_hanging_requests_for_ever(hung_after: float, spawn_if_under: int, unserved: float) -> None:
    """
    Contract P14: two workers, one request hangs each second. Each is taken the moment it comes, somebody is free again within
    ``hung_thread_limit`` of the last one's being taken, every one is killed at its limit, and threads stay under a cap
    that has to be computed once: those that can serve, those that hang and may not be killed yet, and the one that is
    being killed. That cap never keeps anybody from being replaced.
    """
    kill_after = hung_after + 6.0
    serving = max(2, spawn_if_under)
    cap = serving + math.ceil(kill_after - hung_after) + 1
    with Supervised(
        workers=2,
        max_workers=cap,
        spawn_if_under=spawn_if_under,
        hung_after=hung_after,
        kill_after=kill_after,
        check_every=0,
        run=True,
    ) as pool:
        trickle = Trickle(pool)
        trickle.run(60.0)
        assert len(trickle.calls) == 60
        assert trickle.unserved_for == unserved <= hung_after
        assert trickle.most <= cap
        killed = [call for _, call in trickle.calls if call.done.is_set()]
        assert len(killed) == math.floor(60 - kill_after) + 1
        assert {type(call.error) for call in killed} == {WorkerKilled}
        assert not [event for event in pool.journal.events() if event.kind == "capped"]
