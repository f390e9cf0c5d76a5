"""A task of another host at work: on a real pool, with its caretaker and its supervisor."""

from __future__ import annotations

import itertools
import threading
from types import TracebackType

import pytest

from pastepool.core.policy import OverloadPolicy, PoolPolicy
from pastepool.core.telling.notices import BecameHung, HungKilled
from pastepool.errors import WorkerKilled
from pastepool.runtime.pool.task import ShedReason
from pastepool.runtime.watching.paste_pool import PastePool
from tests.meta.repository import PACKAGE, imported, sources
from tests.runtime.host_task import DESCRIPTION, Conversation
from tests.runtime.pools import LivePool
from tests.waiting import WATCHDOG, until


class HostPool(LivePool):
    """A pool as another host would have it: real threads, clock, caretaker and supervisor."""

    def __init__(self, *, overload: OverloadPolicy | None = None) -> None:
        policy = PoolPolicy(workers=1, max_workers=1, hung_after=0.02, kill_after=0.0)
        super().__init__(1, policy=policy, overload=overload)
        self.hung: list[Conversation] = []
        self._supervising = threading.Thread(target=self.supervisor.run, name="supervisor")

    def _changed(self) -> None:
        """The supervisor, which is woken by the same signal, forgets who has gone."""

    def given_up(self) -> dict[str, int]:
        """How many tasks were not run, by the counter that tells of them."""
        counters = self.pool.tally.totals([]).counters
        return {name: counters[name] for name in ("refused", "expired", "dropped") if counters[name]}

    def __enter__(self) -> HostPool:
        super().__enter__()
        self._supervising.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self.hung:
            task.released.set()
        self.supervisor.close()
        self._supervising.join(WATCHDOG)
        super().__exit__(kind, error, trace)

    def hang(self) -> Conversation:
        """Have the only worker run a task that does not end by itself."""
        task = Conversation(released=False)
        self.hung.append(task)
        self.feed.add(task)
        assert task.entered.wait(WATCHDOG)
        until(lambda: self.feed.polled_by == "caretaker", "the caretaker polls")
        return task

    def wait_in_line(self) -> Conversation:
        """Have a task come for which no worker is free."""
        task = Conversation()
        self.feed.add(task)
        return task


def test_task_of_another_host_runs() -> None:
    """It is run and concluded by a worker, whose name and start it is told."""
    with HostPool() as live:
        task = live.wait_in_line()
        assert task.over.wait(WATCHDOG)
        assert (task.events, task.error) == (["run", "concluded"], None)
        assert task.worker_name == "pastepool worker 1"
        assert task.started_at > 0.0


def test_task_of_another_host_that_hangs_is_noted_and_killed() -> None:
    """The mails describe it in its own words; the kill runs its cancel callbacks and lands in its code."""
    with HostPool() as live:
        task = live.hang()
        until(lambda: live.mails, "it is noted hung")
        [hung] = live.mails
        assert isinstance(hung, BecameHung)
        [report] = hung.tasks
        assert (report.title, dict(report.request)) == ("gopher /1/menu", DESCRIPTION)
        live.supervisor.ask_kill(report.worker, task.serial)
        assert task.over.wait(WATCHDOG)
        assert task.cancelled.wait(WATCHDOG)
        assert task.events == ["run", "killed", "failed", "concluded"]
        assert isinstance(task.error, WorkerKilled)
        until(lambda: len(live.mails) == 2, "the kill is told")
        killed = live.mails[1]
        assert isinstance(killed, HungKilled)
        assert dict(killed.tasks[0].request) == DESCRIPTION
        [slowest] = live.pool.tally.slowest()
        assert (slowest.title, slowest.fate, slowest.status) == ("gopher /1/menu", "killed", 0)
        after = live.wait_in_line()
        assert after.over.wait(WATCHDOG)
        assert after.worker_name == "pastepool worker 2"


def test_task_of_another_host_is_seen_through_pastes_eyes() -> None:
    """It has no environ, so the tracker shows None; ``kill_worker`` ends it."""
    with HostPool() as live:
        task = live.hang()
        paste = PastePool(live.pool, live.baton, live.policy, live.clock, itertools.count(1), live.supervisor.ask_kill)
        [(ident, (_, environ))] = paste.worker_tracker.items()
        assert environ is None
        paste.kill_worker(ident)
        assert task.over.wait(WATCHDOG)
        assert isinstance(task.error, WorkerKilled)


def test_task_of_another_host_is_refused_by_a_full_backlog() -> None:
    """Behind as many as may wait, the next is told why at once; those that wait are run."""
    with HostPool(overload=OverloadPolicy(queue_limit=1)) as live:
        hung, waits = live.hang(), live.wait_in_line()
        until(lambda: list(live.baton.backlog) == [waits], "one waits")
        third = live.wait_in_line()
        assert third.over.wait(WATCHDOG)
        assert (third.events, live.given_up()) == (["QUEUE_FULL"], {"refused": 1})
        hung.released.set()
        assert waits.over.wait(WATCHDOG)
        assert waits.events == ["run", "concluded"]


def test_task_of_another_host_expires() -> None:
    """After ``queue_timeout`` it is told so, and no worker runs it."""
    with HostPool(overload=OverloadPolicy(queue_timeout=0.02)) as live:
        hung, waits = live.hang(), live.wait_in_line()
        assert waits.over.wait(WATCHDOG)
        hung.released.set()
        assert (waits.events, live.given_up()) == (["WAITED_TOO_LONG"], {"expired": 1})


def test_task_of_another_host_is_dropped_with_its_client() -> None:
    """A host that sees the client go says so; only a task that waits is dropped, one that runs goes on."""
    with HostPool() as live:
        hung, waits = live.hang(), live.wait_in_line()
        until(lambda: live.baton.backlog, "one waits")
        live.caretaker.hung_up(waits)
        live.caretaker.hung_up(hung)
        hung.released.set()
        assert hung.over.wait(WATCHDOG)
        assert (waits.events, live.given_up()) == (["dropped"], {"dropped": 1})
        assert hung.events == ["run", "concluded"]


def test_task_that_waits_when_the_pool_stops_is_told_so() -> None:
    """Nobody will run it any more; what comes later is not taken."""
    with HostPool() as live:
        hung, waits = live.hang(), live.wait_in_line()
        until(lambda: live.baton.backlog, "one waits")
        live.caretaker.finish()
        assert waits.over.wait(WATCHDOG)
        assert waits.events == ["STOPPING"]
        assert not live.baton.offer(Conversation())
        hung.released.set()


def test_task_that_cannot_be_given_back_costs_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    """An error in a task's ``refused`` is logged; the caretaker lives, and refuses the next one."""

    class Broken(Conversation):
        def refused(self, reason: ShedReason) -> None:
            raise ZeroDivisionError

    with HostPool(overload=OverloadPolicy(queue_limit=0)) as live:
        hung = live.hang()
        live.feed.add(Broken())
        after = live.wait_in_line()
        assert after.over.wait(WATCHDOG)
        assert after.events == ["QUEUE_FULL"]
        hung.released.set()
    assert "could not be cleared away" in caplog.text


def test_what_the_pool_knows_of_a_task_is_typed() -> None:
    """Neither pool nor supervisor nor kill ladder knows ``Any``, or imports for type checking what imports it."""
    rooms = [PACKAGE / "runtime/pool", PACKAGE / "runtime/supervision"]
    judged = [path for path in sources() if path.parent in rooms and path.name != "event_journal.py"]
    assert len(judged) >= 10
    for path in judged:
        assert not {"typing.Any", "typing.TYPE_CHECKING"} & imported(path), path.name
