"""What is counted for the page: by the workers, without a lock, and by the sampler, only while somebody watches."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest

from pastepool.core.policy import OverloadPolicy, PoolPolicy
from pastepool.core.states import Phase
from pastepool.core.telling.slowest import KEPT
from pastepool.runtime.pool.baton import Baton
from pastepool.runtime.pool.leading import Leading
from pastepool.runtime.pool.pool import Pool
from pastepool.runtime.pool.tally import Tally, WorkerTally
from pastepool.runtime.pool.task import TaskOutcome
from pastepool.runtime.system.threads import spawn_thread
from pastepool.runtime.watching.sampler import KEPT as SAMPLES_KEPT
from pastepool.runtime.watching.sampler import LINGERS_FOR, Sampler
from pastepool.testing import FakeClock
from pastepool.watch.app import WatchApp
from pastepool.watch.figures import series_of
from pastepool.watch.options import WatchOptions
from tests.runtime.host_task import DESCRIPTION, Conversation
from tests.runtime.pools import Job
from tests.server.serving import plain, running
from tests.waiting import until
from tests.watch.watching import mounted, watched


def names_of_threads() -> set[str]:
    """Which threads there are."""
    return {thread.name for thread in threading.enumerate()}


class Task(Job):
    """A finished task as the tally sees it."""

    arrived_at = 5.0
    started_at = 7.0

    def __init__(self, serial: int = 1) -> None:
        super().__init__()
        self.serial = serial
        self.environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/x;session=abc", "REMOTE_ADDR": "::1"}

    def outcome(self) -> TaskOutcome:
        return TaskOutcome(200)

    def title(self) -> str:
        return "GET /x;session=abc"


def test_slow_request_is_kept_with_its_facts_masked() -> None:
    """What it was, how long it took and waited, and how it ended; the bar is what the next must exceed."""
    tally = Tally(FakeClock(100.0))
    tally.note_slow(Task(), 3, 2.0, 99.0)
    (one,) = tally.slowest()
    assert (one.title, one.path, one.client) == ("GET /x;session=***", "/x;session=***", "::1")
    assert (one.duration, one.queued, one.status, one.worker) == (2.0, 2.0, 200, 3)
    for serial in range(KEPT):
        tally.note_slow(Task(serial), 3, 3.0, 99.0)
    assert tally.slow_above == 3.0


def test_slow_request_that_cannot_be_told_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """A task without what it should have costs a line in the log and not its worker."""
    Tally(FakeClock()).note_slow(object(), 3, 2.0, 99.0)  # type: ignore[arg-type]
    assert "could not be noted" in caplog.text


def test_counts_outlive_their_workers() -> None:
    """What a worker counted stays when it is gone, and a reset takes both alike."""
    tally, here, gone = Tally(FakeClock()), WorkerTally(), WorkerTally()
    here.calls[3], gone.calls[3], gone.waits[5] = 2, 5, 1
    tally.retire(gone)
    totals = tally.totals([here])
    assert totals.counters["requests"] == 7 and totals.counters["waited"] == 1 and totals.calls[3] == 7
    assert tally.gone_requests == 5
    tally.reset([here])
    assert tally.totals([here]).counters["requests"] == 0
    here.calls[4] += 1
    assert tally.totals([here]).counters["requests"] == 1


def test_requests_are_counted_by_part() -> None:
    """Calls, waits and writes each where they belong; a response a slow client takes is counted when it has it."""
    big = plain(b"x" * 4_000_000)
    with watched(big, threadpool_workers=2, output_high_watermark="8m") as run:
        with run.client() as client:
            client.ask("/")
            until(lambda: run.state()["latency"]["application"]["count"] == 1, "the call is over")
            assert run.state()["latency"]["write"]["max"] in (None, 0.0)
            client.response()
        until(lambda: (run.state()["latency"]["write"]["max"] or 0) > 0, "the client has read it all")
        latency = run.state()["latency"]
        assert latency["write"]["count"] == 1 and latency["queue"]["p99"] == 0.0


def test_background_task_is_counted_and_shown() -> None:
    """Work of other threads on the pool has a row and a count like a request."""
    began, release = threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        release.wait(10.0)

    with watched(plain(), threadpool_workers=2) as run:
        run.server.parts.paste_pool.add_task(work)
        assert began.wait(5.0)
        (row,) = run.busy()
        assert row["title"].startswith("background task") and row["method"] == "" and row["stack"] is not None
        release.set()
        until(lambda: run.state()["totals"]["requests"] == 1, "it is counted")


def test_task_of_another_host_is_shown_in_its_own_words() -> None:
    """A task that is no request has a row with its title and what describes it, and can be killed from the page."""
    with watched(plain(), threadpool_workers=2) as run:
        task = Conversation(released=False)
        assert run.server.parts.baton.submit(task)
        assert task.entered.wait(5.0)
        (row,) = run.busy()
        assert (row["title"], row["serial"], row["method"]) == ("gopher /1/menu", task.serial, "")
        assert row["request"] == [list(pair) for pair in DESCRIPTION.items()]
        run.server.parts.supervisor.ask_kill(row["worker"], task.serial)
        assert task.over.wait(5.0)
        slow = next(one for one in run.state()["slowest"] if one["serial"] == task.serial)
        assert (slow["title"], slow["fate"], slow["status"]) == ("gopher /1/menu", "killed", 0)


class Standing:
    """A pool that stands still, and a sampler with a clock of the test's own."""

    def __init__(self) -> None:
        self.clock = FakeClock(100.0)
        policy = PoolPolicy(hung_after=30.0)
        self.baton = Baton(OverloadPolicy(), lambda: None)
        leading = Leading(lambda: None, lambda count: [], lambda task: None, lambda: None)
        tally = Tally(self.clock)
        self.pool = Pool(
            self.baton, policy, self.clock, lambda body, name: None, leading, tally, lambda: None, "pastepool.pool"
        )
        for _ in range(3):
            self.pool.spawn()
        self.sampler = Sampler(self.pool, self.baton, policy, self.clock, spawn_thread)


def test_sample_counts_the_busy_the_hung_and_the_waiting() -> None:
    """One look at the facts."""
    standing = Standing()
    one, two, three = standing.pool.workers.values()
    one.fact, two.fact, three.fact = (Phase.BUSY, 99.0, Task()), (Phase.BUSY, 70.0, Task()), (Phase.IDLE, 0.0, None)
    three.tally.calls[0] = 7
    standing.baton.backlog.append(Task())
    standing.sampler.take()
    (sample,) = standing.sampler.samples()
    assert (sample.busy, sample.hung, sample.backlog, sample.served) == (1, 1, 1, 7)


def test_sampler_runs_while_somebody_watches() -> None:
    """It takes a sample a second, keeps two minutes, ends ten minutes after the last visitor, and begins again."""
    standing = Standing()
    sampler, clock = standing.sampler, standing.clock
    assert sampler.samples() == []
    sampler.watched()
    clock.settle()
    for _ in range(int(LINGERS_FOR) - 1):
        clock.advance(1.0)
    clock.advance(1.0, settle=False)
    until(lambda: "pastepool sampler" not in names_of_threads(), "nobody watches")
    assert len(sampler.samples()) == SAMPLES_KEPT + 1
    gaps = {round(b.at - a.at, 6) for a, b in itertools.pairwise(sampler.samples())}
    assert gaps == {1.0}
    sampler.watched()
    clock.settle()
    sampler.close(5.0)
    sampler.watched()
    assert not clock.waiting_until


def test_curves_have_gaps_where_nobody_measured() -> None:
    """Rates come from two samples; a pause between them is null in every curve."""
    standing = Standing()
    worker = next(iter(standing.pool.workers.values()))
    for second, served in ((0, 0), (1, 10), (2, 30), (60, 5000), (61, 5002)):
        standing.clock.advance(100.0 + second - standing.clock.now(), settle=False)
        worker.tally.calls[0] = served
        standing.sampler.take()
    series: dict[str, Any] = series_of(standing.sampler.samples())
    assert series["requests"] == [10.0, 20.0, None, None, 2.0]
    assert series["busy"] == [0, 0, None, 0, 0]
    assert len({len(series[name]) for name in ("requests", "busy", "hung", "backlog")}) == 1


def test_sampler_is_silent_until_the_page_is_opened() -> None:
    """Without admin_listen and without a visitor there is no thread for it."""
    token = "correct-horse-battery"
    page = WatchApp(WatchOptions(token=token))
    with running(mounted(plain(), page)) as run:
        assert run.get("/").status == 200
        assert "pastepool sampler" not in names_of_threads()
        assert run.get("/ops/threads/api/v1/state", f"X-Pastepool-Token: {token}").status == 200
        assert "pastepool sampler" in names_of_threads()
    with watched(plain()):
        assert "pastepool sampler" in names_of_threads()
