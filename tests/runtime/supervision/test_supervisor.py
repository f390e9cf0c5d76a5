"""The thread that looks, plans and applies: when it looks, and that what is planned is done."""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any, get_args

import pytest

from pastepool.core.actions import Action
from pastepool.core.policy import OverloadPolicy
from pastepool.core.states import Phase, Status
from pastepool.core.telling.notices import BecameHung, HungKilled, NotKilled, ProcessDies
from pastepool.errors import InjectionUnavailable, WorkerKilled
from pastepool.runtime.supervision import kill_ladder
from pastepool.runtime.supervision import supervisor as supervisor_module
from pastepool.runtime.window import landing
from pastepool.runtime.window import window as window_module
from pastepool.runtime.window.landing import may_land
from tests.runtime.supervised import LOGGER, Call, Supervised
from tests.waiting import WATCHDOG, until

HUNG = 30.0
SERVING = (Status.STARTING, Status.IDLE, Status.BUSY)


def logged(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    """What the pool's logger was told at one level."""
    return [one.getMessage() for one in caplog.records if one.name == LOGGER and one.levelno == level]


def test_every_action_has_a_way_to_be_applied() -> None:
    """The supervisor knows what to do for each action that a plan may hold, and for nothing else."""
    with Supervised(workers=1) as pool:
        assert set(pool.supervisor._applying._apply_by_type) == set(get_args(Action))


# When it looks.


def test_it_sleeps_until_something_is_due() -> None:
    """With a call that runs, until that may be hung; with a hung one, until it must be killed; no request is needed."""
    with Supervised(workers=1, max_workers=1, kill_after=100.0, run=True) as pool:
        began = pool.clock.now()
        pool.call()
        assert pool.clock.waiting_until == [began + HUNG]
        pool.advance(HUNG)
        assert pool.number(Status.HUNG) == 1
        assert pool.clock.waiting_until == [began + 100.0]
        pool.advance(70.0)
        until(lambda: not pool.number(Status.HUNG), "the hung call was killed")


def test_a_nudge_wakes_it_at_once() -> None:
    """Whatever it sleeps for, a nudge makes it look now."""
    with Supervised(workers=2, run=True) as pool:
        until_before = pool.clock.waiting_until
        pool.clock.advance(5.0)
        pool.nudge()
        assert pool.clock.waiting_until == [until_before[0] + 5.0]


def test_nudges_in_a_row_are_one_look() -> None:
    """A thousand nudges while it looks, or sleeps, do no harm."""
    with Supervised(workers=1, run=True) as pool:
        for _ in range(1000):
            pool.supervisor.nudge()
        pool.clock.settle()
        assert len(pool.workers) == 1


def test_a_workers_exit_is_noticed_and_made_good() -> None:
    """A worker that ends for whatever reason is forgotten and replaced, without a request and without a moment of time."""
    with Supervised(workers=3, run=True) as pool:
        pool.workers[0].leaving = True
        pool.baton.dismiss(pool.workers[0])
        until(lambda: [number for number, _ in pool.facts()] == [2, 3, 4], "worker 1 is replaced by worker 4")


def test_close_ends_it() -> None:
    """Closed, it looks no more; ``run`` returns."""
    with Supervised(workers=1, run=True) as pool:
        pool.supervisor.close()
        pool._thread.join(WATCHDOG)
        assert not pool._thread.is_alive()


# Contract P13, P14: nothing waits for a request.


def test_eleventh_request_is_served_at_the_hung_limit() -> None:
    """Contract P13: ten workers, eleven hung requests, nothing else arrives: an eleventh worker comes at the limit."""
    with Supervised(workers=10, kill_after=0.0, run=True) as pool:
        for _ in range(10):
            pool.call()
        eleventh = pool.wait_in_line()
        pool.nudge()
        assert not eleventh.events
        pool.advance(HUNG)
        assert eleventh.done.wait(WATCHDOG)
        assert pool.number(Status.HUNG) == 10


# Options.


def test_spawn_if_under_opens_workers_for_those_who_wait() -> None:
    """Contract P4: 10 workers, spawn_if_under 5, 6 hung and 4 busy: with a request waiting, one more."""
    with Supervised(workers=4, max_workers=20, spawn_if_under=5, run=True) as pool:
        for _ in range(4):
            pool.call()
        waiting = pool.wait_in_line()
        pool.nudge()
        assert len(pool.workers) == 5
        assert waiting.done.wait(WATCHDOG)


def test_surplus_workers_leave_after_idle_timeout() -> None:
    """Contract P5: workers spawned for hung ones leave once those are back, after ``idle_timeout``, to ``workers``."""
    with Supervised(workers=2, idle_for=7.0, kill_after=0.0, run=True) as pool:
        calls = [pool.call(), pool.call()]
        pool.advance(HUNG)
        pool.await_idle(2)
        assert len(pool.workers) == 4
        for call in calls:
            pool.finish(call)
        pool.await_idle(4)
        pool.nudge()
        pool.advance(6.5)
        assert len(pool.workers) == 4
        pool.advance(0.5)
        pool.await_live(2)
        pool.advance(100.0)
        assert pool.number(Status.IDLE) == 2


def test_end_of_a_hung_call_is_noticed_at_once() -> None:
    """A call that had been hung and ends makes its replacement surplus: the supervisor hears of it without waiting."""
    with Supervised(workers=1, kill_after=0.0, run=True) as pool:
        call = pool.call()
        pool.advance(HUNG + 1)
        before = pool.changes
        pool.finish(call)
        until(lambda: pool.changes == before + 1, "the end of the hung call nudges")
        [short] = [pool.call()]
        pool.finish(short)
        assert pool.changes == before + 1, "an ordinary call does not"


def test_worn_worker_leaves_when_its_replacement_is_there() -> None:
    """``max_requests``: after so many a worker makes room for a fresh one, and never before that one exists."""
    with Supervised(workers=1, max_workers=2, max_requests=3, run=True) as pool:
        for _ in range(3):
            pool.finish(pool.call())
            pool.await_idle(1)
        assert [worker.served for worker in pool.workers] == [3]
        pool.nudge()
        until(lambda: [number for number, _ in pool.facts()] == [2], "worker 2 has replaced worker 1")


def test_worn_worker_that_is_never_idle_leaves_after_its_call() -> None:
    """One that is found busy at every look, as a leader under load is, is told to leave all the same."""
    with Supervised(workers=1, max_workers=2, max_requests=2, run=True) as pool:
        for _ in range(2):
            pool.finish(pool.call())
            pool.await_idle(1)
        call = pool.call()
        pool.nudge()
        assert [worker.worker_id for worker in pool.workers if worker.leaving] == [1]
        assert pool.workers[0].phase is Phase.BUSY
        pool.finish(call)
        until(lambda: [number for number, _ in pool.facts()] == [2], "worker 1 has gone after its call")
        assert call.events == ["run", "conclude"]


def test_worn_worker_stays_where_it_cannot_be_replaced() -> None:
    """With ``max_workers`` no larger than ``workers`` nobody leaves: somebody has to serve."""
    with Supervised(workers=1, max_workers=1, max_requests=1, run=True) as pool:
        for _ in range(5):
            pool.finish(pool.call())
            pool.await_idle(1)
            pool.nudge()
        assert [worker.served for worker in pool.workers] == [5]


def test_hung_call_is_logged_once_with_its_diagnosis_and_stack(caplog: pytest.LogCaptureFixture) -> None:
    """At the limit, and only then, one warning that says where the call hangs."""
    with Supervised(workers=1, kill_after=0.0, run=True) as pool:
        call = pool.call()
        pool.advance(HUNG - 0.001)
        assert logged(caplog, logging.WARNING) == []
        pool.advance(0.001)
        for _ in range(5):
            pool.advance(HUNG)
        [line] = logged(caplog, logging.WARNING)
        assert f"worker 1 is hung: {call.title()} has run for 30 s" in line
        assert "blocked in recv from 10.0.0.5:5432" in line
        assert 'File "app/db.py", line 88, in fetch' in line


def test_cap_that_is_reached_is_logged_and_says_why_nobody_is_served(caplog: pytest.LogCaptureFixture) -> None:
    """Every worker hung and no room for another: one error line, not one at each look."""
    with Supervised(workers=2, max_workers=2, kill_after=0.0, run=True) as pool:
        pool.call()
        pool.call()
        pool.wait_in_line()
        pool.advance(HUNG)
        for _ in range(10):
            pool.nudge()
        [line] = logged(caplog, logging.ERROR)
        assert "cannot spawn 2 workers: 2 threads live and max_workers = 2 (2 hung)" in line
        assert "nobody is served until one of them ends, 1 request waiting" in line
        assert "raise max_workers" in line


# Threads that cannot be started.


def test_thread_that_cannot_be_started_is_tried_again_after_a_second(caplog: pytest.LogCaptureFixture) -> None:
    """Out of threads: one error, then a pause, then another attempt, and the pool is whole again."""
    with Supervised(workers=2, kill_after=0.0, run=True) as pool:
        pool.call()
        pool.call()
        pool.spawner.refuse(1)
        pool.advance(HUNG)
        assert len(pool.workers) == 2
        assert [line for line in logged(caplog, logging.ERROR) if "cannot be started" in line]
        until(lambda: pool.clock.waiting_until == [pool.clock.now() + 1.0], "it looks again in a second")
        pool.advance(1.0)
        pool.await_idle(2)
        assert len(pool.workers) == 4


def test_machine_without_threads_is_not_asked_for_each_worker(caplog: pytest.LogCaptureFixture) -> None:
    """Ten workers wanted, none to be had: one attempt a second, one line each."""
    with Supervised(workers=10, automatic=False) as pool:
        pool.spawner.refuse(100)
        for worker in pool.workers:
            pool.pool.forget(worker.worker_id)
        while pool.spawner.pending:
            pool.spawner._take("")
        pool.supervisor.look()
        assert len(logged(caplog, logging.ERROR)) == 1
        assert pool.workers == []
        pool.spawner.refuse(0)
        pool.advance(1.0)
        assert len(pool.workers) == 10
        for worker in pool.workers:
            worker.leaving = True


# Killing.


def test_call_is_killed_at_its_limit_and_replaced(caplog: pytest.LogCaptureFixture) -> None:
    """At ``kill_thread_limit``: killed, mailed, logged with the stack; another worker is there before it is dead."""
    with Supervised(workers=1, kill_after=100.0, run=True) as pool:
        call = pool.call()
        pool.advance(HUNG)
        pool.await_idle(1)
        pool.advance(70.0)
        assert call.done.wait(WATCHDOG)
        assert call.events == ["run", "killed", "failed", "conclude"]
        pool.await_live(1)
        [mail] = pool.mails
        assert isinstance(mail, HungKilled)
        assert [task.title for task in mail.tasks] == [call.title()]
        [_hung, killed] = logged(caplog, logging.WARNING)
        assert f"kill worker 1: {call.title()} has run for 100 s (limit 100 s)" in killed
        assert 'File "app/db.py", line 88, in fetch' in killed


def test_all_that_are_past_the_limit_are_killed_not_every_second_one() -> None:
    """Seven calls past the limit at one look: seven kills, one mail."""
    with Supervised(workers=7, kill_after=50.0) as pool:
        calls = [pool.call() for _ in range(7)]
        pool.advance(50.0)
        for call in calls:
            assert call.done.wait(WATCHDOG)
        [mail] = pool.mails
        assert isinstance(mail, HungKilled)
        assert len(mail.tasks) == 7


def test_request_may_have_a_limit_of_its_own() -> None:
    """``pastepool.kill_after``: shorter or longer than the policy's, or never."""
    with Supervised(workers=3, kill_after=100.0, run=True) as pool:
        shorter, longer, never = pool.call(), pool.call(), pool.call()
        shorter.kill_after, longer.kill_after, never.kill_after = 10.0, 200.0, 0.0
        pool.nudge()
        assert pool.clock.waiting_until == [pool.clock.now() + 10.0]
        pool.advance(10.0)
        assert shorter.done.wait(WATCHDOG)
        pool.advance(100.0)
        assert not longer.done.is_set()
        pool.advance(90.0)
        assert longer.done.wait(WATCHDOG)
        pool.advance(10_000.0)
        assert not never.done.is_set()


def test_kill_that_is_swallowed_is_repeated_with_growing_pauses(caplog: pytest.LogCaptureFixture) -> None:
    """After a tenth of dying_limit, then twice that; the log says so quietly, and nobody is mailed again."""
    with Supervised(workers=1, kill_after=100.0, dying_for=1000.0, run=True) as pool:
        call = pool.call(stubborn=True)
        pool.advance(100.0)
        for number, pause in enumerate((100.0, 200.0, 400.0, 800.0), 2):
            until(lambda number=number: call.swallowed == number - 1, f"kill {number - 1} was swallowed")  # type: ignore[misc]
            pool.advance(pause - 0.001)
            assert call.swallowed == number - 1
            pool.advance(0.001)
        until(lambda: call.swallowed == 5, "the fifth kill was swallowed")
        assert len(pool.mails) == 1
        assert call.events == ["run", "killed"]
        again = [line for line in logged(caplog, logging.INFO) if "again" in line]
        assert [line.split(":")[0] for line in again] == [f"kill worker 1 again (attempt {n})" for n in (2, 3, 4, 5)]
        pool.finish(call)
        until(lambda: 1 not in pool.pool.workers, "having swallowed its kill, the worker leaves all the same")


def test_kill_that_comes_through_at_the_second_attempt_is_told_like_any_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The window happened to be shut: nothing was killed then. Those who are mailed of kills are mailed of this one."""
    with Supervised(workers=1, kill_after=100.0) as pool:
        call = pool.call()
        window = pool.workers[0].window
        window._token.pop()
        pool.advance(100.0)
        assert (pool.mails, call.events) == ([], ["run"])
        window._token.append(call.serial)
        pool.advance(1.0)
        assert call.done.wait(WATCHDOG)
        [mail] = pool.mails
        assert isinstance(mail, HungKilled)
        assert 'File "app/db.py"' in logged(caplog, logging.WARNING)[-1]


def test_clean_up_gets_a_tenth_of_the_dying_limit_undisturbed() -> None:
    """A ``finally`` that takes half a minute is not interrupted while the dying limit is five."""
    cleaned, release = threading.Event(), threading.Event()

    class Cleaning(Call):
        def _compute(self) -> None:
            try:
                super()._compute()
            finally:
                cleaned.set()
                while not release.is_set():
                    pass

    with Supervised(workers=1, kill_after=100.0, dying_for=300.0, run=True) as pool:
        call = pool.call_of(Cleaning())
        pool.advance(100.0)
        assert cleaned.wait(WATCHDOG)
        pool.advance(29.999)
        release.set()
        assert call.done.wait(WATCHDOG)
        assert call.events == ["run", "killed", "failed", "conclude"]


def test_kill_that_was_held_back_is_tried_again_in_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was raised, so there is no clean-up to wait for: the plan hears of it and looks again soon."""
    monkeypatch.setattr(window_module, "_HOLD_BACK", 0.0)
    monkeypatch.setattr(window_module, "found_reach", lambda: None)
    with Supervised(workers=1, kill_after=100.0, dying_for=300.0, run=True) as pool:
        call = pool.call()
        monkeypatch.setattr(landing, "may_land", lambda frame: False)
        pool.advance(100.0)
        until(lambda: pool.clock.waiting_until == [pool.clock.now() + 1.0], "it looks again in a second")
        assert call.events == ["run", "killed"]
        monkeypatch.setattr(landing, "may_land", may_land)
        pool.advance(1.0)
        assert call.done.wait(WATCHDOG)
        assert isinstance(call.error, WorkerKilled)


def test_callback_of_a_killed_call_is_over_before_the_exception_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the kill limit the callback runs first; a call that it ends is hit by nothing."""
    monkeypatch.setattr(kill_ladder, "HEAD_START", 4 * WATCHDOG)
    with Supervised(workers=1, kill_after=100.0, run=True) as pool:
        call = pool.call()

        def cancel() -> None:
            call.release()
            assert call.done.wait(WATCHDOG)

        call.cancellations = [cancel]
        pool.advance(100.0)
        assert call.done.wait(WATCHDOG)
        assert (call.error, call.events) == (None, ["run", "killed", "conclude"])
        until(lambda: 1 not in pool.pool.workers, "its worker leaves all the same")


def test_call_that_does_not_hear_becomes_a_zombie_and_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    """
    Blocked outside of Python it goes on; replaced, dying, then zombie, which is said once: without a limit on zombies
    nothing more.
    """
    with Supervised(workers=1, kill_after=100.0, dying_for=50.0, run=True) as pool:
        call = pool.call(blocked=True)
        pool.advance(100.0)
        assert (pool.number(Status.DYING), pool.number(Status.IDLE)) == (1, 1)
        pool.advance(50.0)
        assert pool.number(Status.ZOMBIE) == 1
        assert pool.ends == []
        pool.advance(500.0)
        [line] = logged(caplog, logging.ERROR)
        assert line.startswith(
            f"worker 1 is a zombie: {call.title()} has run for 150 s and not ended 50 s after its kill; its thread cannot "
            "be ended; 1 zombie, any number allowed; zombie for 50 s: blocked in recv from 10.0.0.5:5432"
        )
        assert 'File "app/db.py", line 88, in fetch' in line
        [event] = [event for event in pool.journal.events() if event.kind == "zombie"]
        assert (event.worker, event.serial, event.title) == (1, call.serial, call.title())
        assert event.stack
        pool.finish(call)
        pool.await_live(1)


def test_more_zombies_than_allowed_end_the_process_once(caplog: pytest.LogCaptureFixture) -> None:
    """Contract P10, P12: one more than the limit, and the process is told to end, once, after a mail was written."""
    with Supervised(workers=2, kill_after=100.0, dying_for=50.0, max_zombies=1, run=True) as pool:
        for _ in range(2):
            pool.call(blocked=True)
        pool.advance(150.0)
        pool.advance(100.0)
        [reason] = pool.ends
        assert reason.startswith("2 zombies, more than max_zombies_before_die = 1: job")
        [died] = [mail for mail in pool.mails if isinstance(mail, ProcessDies)]
        assert len(died.tasks) == 2
        assert logged(caplog, logging.CRITICAL) == [f"end the process: {reason}"]


def test_process_ends_even_if_that_cannot_be_told(caplog: pytest.LogCaptureFixture) -> None:
    """An error in writing the last mail must not keep the process: it is planned only once."""
    with Supervised(workers=2, kill_after=100.0, dying_for=50.0, max_zombies=1) as pool:
        for _ in range(2):
            pool.call(blocked=True)
        pool.advance(100.0)

        def broken(notice: Any) -> None:
            raise ZeroDivisionError

        pool.supervisor._reporting._mail = broken
        pool.advance(50.0)
        assert len(pool.ends) == 1


@pytest.mark.parametrize("wanted", [False, True])
def test_hung_calls_are_mailed_if_wanted(wanted: bool) -> None:
    """A mail for what became hung only where somebody asked for it."""
    with Supervised(workers=1, kill_after=0.0, mail_hung=wanted, run=True) as pool:
        pool.call()
        pool.advance(HUNG)
        assert [type(mail) for mail in pool.mails] == [BecameHung] * wanted


def test_operators_kill_is_done_at_once_and_only_to_the_task_he_saw() -> None:
    """Asked for from any thread; a task that has come since is left alone."""
    with Supervised(workers=2, kill_after=0.0, run=True) as pool:
        call, other = pool.call(), pool.call()
        runs = {worker.task: worker.worker_id for worker in pool.workers}
        pool.supervisor.ask_kill(runs[call], call.serial - 1)
        pool.supervisor.ask_kill(runs[other], call.serial)
        pool.clock.settle()
        assert (call.events, other.events) == (["run"], ["run"])
        pool.supervisor.ask_kill(runs[call], call.serial)
        assert call.done.wait(WATCHDOG)
        assert other.events == ["run"]


def test_kill_that_is_asked_for_while_it_looks_is_not_lost() -> None:
    """What comes between the taking of the wishes and the sleep is taken by the next look."""
    with Supervised(workers=1, kill_after=0.0, run=True) as pool:
        call = pool.call()
        records = pool.pool.records

        def asked_meanwhile() -> Any:
            pool.pool.records = records  # type: ignore[method-assign]
            pool.supervisor.ask_kill(pool.workers[0].worker_id, call.serial)
            return records()

        pool.pool.records = asked_meanwhile  # type: ignore[method-assign]
        pool.supervisor.nudge()
        assert call.done.wait(WATCHDOG)


# What must not stop it.


def test_failure_of_one_action_does_not_keep_the_others_from_being_applied(caplog: pytest.LogCaptureFixture) -> None:
    """Two calls to be killed, the first of which cannot be looked at: the second is killed, and workers are spawned."""
    with Supervised(workers=2, kill_after=100.0) as pool:
        calls = {worker.worker_id: worker for worker in pool.workers}
        pool.call(), pool.call()
        look = pool.supervisor._reporting._inspector.look

        def broken(ident: int, native_id: int, now: float) -> Any:
            if ident == calls[1].ident:
                raise ZeroDivisionError
            return look(ident, native_id, now)

        pool.supervisor._reporting._inspector.look = broken  # type: ignore[method-assign]
        first, second = calls[1].task, calls[2].task
        assert isinstance(first, Call)
        assert isinstance(second, Call)
        pool.advance(100.0)
        assert second.done.wait(WATCHDOG)
        assert first.events == ["run"]
        pool.await_idle(2)
        assert "Internal error in: kill worker 1: job" in caplog.text


def test_error_in_planning_is_logged_and_tried_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A supervisor that died would leave the pool to freeze: it says so and looks again after a second."""
    with Supervised(workers=1, run=True) as pool:
        real = supervisor_module.plan

        def broken(*facts: Any, **more: Any) -> Any:
            raise ZeroDivisionError

        monkeypatch.setattr(supervisor_module, "plan", broken)
        pool.nudge()
        assert pool.clock.waiting_until == [pool.clock.now() + 1.0]
        assert "Internal error in the supervisor; please report this" in caplog.text
        monkeypatch.setattr(supervisor_module, "plan", real)
        pool.advance(1.0)
        assert pool.clock.waiting_until == [pool.clock.now() + HUNG]


def test_interpreter_that_cannot_raise_in_threads_is_said_once_and_kills_nobody(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not on CPython: a warning at the start, and hung calls are replaced but never killed."""

    def unavailable(**more: object) -> None:
        raise InjectionUnavailable("This Python cannot raise an exception in another thread; no request is killed.")

    monkeypatch.setattr(supervisor_module, "check_available", unavailable)
    with Supervised(workers=1, kill_after=50.0, run=True) as pool:
        call = pool.call()
        pool.advance(1000.0)
        assert call.events == ["run"]
        assert pool.number(*SERVING) == 1
        assert "no request is killed" in pool.supervisor.no_kills
    assert len([line for line in logged(caplog, logging.WARNING) if "no request is killed" in line]) == 1


def test_without_the_gil_nobody_is_killed_and_one_line_at_the_start_says_so(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hung call is replaced; at its kill limit that is logged, noted and mailed; an operator's kill is refused."""
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    with Supervised(workers=1, kill_after=50.0, mail_hung=True, run=True) as pool:
        call = pool.call()
        pool.advance(1000.0)
        pool.supervisor.ask_kill(1, call.serial)
        pool.clock.settle()
        pool.advance(1000.0)
        assert call.events == ["run"]
        assert pool.number(*SERVING) == 1
        hung, overdue = pool.mails
    option = "threadpool_kill_without_gil = true"
    assert isinstance(hung, BecameHung) and option in hung.no_kills
    assert isinstance(overdue, NotKilled) and option in overdue.no_kills
    assert "not killed" in [event.kind for event in pool.journal.events()]
    start, *others = logged(caplog, logging.WARNING)
    assert option in start and "flame graphs are left out" in start
    assert [sum(word in line for line in others) for word in ("is hung", "is not killed: job", "it was asked for")] == [
        *(1, 1, 1)
    ]


def test_without_the_gil_an_option_switches_kills_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then one line at the start says what may happen."""
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    for module in (supervisor_module, window_module):
        monkeypatch.setattr(module, "found_reach", lambda: None)  # what it returns there; the real one remembers it
    with Supervised(workers=1, kill_after=50.0, kill_without_gil=True, run=True) as pool:
        call = pool.call()
        pool.advance(50.0)
        assert call.done.wait(WATCHDOG)
        assert not pool.supervisor.no_kills
    assert sum("may leave its locks taken" in line for line in logged(caplog, logging.WARNING)) == 1


def test_queue_without_room_is_nobodys_error() -> None:
    """``queue_limit = 0`` lets nobody wait; the supervisor sees an empty backlog and does nothing."""
    with Supervised(workers=1, overload=OverloadPolicy(queue_limit=0), run=True) as pool:
        pool.call()
        pool.nudge()
        assert len(pool.workers) == 1
