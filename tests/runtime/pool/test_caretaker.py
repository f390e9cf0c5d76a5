"""The caretaker while no worker is free: what it reads, keeps and refuses, and when it rests."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import pytest

from pastepool.core.dispatch import REST
from pastepool.core.policy import OverloadPolicy
from pastepool.runtime.pool.baton import Baton
from pastepool.runtime.pool.caretaker import Caretaker
from pastepool.runtime.pool.task import Task
from pastepool.testing import FakeClock
from tests.runtime.pools import Job


class Script:
    """A poller that brings the given tasks, one list for each poll, and then ends the caretaker's work."""

    def __init__(self, polls: Sequence[Sequence[Job]], queue_limit: int = 100) -> None:
        self.baton = Baton(OverloadPolicy(queue_limit=queue_limit), lambda: None)
        self.clock = FakeClock()
        self.shed: list[str] = []
        self.first_waiting = 0
        self.rests: list[tuple[float, int]] = []
        self.kept: list[list[Task]] = []
        self._polls = deque(polls)
        self._batch: deque[Job] = deque()
        self._caretaker = Caretaker(
            self.baton, lambda: None, self.clock, self._on_first_waiting, lambda what, at: self.shed.append(what)
        )

    def run(self) -> None:
        """Let the caretaker work until all has been brought."""
        self._caretaker.take_care(self)

    def _on_first_waiting(self) -> None:
        self.first_waiting += 1

    def next_task(self, until: float) -> Task | None:
        self.kept.append(list(self.baton.backlog))
        if not self._polls:
            self._caretaker.finish()
            return None
        self._batch = deque(self._polls.popleft())
        return self._batch.popleft() if self._batch else None

    def ready_tasks(self, most: int) -> list[Task]:
        return [self._batch.popleft() for _ in range(min(most, len(self._batch)))]

    def rest(self, seconds: float) -> None:
        self.rests.append((seconds, len(self.baton.backlog)))


def test_what_one_poll_brings_is_kept_in_order_and_then_the_caretaker_rests() -> None:
    """It rests once for each poll, and not once for each request; and it tells once that requests wait."""
    first, second, third, fourth = jobs = [Job() for _ in range(4)]
    script = Script([[first, second, third], [fourth]])
    script.run()
    assert script.kept == [[], [first, second, third], [first, second, third, fourth]]
    assert script.rests == [(REST, 3), (REST, 4)]
    assert script.first_waiting == 1
    assert {job.arrived_at for job in jobs} == {script.clock.now()}


def test_without_requests_that_wait_it_polls_on() -> None:
    """A poll that brings no request, a new connection for example, or one whose requests are all refused, costs no rest."""
    script = Script([[], [Job()], []], queue_limit=0)
    script.run()
    assert (script.rests, script.shed) == ([], ["refused"])


@pytest.mark.parametrize("limit", [1, 2])
def test_of_what_one_poll_brings_only_what_has_no_room_is_refused(limit: int) -> None:
    """The first ones wait, the others are told at once."""
    jobs = [Job() for _ in range(3)]
    script = Script([jobs], queue_limit=limit)
    script.run()
    assert script.kept[-1] == jobs[:limit]
    assert script.shed == ["refused"] * (3 - limit)
