"""Work on the pool that is no request: a callable that runs like one, and is supervised like one."""

from __future__ import annotations

import threading

import pytest

from pastepool.errors import WorkerKilled
from pastepool.runtime.pool.background import BackgroundTask
from pastepool.runtime.pool.task import ShedReason
from pastepool.runtime.supervision.kill_ladder import KillLadder
from pastepool.runtime.window.window import Window
from tests.runtime.pools import LivePool
from tests.waiting import WATCHDOG, until


def test_callable_runs_once_on_a_worker() -> None:
    """It is called without arguments, on a thread of the pool, and its worker goes on to the next."""
    names: list[str] = []
    done = threading.Event()

    def work() -> None:
        names.append(threading.current_thread().name)
        done.set()

    with LivePool(1) as live:
        task = BackgroundTask(work, 1)
        assert live.baton.submit(task)
        assert done.wait(WATCHDOG)
        [job] = live.run(lambda: None)
        assert job.done.wait(WATCHDOG)
        assert names == [task.worker_name] == [job.worker_name]


def test_window_is_open_while_it_runs_and_only_then() -> None:
    """What may hang may be killed; nothing else of the worker may."""
    window = Window()
    seen: list[int] = []
    task = BackgroundTask(lambda: seen.extend(window._token), 7)
    task.run(window)
    assert seen == [7]
    assert not window._token


def test_failure_is_logged_and_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody waits for a result, so the log is told, with the callable's name and the traceback."""

    def broken() -> None:
        raise ValueError("no such table")

    with LivePool(1) as live:
        assert live.baton.submit(BackgroundTask(broken, 1))
        [job] = live.run(lambda: None)
        assert job.done.wait(WATCHDOG)
    assert "background task 'test_failure_is_logged_and_costs_nothing.<locals>.broken' failed" in caplog.text
    assert "ValueError: no such table" in caplog.text


def test_task_that_hangs_is_killed_like_a_request(caplog: pytest.LogCaptureFixture) -> None:
    """The kill lands in the callable; nobody has to be answered, and the worker leaves."""
    begun = threading.Event()
    ended: list[BaseException] = []

    def hang() -> None:
        begun.set()
        try:
            while True:
                pass
        except BaseException as error:
            ended.append(error)
            raise

    with LivePool(1) as live:
        task = BackgroundTask(hang, 99)
        assert live.baton.submit(task)
        assert begun.wait(WATCHDOG)
        [worker] = live.pool.workers.values()
        assert KillLadder(False).kill(worker, 99, live.clock.now())
        assert live.exits.acquire(timeout=WATCHDOG)
        assert isinstance(ended[0], WorkerKilled)
    assert "hang' failed" in caplog.text


def test_title_is_for_people() -> None:
    """Whatever the callable is called, one printable line of bounded length; one without a name is shown as it is."""

    class Nameless:
        def __call__(self) -> None:
            """Do nothing."""

        def __repr__(self) -> str:
            return "line one\nline two" + "x" * 500

    title = BackgroundTask(Nameless(), 1).title()
    assert title.startswith("background task")
    assert "\n" not in title
    assert len(title) <= 200
    assert BackgroundTask(threading.Event().set, 1).title() == "background task 'Event.set'"


def test_task_that_cannot_be_run_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """It waited too long for a worker: it is not run, and the log says so."""
    BackgroundTask(print, 1).refused(ShedReason.WAITED_TOO_LONG)
    assert "background task 'print' was not run: all workers are busy" in caplog.text


def test_task_has_no_client_to_wait_for_or_to_tell() -> None:
    """What a kill asks of a request means nothing here, and is answered quietly."""
    task = BackgroundTask(lambda: None, 1)
    task.killed(0.0)
    task.conclude(0.0)
    assert not task.cut_if_waiting()


def test_full_pool_runs_it_when_a_worker_is_free() -> None:
    """With every worker busy it waits in the backlog like a request."""
    release, begun, done = threading.Event(), threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        release.wait(2 * WATCHDOG)

    with LivePool(1) as live:
        live.run(hold)
        assert begun.wait(WATCHDOG)
        until(lambda: live.feed.polled_by == "caretaker", "the caretaker polls")
        task = BackgroundTask(done.set, 1)
        task.arrived_at = live.clock.now()
        assert live.baton.submit(task)
        assert list(live.baton.backlog) == [task]
        release.set()
        assert done.wait(WATCHDOG)
