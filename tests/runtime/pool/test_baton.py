"""
Who may poll: each race of the hand-over, made to happen.

A lock that lies is acquired late: what another thread would do in the meantime is done just before. So both orders of
each race are run, one after the other, on one thread.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pastepool.core.policy import OverloadPolicy
from pastepool.runtime.pool.baton import Baton, Turn
from tests.runtime.pools import Job
from tests.waiting import WATCHDOG, until


class Sleeper:
    """
    A worker that does not really sleep, and remembers what it is woken for.

    ``sleeps``: from the moment it asks for a turn, because the baton may wake it before it has lain down.
    """

    def __init__(self, name: str = "worker") -> None:
        self.name = name
        self.leaving = False
        self.turns: list[Any] = []
        self.sleeps = False
        self.retired_before: list[int] = []

    def wake(self, turn: Any) -> None:
        assert self.sleeps, f"{self.name} is woken and does not sleep"
        self.sleeps = False
        self.turns.append(turn)

    def sleep(self) -> Any:
        """Return at once; what it is woken for is in ``turns``."""

    def retire(self) -> None:
        self.retired_before.append(len(self.turns))

    def __repr__(self) -> str:
        return self.name


class Task(Job):
    """A task that nobody runs."""

    def __init__(self, arrived_at: float = 0.0) -> None:
        super().__init__()
        self.arrived_at = arrived_at


class LyingLock:
    """The baton's lock, but each ``meanwhile`` happens just before the next acquisition."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.meanwhile: deque[Callable[[], object] | None] = deque()

    def __enter__(self) -> None:
        if self.meanwhile:
            action = self.meanwhile.popleft()
            if action is not None:
                action()
        self._lock.acquire()

    def __exit__(self, *exception: object) -> None:
        self._lock.release()


class World:
    """A baton, whose poller counts how often it is woken."""

    def __init__(self, **overload: Any) -> None:
        self.wakes = 0
        self.baton = Baton(OverloadPolicy(**overload), self._wake)
        self.lock = LyingLock()
        self.baton._lock = self.lock  # type: ignore[assignment]

    def _wake(self) -> None:
        self.wakes += 1

    def follow(self, *workers: Sleeper) -> list[Any]:
        """Have workers become free; what they were given at once, None for those that sleep."""
        given = []
        for worker in workers:
            worker.sleeps = True  # the baton may wake it from the moment it is in the list
            turn = self.baton.follow(worker)
            if turn is not None:
                worker.sleeps = False
            given.append(turn)
        return given

    def led_by_a_worker(self) -> Sleeper:
        """The usual state: a worker has the baton."""
        leader = Sleeper("leader")
        self.follow(leader)
        assert self.baton.hand_over()
        assert leader.turns == [Turn.LEAD]
        return leader


@pytest.fixture
def world() -> World:
    """A baton with workers that are told what to do."""
    return World()


# A free worker.


def test_caretaker_has_the_baton_first_and_gives_it_to_the_worker_that_comes(world: World) -> None:
    """At the start the caretaker polls; a worker that becomes free wakes the poller, and is given the baton."""
    worker = Sleeper()
    assert world.baton.caretaker_holds()
    assert not world.baton.hand_over()
    assert world.follow(worker) == [None]
    assert world.wakes == 1
    assert world.baton.hand_over()
    assert worker.turns == [Turn.LEAD]
    assert not world.baton.caretaker_holds()


def test_most_recently_idle_worker_is_woken_first(world: World) -> None:
    """The one that lay down last gets the next turn: its stack is still warm."""
    world.led_by_a_worker()
    first, second, third = (Sleeper(name) for name in ("first", "second", "third"))
    world.follow(first, second, third)
    assert world.wakes == 1, "a leader that polls need not be woken for followers"
    assert world.baton.pass_on()
    assert world.baton.offer(task := Task())
    assert (first.turns, second.turns, third.turns) == ([], [task], [Turn.LEAD])


def test_free_worker_takes_what_waits_first_and_the_baton_second(world: World) -> None:
    """Backlog before baton, and the baton before sleep."""
    world.led_by_a_worker()
    task = Task()
    world.baton.offer(task)
    world.baton.put_down()
    assert world.follow(Sleeper("a"), Sleeper("b"), Sleeper("c")) == [task, Turn.LEAD, None]


def test_free_workers_are_counted_with_the_leader_and_without_those_that_are_waited_for(world: World) -> None:
    """The caretaker runs no requests, so it does not count."""
    counts = [world.baton.free_count()]
    world.led_by_a_worker()
    counts.append(world.baton.free_count())
    world.follow(Sleeper())
    counts.append(world.baton.free_count())
    for _ in range(4):
        world.baton.offer(Task())
        counts.append(world.baton.free_count())
    assert counts == [0, 1, 2, 1, 0, -1, -2]


def test_poll_that_wants_workers_is_woken_by_each_that_becomes_free(world: World) -> None:
    """One of several processes takes clients again then. Otherwise a leader is not woken for that."""
    world.led_by_a_worker()
    before = world.wakes
    for wanted, wakes in ((True, 1), (False, 1), (True, 2)):
        world.baton.want_workers(wanted)
        world.follow(Sleeper())
        assert world.wakes == before + wakes


def test_leaving_worker_takes_nothing(world: World) -> None:
    """A worker that has to go is told so, whatever waits."""
    world.led_by_a_worker()
    world.baton.offer(Task())
    world.baton.put_down()
    worker = Sleeper()
    worker.leaving = True
    assert world.follow(worker) == [Turn.LEAVE]
    assert len(world.baton.backlog) == 1


# The leader demoted at the very moment its call returns.


def test_leader_that_comes_back_in_time_keeps_the_baton(world: World) -> None:
    """Nobody has picked it up: it is still the leader's, and nobody else's."""
    world.led_by_a_worker()
    world.baton.put_down()
    assert world.baton.pick_up()
    assert not world.baton.pick_up()


def test_demoted_leader_that_follows_before_the_caretaker_hands_over(world: World) -> None:
    """
    The caretaker has picked the baton up and is on its way to the lock; the leader lies down first, and gets it back.
    """
    leader = world.led_by_a_worker()
    world.baton.put_down()
    assert world.baton.pick_up(), "the caretaker"
    assert not world.baton.pick_up(), "the leader, whose call has just returned"
    world.lock.meanwhile += [lambda: world.follow(leader)]
    assert world.baton.hand_over()
    assert leader.turns == [Turn.LEAD, Turn.LEAD]
    assert not world.baton.caretaker_holds()
    assert not world.baton._table


def test_demoted_leader_that_follows_after_the_caretaker_keeps_it(world: World) -> None:
    """The caretaker found no follower and polls itself; the leader, lying down, wakes it, and is given the baton."""
    leader = world.led_by_a_worker()
    world.baton.put_down()
    assert world.baton.pick_up(), "the caretaker"
    assert not world.baton.pick_up(), "the leader"
    assert not world.baton.hand_over()
    before = world.wakes
    world.follow(leader)
    assert world.wakes == before + 1
    assert world.baton.hand_over()
    assert leader.turns == [Turn.LEAD, Turn.LEAD]


def test_of_all_who_pick_up_one_succeeds() -> None:
    """Leader, caretaker and a free worker reach for the table at once, 3,000 times: one has it, each time."""
    world = World()
    rounds = 3000
    taken = [0] * 3
    meeting = threading.Barrier(3, action=lambda: world.baton.put_down())

    def reach(number: int) -> None:
        for _ in range(rounds):
            meeting.wait(WATCHDOG)
            taken[number] += world.baton.pick_up()

    threads = [threading.Thread(target=reach, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(3 * WATCHDOG)
    assert sum(taken) + len(world.baton._table) == rounds
    assert world.baton.calls == rounds


# The last idle worker.


def test_last_idle_worker_is_taken_once(world: World) -> None:
    """Two turns for one follower: it has the first, the other stays where it is."""
    world.led_by_a_worker()
    worker = Sleeper()
    world.follow(worker)
    assert world.baton.offer(task := Task())
    assert not world.baton.pass_on()
    assert worker.turns == [task]


def test_last_idle_worker_is_dismissed_while_a_task_is_on_its_way(world: World) -> None:
    """The first one at the lock has it: the task then waits, and is not given to a worker that leaves."""
    world.led_by_a_worker()
    worker = Sleeper()
    world.follow(worker)
    task = Task()
    world.lock.meanwhile += [lambda: world.baton.dismiss(worker)]
    assert world.baton.offer(task)
    assert worker.turns == [Turn.LEAVE]
    assert list(world.baton.backlog) == [task]


def test_last_idle_worker_is_taken_while_it_is_being_dismissed(world: World) -> None:
    """The other way round: it has the task, and stays."""
    world.led_by_a_worker()
    worker = Sleeper()
    world.follow(worker)
    task = Task()
    world.lock.meanwhile += [lambda: world.baton.offer(task)]
    assert not world.baton.dismiss(worker)
    assert (worker.turns, worker.leaving, worker.retired_before) == ([task], False, [])


# All busy, then one free.


def test_baton_goes_from_the_caretaker_to_the_first_free_worker(world: World) -> None:
    """With every worker busy the caretaker polls; the first that comes free is given the baton, whatever the order."""
    leader = world.led_by_a_worker()
    world.baton.put_down()
    world.baton.pick_up()
    assert not world.baton.hand_over()
    assert world.baton.caretaker_holds()
    world.lock.meanwhile += [lambda: world.follow(leader)]
    assert world.baton.hand_over()
    assert leader.turns[-1] is Turn.LEAD


def test_request_and_free_worker_at_once_the_worker_first(world: World) -> None:
    """A worker lies down just before the caretaker offers a task: it is woken for the task."""
    leader = world.led_by_a_worker()
    world.baton.put_down()
    world.baton.pick_up()
    world.baton.hand_over()
    world.lock.meanwhile += [lambda: world.follow(leader)]
    assert world.baton.offer(task := Task())
    assert leader.turns[-1] is task
    assert not world.baton.backlog


def test_request_and_free_worker_at_once_the_request_first(world: World) -> None:
    """The caretaker offers a task just before a worker lies down: the worker finds it waiting and does not sleep."""
    leader = world.led_by_a_worker()
    world.baton.put_down()
    world.baton.pick_up()
    world.baton.hand_over()
    task = Task()
    world.lock.meanwhile += [lambda: world.baton.offer(task)]
    assert world.follow(leader) == [task]
    assert not world.baton.follower_count


# Tasks that come from elsewhere.


def test_submitted_task_wakes_a_leader_that_polls(world: World) -> None:
    """Nobody sleeps and the leader waits in the kernel: it is woken, and finds the task."""
    world.led_by_a_worker()
    before = world.wakes
    assert world.baton.submit(task := Task())
    assert world.wakes == before + 1
    assert world.baton.next_waiting() is task
    assert world.baton.next_waiting() is None


def test_submitted_task_goes_to_a_follower_without_a_word_to_the_poller(world: World) -> None:
    """Where a worker sleeps it is woken for the task, and the leader goes on waiting."""
    world.led_by_a_worker()
    worker = Sleeper()
    world.follow(worker)
    before = world.wakes
    assert world.baton.submit(task := Task())
    assert worker.turns == [task]
    assert world.wakes == before


def test_backlog_is_bounded() -> None:
    """One more than ``queue_limit`` is not taken, and nobody is woken for it."""
    world = World(queue_limit=2)
    assert [world.baton.submit(Task()) for _ in range(3)] == [True, True, False]
    assert (len(world.baton.backlog), world.wakes) == (2, 2)


def test_task_is_discarded_only_while_it_waits(world: World) -> None:
    """A thread that takes a task out of the backlog has it alone; a worker that has it cannot lose it."""
    first, second = Task(), Task()
    world.baton.offer(first)
    world.baton.offer(second)
    assert world.follow(Sleeper()) == [first]
    assert not world.baton.discard(first)
    assert world.baton.discard(second)
    assert not world.baton.discard(second)


def test_tasks_expire_at_the_instant_that_is_told() -> None:
    """At ``next_expiry`` the first task has waited too long, and not before; those behind it wait on."""
    baton = Baton(OverloadPolicy(queue_timeout=3.0), lambda: None)
    assert baton.next_expiry() == float("inf")
    early, late = Task(10.1), Task(11.0)
    baton.offer(early)
    baton.offer(late)
    instant = baton.next_expiry()
    assert baton.take_expired(instant - 0.001) == []
    assert baton.take_expired(instant) == [early]
    assert baton.next_expiry() == 14.0


# Leaving.


def test_follower_is_noted_as_retiring_before_it_is_woken(world: World) -> None:
    """It may have gone by the time the one who dismissed it runs on."""
    world.led_by_a_worker()
    worker = Sleeper()
    world.follow(worker)
    before = world.wakes
    assert world.baton.dismiss(worker)
    assert (worker.turns, worker.retired_before, worker.leaving) == ([Turn.LEAVE], [0], True)
    assert world.wakes == before


def test_leader_that_polls_is_woken_to_leave(world: World) -> None:
    """It is not called retiring: when it hears of it, it may have a task already."""
    leader = world.led_by_a_worker()
    leader.leaving = True
    before = world.wakes
    assert not world.baton.dismiss(leader)
    assert leader.retired_before == []
    assert world.wakes == before + 1


def test_leader_that_is_one_too_many_stays(world: World) -> None:
    """It would leave after its next request, counted until then among those who stay: a follower leaves in its place."""
    leader = world.led_by_a_worker()
    before = world.wakes
    assert not world.baton.dismiss(leader)
    assert not leader.leaving
    assert world.wakes == before


def test_busy_worker_stays(world: World) -> None:
    """Who runs a task is not told to leave."""
    leader = world.led_by_a_worker()
    assert not world.baton.dismiss(leader)
    assert not leader.leaving


# The caretaker's watch.


class Watch:
    """The caretaker's thread; ends with the test."""

    def __init__(self, world: World) -> None:
        self.stopped = False
        self.returned = threading.Event()
        self._world = world
        self.thread = threading.Thread(target=self._run, name="caretaker")

    def _run(self) -> None:
        self._world.baton.watch(lambda: self.stopped)
        self.returned.set()

    def __enter__(self) -> Watch:
        self.thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stopped = True
        self._world.baton.ring()
        self.thread.join(WATCHDOG)
        assert not self.thread.is_alive()

    def await_parked(self) -> None:
        until(lambda: self._world.baton._parked, "the caretaker is parked")


def test_leader_stuck_in_a_call_loses_the_baton_to_a_follower(world: World) -> None:
    """Found in the same call twice, it is relieved, and the caretaker goes on watching."""
    world.led_by_a_worker()
    follower = Sleeper()
    world.follow(follower)
    world.baton.put_down()
    with Watch(world) as watch:
        until(lambda: follower.turns == [Turn.LEAD], "the follower leads")
        assert not watch.returned.is_set()
    assert not world.baton.pick_up(), "the leader that comes back has lost it"


def test_leader_stuck_with_nobody_free_leaves_the_baton_to_the_caretaker(world: World) -> None:
    """The caretaker stops watching: it has the baton now."""
    world.led_by_a_worker()
    world.baton.put_down()
    with Watch(world) as watch:
        assert watch.returned.wait(WATCHDOG)
        assert world.baton.caretaker_holds()


def test_leader_of_short_calls_is_left_alone(world: World) -> None:
    """A leader found in another call each time keeps the baton, however often it is looked at."""
    world.led_by_a_worker()
    follower = Sleeper()
    world.follow(follower)
    looks: list[int] = []

    class Bell:
        """Each look finds the baton on the table, in a call that began since the last one."""

        def acquire(self, timeout: float = -1) -> bool:
            looks.append(1)
            world.baton._table.clear()
            world.baton.put_down()
            return False

    world.baton._bell = Bell()  # type: ignore[assignment]
    world.baton.watch(lambda: len(looks) >= 5000)
    assert follower.turns == []
    assert world.baton.pick_up()


def test_caretaker_parks_where_nothing_runs_and_is_woken_by_the_next_call(world: World) -> None:
    """It sleeps without a timeout until a leader puts the baton down; a long call is then found as ever."""
    world.led_by_a_worker()
    follower = Sleeper()
    world.follow(follower)
    with Watch(world) as watch:
        watch.await_parked()
        world.baton.put_down()
        until(lambda: follower.turns == [Turn.LEAD], "the follower leads")


def test_baton_put_down_before_the_caretaker_looks_is_seen() -> None:
    """It is about to park; the baton is put down before its last look at the table: it does not sleep."""
    world = World()

    class Table(deque[None]):
        """Looked at, it turns out that the leader was quicker."""

        def __bool__(self) -> bool:
            if world.baton._parked and not len(self):
                world.baton._parked = (
                    False  # the leader looked before the caretaker said that it parks: it does not ring
                )
                world.baton.put_down()
                world.baton._parked = True
            return len(self) > 0

    world.baton._table = Table()
    world.baton._park()
    assert not world.baton._parked
    assert world.baton.pick_up()


def test_baton_put_down_after_the_caretaker_has_looked_rings() -> None:
    """It has looked and found nothing; the baton put down after that wakes it."""
    world = World()

    class Table(deque[None]):
        """Looked at, it is empty; a moment later the leader puts the baton down, and finds the caretaker parked."""

        def __bool__(self) -> bool:
            empty = len(self) == 0
            if world.baton._parked and empty:
                world.baton.put_down()
            return not empty

    world.baton._table = Table()
    parking = threading.Thread(target=world.baton._park)
    parking.start()
    parking.join(WATCHDOG)
    assert not parking.is_alive()


def test_ring_for_a_stop_is_not_slept_through(world: World) -> None:
    """A ring that ends the very look before the caretaker would park ends the watch."""
    world.led_by_a_worker()
    stops: list[int] = []

    class Bell:
        """Rung for a stop in the tenth idle look; nobody rings again."""

        def acquire(self, timeout: float = -1) -> bool:
            assert timeout >= 0, "the caretaker sleeps without end"
            stops.append(1)
            return len(stops) == 10

    world.baton._bell = Bell()  # type: ignore[assignment]
    world.baton.watch(lambda: len(stops) >= 10)


def test_ringing_twice_is_ringing(world: World) -> None:
    """A signal handler may ring whatever the bell does."""
    world.baton.ring()
    world.baton.ring()
    with Watch(world) as watch:
        watch.stopped = True


# Everything at once.


class BatonMachine(RuleBasedStateMachine):
    """Any order of what workers, leaders, the caretaker and strangers do; one thread plays them all."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(queue_limit=3)
        self.baton = self.world.baton
        self.workers = [Sleeper(f"worker {number}") for number in range(3)]
        self.free = list(self.workers)
        self.sleeping: list[Sleeper] = []
        self.running: dict[Sleeper, Any] = {}
        self.holder: Sleeper | None = None
        self.lying: Sleeper | None = None
        self.caretaker_has = True
        self.offered: list[Task] = []
        self.got: list[Any] = []
        self.given_up: list[Task] = []

    def _give(self, worker: Sleeper, turn: Any) -> None:
        if turn is Turn.LEAD:
            assert self.holder is None and not self.caretaker_has and not self.baton._table
            self.holder = worker
        else:
            self.got.append(turn)
            self.running[worker] = turn

    def _deliver(self) -> None:
        """What sleeping workers were woken for."""
        for worker in list(self.sleeping):
            while worker.turns:
                self.sleeping.remove(worker)
                self._give(worker, worker.turns.pop())

    @precondition(lambda self: self.free)
    @rule(data=st.data())
    def become_free(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(self.free))
        self.free.remove(worker)
        [turn] = self.world.follow(worker)
        if turn is None:
            self.sleeping.append(worker)
        else:
            self._give(worker, turn)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(self.running, key=lambda one: one.name)))
        del self.running[worker]
        if worker is self.lying:
            self.lying = None
            if self.baton.pick_up():
                self.holder = worker
                return
        self.free.append(worker)

    @precondition(lambda self: self.holder is not None)
    @rule()
    def lead_into_a_call(self) -> None:
        self.lying, self.holder = self.holder, None
        self.baton.put_down()
        self.running[self.lying] = "a request"  # type: ignore[index]

    @precondition(lambda self: self.holder is not None)
    @rule()
    def pass_on(self) -> None:
        leader, self.holder = self.holder, None
        if self.baton.pass_on():
            self.running[leader] = "a request"  # type: ignore[index]
            self._deliver()
        else:
            self.holder = leader

    @precondition(lambda self: self.holder is not None)
    @rule()
    def take_what_waits(self) -> None:
        task = self.baton.next_waiting()
        if task is not None:
            self.got.append(task)

    @precondition(lambda self: self.baton._table)
    @rule()
    def relieve_the_leader(self) -> None:
        assert self.baton.pick_up()
        if not self.baton.hand_over():
            self.caretaker_has = True
        self._deliver()

    @precondition(lambda self: self.caretaker_has)
    @rule()
    def hand_over(self) -> None:
        self.caretaker_has = not bool(self.sleeping)
        assert self.baton.hand_over() is not self.caretaker_has
        self._deliver()

    @rule()
    def submit(self) -> None:
        task = Task()
        (self.offered if self.baton.submit(task) else self.given_up).append(task)
        self._deliver()

    @precondition(lambda self: self.sleeping)
    @rule(data=st.data())
    def dismiss(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(self.sleeping))
        assert self.baton.dismiss(worker)
        assert worker.turns.pop() is Turn.LEAVE
        self.sleeping.remove(worker)
        worker.leaving = False
        self.free.append(worker)

    @invariant()
    def baton_is_in_one_place(self) -> None:
        places = [self.holder is not None, bool(self.baton._table), self.caretaker_has]
        assert sum(places) == 1, places
        assert self.baton.caretaker_holds() is self.caretaker_has

    @invariant()
    def nobody_sleeps_while_something_waits(self) -> None:
        assert not (self.baton.backlog and self.sleeping)
        assert self.baton.follower_count == len(self.sleeping)

    @invariant()
    def no_task_is_lost_or_run_twice(self) -> None:
        seen = [*self.got, *self.baton.backlog]
        assert len(seen) == len(set(map(id, seen)))
        assert {id(task) for task in seen} == {id(task) for task in self.offered}


TestBatonMachine = BatonMachine.TestCase
TestBatonMachine.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
