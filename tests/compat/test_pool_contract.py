"""
The clauses of the contract that the plan decides, one test or more each, named after the clause.

Facts in, actions out: no thread runs here. What the runtime does with the actions is tested with real threads.
"""

from __future__ import annotations

import math

import pytest

from pastepool.core.actions import Action, Capped, ExitProcess, Kill, KillAsked, NoteHung, Retire, Spawn
from pastepool.core.history import History
from pastepool.core.looks import look_is_due
from pastepool.core.policy import PoolPolicy
from pastepool.core.states import Phase, Record, Status, TaskSummary, WorkerEvent, advance, classify
from pastepool.core.supervision import Plan, plan
from pastepool.core.telling.notices import HungKilled, Origin, ProcessDies, TaskReport, compose

NOW = 100_000.0
PASTE = PoolPolicy()
"""The defaults: ten workers, spawn_if_under 5, hung after 30 s, killed after 1800 s, zombie after 300 s more."""


def workers(**kinds: int) -> list[Record]:
    """So many records of each kind, numbered from 1; ``hung`` for exactly 30 s, everything else for 1 s."""
    records: list[Record] = []
    for kind, count in kinds.items():
        for _ in range(count):
            number = len(records) + 1
            phase = Phase.BUSY if kind == "hung" else Phase[kind.upper()]
            since = NOW - (30.0 if kind == "hung" else 1.0)
            task = TaskSummary(f"GET /{number}", number, since) if phase in (Phase.BUSY, Phase.DYING) else None
            records.append(Record(number, phase, since, task))
    return records


def spawned(actions: tuple[Action, ...]) -> int:
    """How many workers a plan spawns."""
    return sum(action.count for action in actions if isinstance(action, Spawn))


def killed(actions: tuple[Action, ...]) -> list[int]:
    """Which workers a plan kills."""
    return [action.worker for action in actions if isinstance(action, Kill)]


def after(made: Plan, records: list[Record], now: float) -> list[Record]:
    """The records once a plan's kills and spawns have been applied and the new threads have started."""
    victims = killed(made.actions)
    dies = [record.worker in victims and record.phase is Phase.BUSY for record in records]
    applied = [
        advance(record, WorkerEvent.KILL, now) if die else record for record, die in zip(records, dies, strict=True)
    ]
    first = max(record.worker for record in records) + 1
    return applied + [Record(number, Phase.IDLE, now) for number in range(first, first + spawned(made.actions))]


# -- P2


def test_P2_the_pool_neither_explodes_nor_freezes() -> None:
    """A trickle of requests that all hang: threads stay under the cap, and kills keep making room to serve."""
    policy = PoolPolicy(workers=4, max_workers=12, hung_after=10.0, kill_after=30.0)
    now, history, records, serials = 0.0, History(), [Record(1, Phase.IDLE, 0.0)], 0
    unserved = most = 0
    for _ in range(2000):
        now += 1.0
        made = plan(records, 0, now, policy, history=history)
        history = made.history
        records = after(made, records, now)
        records = [record for record in records if record.phase is not Phase.DYING or now < record.since + 2.0]
        most = max(most, len(records))
        idle = next((record for record in records if record.phase is Phase.IDLE), None)
        if idle is None:
            unserved += 1
        elif int(now) % 4 == 0:
            serials += 1
            took = advance(idle, WorkerEvent.TOOK, now, TaskSummary("GET /hang", serials, now))
            records = [took if record is idle else record for record in records]
    assert (serials, unserved) == (500, 0)
    assert most <= 12


# -- P3, P6, P9


@pytest.mark.parametrize(
    ("phase", "lasted", "status"),
    [
        (Phase.IDLE, 1e6, Status.IDLE),
        (Phase.BUSY, 0.0, Status.BUSY),
        (Phase.BUSY, 29.9, Status.BUSY),
        (Phase.BUSY, 30.0, Status.HUNG),
        (Phase.BUSY, 1e6, Status.HUNG),
        (Phase.DYING, 0.0, Status.DYING),
        (Phase.DYING, 299.9, Status.DYING),
        (Phase.DYING, 300.0, Status.ZOMBIE),
    ],
)
def test_P3_every_worker_is_idle_busy_hung_dying_or_zombie(phase: Phase, lasted: float, status: Status) -> None:
    """The five names of the manual, from a phase and the time it has lasted."""
    assert classify(Record(1, phase, NOW - lasted, TaskSummary("GET /", 1)), NOW, PASTE) is status


def test_P6_hung_is_working_for_longer_than_hung_thread_limit() -> None:
    """30 seconds by default; the change is seen at that instant, without a request."""
    records = workers(busy=1, idle=9)
    made = plan(records, 0, NOW, PASTE)
    assert PASTE.hung_after == 30.0
    assert made.look_again_at == records[0].since + 30.0
    assert plan(records, 0, math.nextafter(made.look_again_at, 0), PASTE).actions == ()
    assert isinstance(plan(records, 0, made.look_again_at, PASTE).actions[0], NoteHung)


def test_P9_a_killed_thread_that_lives_on_is_a_zombie_after_dying_thread_limit() -> None:
    """300 seconds by default, counted from the kill; and that instant is looked at."""
    dying = advance(workers(busy=1)[0], WorkerEvent.KILL, NOW)
    assert PASTE.dying_for == 300.0
    assert classify(dying, math.nextafter(NOW + 300.0, 0), PASTE) is Status.DYING
    assert classify(dying, NOW + 300.0, PASTE) is Status.ZOMBIE


# -- P4, P5


@pytest.mark.parametrize(("hung", "busy", "more"), [(6, 4, 1), (4, 6, 0), (5, 5, 0), (10, 0, 5)])
def test_P4_spawn_if_under_keeps_so_many_busy_while_requests_wait(hung: int, busy: int, more: int) -> None:
    """
    The manual's two examples and their limits: of ten workers six are hung and four busy, spawn_if_under is 5: one
    more, so that five are busy; with four hung and six busy none.

    Ten live here where four are asked for, so that this rule alone is at work; for ten asked for see the next test.
    """
    made = plan(workers(hung=hung, busy=busy), 1, NOW, PoolPolicy(workers=4, spawn_if_under=5))
    assert spawned(made.actions) == more


def test_P4_with_ten_workers_asked_for_the_hung_are_replaced_and_more_than_five_can_be_busy() -> None:
    """Ours goes further than the promise: six of ten are hung, six more are spawned, request or no request."""
    for backlog in (0, 1):
        made = plan(workers(hung=6, busy=4), backlog, NOW, PASTE)
        assert spawned(made.actions) == 6


def test_P4_an_idle_worker_is_reason_enough_not_to_spawn() -> None:
    """The rule is for a request that finds nobody idle."""
    policy = PoolPolicy(workers=1, spawn_if_under=5)
    assert spawned(plan(workers(hung=6, idle=1), 1, NOW, policy).actions) == 0
    assert spawned(plan(workers(hung=6, starting=1), 1, NOW, policy).actions) == 0


def test_P5_what_was_spawned_is_collected_once_others_are_un_hung() -> None:
    """Six hung requests come back: six of the sixteen retire when nobody has needed them for a while, and no more."""
    records = workers(idle=16)
    first = plan(records, 0, NOW, PASTE)
    assert not first.actions
    made = plan(records, 0, first.look_again_at, PASTE, history=first.history)
    assert first.look_again_at == NOW + 30.0
    assert len([action for action in made.actions if isinstance(action, Retire)]) == 6


def test_P5_nothing_is_collected_while_others_are_hung() -> None:
    """The sixteen stand in for six that hang: all of them are needed, for however long."""
    records = workers(hung=6, idle=10)
    history = plan(records, 0, NOW, PASTE).history
    made = plan(records, 0, NOW + 1000.0, PASTE, history=history)
    assert not [action for action in made.actions if isinstance(action, Retire)]


# -- P7


def test_P7_threads_are_checked_every_hung_check_period_requests() -> None:
    """Every 100 requests by default, and by time anyway."""
    assert PASTE.check_every == 100
    assert [requests for requests in (1, 99, 100, 101) if look_is_due(requests, 1.0, PASTE)] == [100, 101]


@pytest.mark.parametrize("hung", [1, 2, 3, 10])
def test_P7_any_worker_over_kill_thread_limit_is_killed(hung: int) -> None:
    """Every one of them, at 1800 seconds by default; Paste's own loop skips every second."""
    records = workers(hung=hung, idle=10)
    at = records[0].since + 1800.0
    assert killed(plan(records, 0, math.nextafter(at, 0), PASTE).actions) == []
    assert killed(plan(records, 0, at, PASTE).actions) == list(range(1, hung + 1))


# -- P8


def test_P8_as_soon_as_a_thread_is_killed_another_worker_is_added() -> None:
    """In the same plan, before the killed thread is dead, one for one."""
    policy = PoolPolicy(hung_after=60.0, kill_after=30.0)
    made = plan(workers(hung=3, busy=7), 0, NOW, policy)
    assert killed(made.actions) == [1, 2, 3]
    assert spawned(made.actions) == 3
    kinds = [type(action) for action in made.actions]
    assert kinds == [Kill, Kill, Kill, Spawn]


def test_P8_a_worker_replaced_when_it_hung_is_not_replaced_again_when_it_is_killed() -> None:
    """Its replacement came earlier than promised; ten can serve before and after the kill."""
    records = workers(hung=1, idle=10)
    made = plan(records, 0, records[0].since + 1800.0, PASTE)
    assert killed(made.actions) == [1]
    assert spawned(made.actions) == 0


def test_P8_a_kill_that_does_not_take_effect_is_repeated() -> None:
    """It may take long to take effect: the pool tells the thread again, when its clean-up has had half a minute."""
    dying = advance(workers(busy=1)[0], WorkerEvent.KILL, NOW)
    made = plan([dying], 0, NOW, PoolPolicy(workers=1))
    assert made.look_again_at == NOW + 30.0
    again = plan([dying], 0, NOW + 30.0, PoolPolicy(workers=1), history=made.history)
    assert [action.again for action in again.actions if isinstance(action, Kill)] == [True]


# -- P10


def test_P10_zombies_are_left_alone_unless_a_limit_is_set() -> None:
    """By default no number of zombies ends the process."""
    records = workers(dying=30, idle=10)
    assert PASTE.max_zombies == 0
    made = plan(records, 0, NOW + 1e6, PASTE)
    assert not [action for action in made.actions if isinstance(action, ExitProcess)]


@pytest.mark.parametrize(("zombies", "dies"), [(2, False), (3, True)])
def test_P10_with_more_zombies_than_the_limit_the_process_dies(zombies: int, dies: bool) -> None:
    """More than max_zombies_before_die, not as many as."""
    policy = PoolPolicy(max_zombies=2)
    made = plan(workers(dying=zombies, idle=10), 0, NOW + 300.0, policy)
    assert bool([action for action in made.actions if isinstance(action, ExitProcess)]) is dies


# -- P12


def test_P12_both_events_make_a_mail_that_says_where_and_what() -> None:
    """Hung threads were killed; the process dies of too many zombies."""
    task = TaskReport(3, "GET /report", 1800.0, "hung for 1800 s: blocked in recv from 10.0.0.5:5432")
    dies = ProcessDies("3 zombies, more than max_zombies_before_die = 2", "13 workers: 3 zombie; 0 waiting", (task,))
    for notice, word in ((HungKilled((task,)), "killed"), (dies, "dies")):
        message = compose(notice, Origin("web1", 4711, "production.ini"), "[shop]")
        assert message.subject.startswith("[shop] web1: ")
        assert word in message.subject
        for fact in ("web1", "4711", "production.ini", "GET /report", "10.0.0.5:5432"):
            assert fact in message.body


# -- P13, P14


def test_P13_the_eleventh_request_waits_no_longer_than_hung_thread_limit() -> None:
    """Ten workers, eleven hung requests, and nothing else ever arrives: time alone brings the eleventh its worker."""
    records = workers(busy=10)
    made = plan(records, 1, NOW, PASTE)
    assert spawned(made.actions) == 0
    assert made.look_again_at == records[0].since + 30.0
    assert spawned(plan(records, 1, made.look_again_at, PASTE, history=made.history).actions) == 10


def test_P13_it_needs_no_request_that_waits_either() -> None:
    """With nothing in the backlog the ten hung workers are replaced all the same, before anybody asks."""
    assert spawned(plan(workers(hung=10), 0, NOW, PASTE).actions) == 10


def test_P14_a_trickle_of_bad_requests_cannot_outrun_the_check() -> None:
    """One hanging request every ten seconds for an hour, not one look by count: at no moment is nobody free."""
    policy = PoolPolicy(check_every=0, kill_after=60.0)
    now, history, serial = 0.0, History(), 0
    made = plan([], 0, now, policy)
    records = [Record(number, Phase.IDLE, now) for number in range(1, spawned(made.actions) + 1)]
    due = made.look_again_at
    while now < 3600.0:
        now = min(due, 10.0 * (serial + 1))
        if now == 10.0 * (serial + 1):
            serial += 1
            idle = next(record for record in records if record.phase is Phase.IDLE)
            took = advance(idle, WorkerEvent.TOOK, now, TaskSummary("GET /hang", serial, now))
            records = [took if record is idle else record for record in records]
        if now == due:
            made = plan(records, 0, now, policy, history=history)
            due, history = made.look_again_at, made.history
            records = [record for record in after(made, records, now) if record.phase is not Phase.DYING]
    assert serial == 360
    assert len(records) <= policy.max_workers


def test_P14_when_the_cap_is_reached_the_plan_says_why_nobody_is_served() -> None:
    """Forty threads, all of them hung: no explosion, and no silence."""
    made = plan(workers(hung=40), 7, NOW, PASTE)
    assert spawned(made.actions) == 0
    said = [action.describe() for action in made.actions if isinstance(action, Capped)]
    assert len(said) == 1
    assert "40 threads live and max_workers = 40 (40 hung); nobody is served" in said[0]
    assert "7 requests waiting" in said[0]


# -- P15


def test_P15_a_kill_names_one_request_and_can_hit_no_other() -> None:
    """Every kill carries the serial of the task that ran too long; the others that run are not in the plan."""
    records = workers(hung=1, busy=9)
    made = plan(records, 0, records[0].since + 1800.0 - 1000.0, PoolPolicy(kill_after=500.0, hung_after=1000.0))
    assert [(a.worker, a.serial, a.title) for a in made.actions if isinstance(a, Kill)] == [
        (record.worker, record.serial, record.title) for record in records
    ]
    early = plan(records, 0, NOW, PoolPolicy(kill_after=30.0, hung_after=1000.0))
    assert killed(early.actions) == [1]


def test_P15_a_kill_asked_for_a_request_that_is_over_kills_nobody() -> None:
    """The operator saw serial 1; the worker runs serial 2 by now."""
    record = Record(1, Phase.BUSY, NOW, TaskSummary("GET /next", 2, NOW))
    made = plan([record], 0, NOW, PoolPolicy(workers=1), asked=[KillAsked(1, 1)])
    assert made.actions == ()


def test_P15_nothing_is_raised_outside_of_an_applications_call() -> None:
    """Idle, starting, retiring, gone, or dying with its call over: no worker of these is ever killed."""
    records = [
        Record(1, Phase.STARTING, 0.0),
        Record(2, Phase.IDLE, 0.0),
        Record(3, Phase.RETIRING, 0.0),
        Record(4, Phase.GONE, 0.0),
        advance(advance(workers(busy=1)[0], WorkerEvent.KILL, 0.0), WorkerEvent.FINISHED, 1.0),
    ]
    asked = [KillAsked(record.worker, serial) for record in records for serial in (0, 1)]
    assert killed(plan(records, 0, NOW, PASTE, asked=asked).actions) == []
