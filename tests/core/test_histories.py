"""
The promises of ``plan``, each checked in every state of thousands of random histories.

One history is a pool without threads to which events, requests, operators, refusals and time happen in any order. The
supervisor looks only when the design says it does: at ``look_again_at`` and when nudged.
"""

from __future__ import annotations

import math

from hypothesis import HealthCheck, settings
from hypothesis import Phase as Phases
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pastepool.core.actions import (
    Capped,
    CutReader,
    ExitProcess,
    Kill,
    KillAsked,
    NoteHung,
    NoteOverdue,
    NoteZombie,
    Retire,
    Spawn,
)
from pastepool.core.cuts import STALLED_FOR
from pastepool.core.ending import SHORTEST_LIFE
from pastepool.core.history import Shortage
from pastepool.core.looks import patience
from pastepool.core.policy import PoolPolicy
from pastepool.core.states import Phase, Status, WorkerEvent
from pastepool.core.supervision import Plan
from tests.core.simulated_pool import SERVING, Kills, SimulatedPool

limits = st.sampled_from([0.1, 1.0, 3.7, 10.0, 30.0, 100.0])
policies = st.builds(
    PoolPolicy,
    workers=st.integers(0, 6),
    max_workers=st.integers(0, 9),
    spawn_if_under=st.integers(0, 8),
    hung_after=limits,
    kill_after=limits | st.just(0.0),
    dying_for=limits,
    max_zombies=st.integers(0, 3),
    idle_for=limits | st.just(0.0),
)
picks = st.integers(0, 10**6)
steps = st.floats(0, 4.0) | st.sampled_from([0.5, 1.0, 2.0])
"""How far time moves at once, measured in the policy's own patience: every history takes about as many looks."""


class Histories(RuleBasedStateMachine):
    """Random histories of a pool; the invariants are the promises."""

    pool: SimulatedPool
    last: Plan

    @initialize(
        policy=policies,
        origin=st.floats(0, 1e6),
        threads=st.just(math.inf) | st.integers(1, 9),
        kills=st.booleans(),
        lived=st.sampled_from([0.0, 0.5, math.inf]),
    )
    def begin(self, policy: PoolPolicy, origin: float, threads: float, kills: bool, lived: float) -> None:
        """A pool before its first look."""
        self.pool = SimulatedPool(policy, now=origin, threads_left=threads, can_kill=kills or bool(policy.max_zombies))
        self.pool.serving_since = origin - lived
        self.look()

    # -- what the outside does

    @rule(step=steps)
    def time_passes(self, step: float) -> None:
        """The supervisor sleeps to its instant, looks, and sleeps again, until so much time has passed."""
        self.pool.ready()
        until = self.pool.now + step * patience(self.pool.policy)
        while self.last.look_again_at <= until:
            self.pool.now = self.last.look_again_at
            self.look()
        self.pool.now = until

    @rule()
    def time_jumps_to_the_next_look(self) -> None:
        """However far it is."""
        if self.last.look_again_at < math.inf:
            self.pool.now = self.last.look_again_at
            self.look()

    @rule()
    def starting_workers_arrive(self) -> None:
        """Threads have started."""
        self.pool.ready()

    @rule(count=st.integers(1, 7), own=st.none() | limits | st.just(0.0))
    def requests_come(self, count: int, own: float | None) -> None:
        """Idle workers take them and nudge nobody, unless they get a limit of their own; the rest waits, and nudges."""
        idle = self.pool.in_phase(Phase.IDLE)
        for worker in idle[:count]:
            self.pool.take(worker, own)
        self.pool.backlog += max(0, count - len(idle))
        if own is not None or self.pool.backlog:
            self.look()

    @rule(pick=picks)
    def a_call_returns(self, pick: int) -> None:
        """The worker takes what waits, or goes idle; one noted as hung nudges the supervisor."""
        busy = self.pool.in_phase(Phase.BUSY)
        if not busy:
            return
        worker = busy[pick % len(busy)]
        was_hung = any(worker == hung for hung, _ in self.pool.history.hung)
        self.pool.happen(worker, WorkerEvent.FINISHED)
        if self.pool.backlog:
            self.pool.backlog -= 1
            self.pool.take(worker)
        if was_hung:
            self.look()

    @rule(pick=picks, stalled=st.floats(0, 3.0))
    def a_client_does_not_read(self, pick: int, stalled: float) -> None:
        """Its worker waits for it, or still waits; this nudges the supervisor."""
        busy = self.pool.in_phase(Phase.BUSY)
        if busy:
            worker = busy[pick % len(busy)]
            self.pool.send(worker, self.pool.now - stalled)
            self.look()

    @rule(pick=picks)
    def a_client_reads_on(self, pick: int) -> None:
        """Its worker goes on, or ends if the client was cut; this nudges the supervisor."""
        sending = [worker for worker, status in self.pool.statuses().items() if status is Status.SENDING]
        if sending:
            worker = sending[pick % len(sending)]
            cut = any(worker == cut.worker for cut in self.pool.history.cuts)
            self.pool.go_on(worker)
            if cut:
                self.pool.happen(worker, WorkerEvent.FINISHED)
            self.look()

    @rule(pick=picks)
    def a_dying_call_returns(self, pick: int) -> None:
        """The application swallowed the kill and came back."""
        dying = [w for w in self.pool.in_phase(Phase.DYING) if self.pool.records[w].task is not None]
        if dying:
            self.pool.happen(dying[pick % len(dying)], WorkerEvent.FINISHED)

    @rule(pick=picks)
    def a_thread_ends(self, pick: int) -> None:
        """Because it was asked or killed, now and then for no reason; its end nudges the supervisor."""
        expected = self.pool.in_phase(Phase.RETIRING, Phase.DYING)
        alive = expected or (sorted(self.pool.records) if pick % 3 == 0 else [])
        if alive:
            self.pool.happen(alive[pick % len(alive)], WorkerEvent.EXITED)
            self.look()

    @rule(pick=picks, stale=st.booleans())
    def an_operator_asks_for_a_kill(self, pick: int, stale: bool) -> None:
        """Sometimes of a task that is over."""
        if self.pool.records:
            worker = sorted(self.pool.records)[pick % len(self.pool.records)]
            self.pool.asked = {KillAsked(worker, self.pool.records[worker].serial + stale)}
            self.look()

    @rule(pick=picks)
    def a_worker_wears_out(self, pick: int) -> None:
        """It has run as many requests as it may."""
        if self.pool.records:
            self.pool.worn.add(sorted(self.pool.records)[pick % len(self.pool.records)])
            self.look()

    @rule(pick=picks)
    def the_baton_passes(self, pick: int) -> None:
        """Another worker leads, and refuses to retire."""
        idle = self.pool.in_phase(Phase.IDLE)
        self.pool.leader = idle[pick % len(idle)] if idle else 0

    @rule(kills=st.sampled_from(Kills))
    def kills_begin_to_come_to_something_else(self, kills: Kills) -> None:
        """They land, are held back, or find the window shut; the supervisor hears of those that raised nothing."""
        self.pool.kills = kills

    @rule()
    def backlog_expires(self) -> None:
        """Waiting requests were answered 503."""
        self.pool.backlog = 0

    @precondition(lambda self: self.pool.records)
    @rule()
    def a_nudge_comes_for_nothing(self) -> None:
        """A look is always allowed."""
        self.look()

    # -- the promises that hold at each look

    def look(self) -> None:
        """Plan, check what is promised of one plan, apply, check what is promised of applying it."""
        # A thread that could not be started, and a kill that raised nothing, nudge the supervisor, so that the next plan
        # can say when to try again.
        pool, before = self.pool, self.pool.statuses()
        made = pool.plan()
        assert made == pool.plan(), "the same facts, two plans"
        assert made.look_again_at > pool.now, "a supervisor that never sleeps"
        self.check_kills(made)
        self.check_spawns(made)
        self.check_cuts(made, before)
        self.check_retirements(made)
        self.check_end(made, before)
        self.check_notes(made, before)
        self.last = pool.look()
        assert self.last == made
        failed = pool.start_failed_at == pool.now and any(isinstance(action, Spawn) for action in made.actions)
        if failed or pool.missed:
            self.look()
            return
        self.check_applied()
        self.check_sleep(made)

    def check_kills(self, made: Plan) -> None:
        """Every task past its limit is killed, now or on its schedule, or noted where nothing can be; nobody else is."""
        pool = self.pool
        killed = {(action.worker, action.serial) for action in made.actions if isinstance(action, Kill)}
        assert len(killed) == sum(isinstance(action, Kill) for action in made.actions)
        for record in pool.records.values():
            injected = pool.history.injections.get(record.worker)
            first = injected is None or injected.serial != record.serial
            if record.phase is Phase.BUSY and record.task is not None and first:
                own = record.task.kill_after
                limit = pool.policy.kill_after if own is None else own
                asked = KillAsked(record.worker, record.serial) in pool.asked
                past = bool(limit) and not record.sending and pool.now >= record.counts_from + limit
                assert ((record.worker, record.serial) in killed) is (pool.can_kill and (past or asked))
                assert not (pool.can_kill and past) or pool.now == record.counts_from + limit, "killed, but late"
                noted = [a for a in made.actions if isinstance(a, NoteOverdue) and a.worker == record.worker]
                known = (record.worker, record.serial) in pool.history.overdue
                assert len(noted) == (past and not known and not pool.can_kill)
                assert not noted or pool.now == record.counts_from + limit, "noted, but late"
        running = {(r.worker, r.serial) for r in pool.records.values() if r.task is not None}
        assert killed <= running, "a kill for a task that is over"
        for task in running & set(pool.attempts):
            assert (task in killed) is (pool.now >= self.next_attempt(pool.attempts[task]))

    def next_attempt(self, made: list[tuple[float, bool]]) -> float:
        """When a task that was killed is killed again: soon if nothing was raised, otherwise after its clean-up."""
        last_at, landed = made[-1]
        if not landed:
            in_a_row = next((n for n, (_, did) in enumerate(reversed(made)) if did), len(made))
            return last_at + min(2.0 ** max(0, in_a_row - 8), 30.0)
        dying_for = self.pool.policy.dying_for
        cleanup = max(1.0, dying_for / 10) * 2.0 ** (sum(did for _, did in made) - 1)
        return last_at + min(cleanup, max(30.0, dying_for))

    def check_spawns(self, made: Plan) -> None:
        """Never above the cap, never by a request's own doing below the floor, never in vain."""
        pool = self.pool
        count = sum(action.count for action in made.actions if isinstance(action, Spawn))
        assert sum(isinstance(action, Spawn) for action in made.actions) <= 1
        if count:
            assert pool.live() + count <= max(1, pool.policy.max_workers)
            assert pool.now >= pool.start_failed_at + 1.0

    def check_cuts(self, made: Plan, before: dict[int, Status]) -> None:
        """Only while requests wait and nobody can be spawned; only who has stalled, and nobody who stalls longer is left."""
        pool = self.pool
        cuts = [action for action in made.actions if isinstance(action, CutReader)]
        if not cuts:
            return
        assert pool.backlog >= len(cuts)
        assert not {Status.IDLE, Status.STARTING} & set(before.values())
        assert not any(isinstance(action, Spawn) for action in made.actions)
        assert pool.live() >= max(1, pool.policy.max_workers) or pool.now < pool.start_failed_at + 1.0
        known = {cut.worker for cut in pool.history.cuts if cut.sending_since == since(pool, cut.worker)}
        chosen = {action.worker for action in cuts}
        assert not chosen & known, "cut twice"
        sending = {worker for worker, status in before.items() if status is Status.SENDING}
        killed = {action.worker for action in made.actions if isinstance(action, Kill)}
        others = [pool.records[worker].stalled_since for worker in sending - chosen - known - killed]
        last = max(pool.records[worker].stalled_since for worker in chosen)
        assert pool.now >= last + STALLED_FOR
        assert all(stalled >= last for stalled in others), "another client has stalled longer"

    def check_retirements(self, made: Plan) -> None:
        """Only the idle, and worn ones that are busy, each once; enough who serve remain even if all of them go."""
        pool = self.pool
        retired = [action.worker for action in made.actions if isinstance(action, Retire)]
        assert len(retired) == len(set(retired))
        worn = {worker for worker in pool.worn if pool.statuses().get(worker) is Status.BUSY}
        assert set(retired) <= {*pool.in_phase(Phase.IDLE), *worn}
        if retired:
            count = sum(action.count for action in made.actions if isinstance(action, Spawn))
            victims = {action.worker for action in made.actions if isinstance(action, Kill)}
            left = {w for w, status in pool.statuses().items() if status in SERVING} - victims - set(retired)
            assert len(left) + count >= self.floor()

    def check_end(self, made: Plan, before: dict[int, Status]) -> None:
        """More zombies than allowed end the process, once, and not in its first second; fewer never do."""
        pool = self.pool
        zombies = sum(status is Status.ZOMBIE for status in before.values())
        due = 0 < pool.policy.max_zombies < zombies and not pool.history.ending and self.has_lived()
        assert any(isinstance(action, ExitProcess) for action in made.actions) is due

    def check_notes(self, made: Plan, before: dict[int, Status]) -> None:
        """Each hung task is noted or killed at the first look that finds it hung, and never noted again."""
        pool = self.pool
        noted = [action for action in made.actions if isinstance(action, NoteHung)]
        killed = {action.worker for action in made.actions if isinstance(action, Kill)}
        for worker, status in before.items():
            known = (worker, pool.records[worker].serial) in pool.history.hung
            notes = sum(note.worker == worker for note in noted)
            assert notes == (status is Status.HUNG and not known and worker not in killed)
            assert not notes or pool.now == pool.records[worker].counts_from + pool.policy.hung_after, "noted, but late"
        lost = [action.worker for action in made.actions if isinstance(action, NoteZombie)]
        assert len(lost) == len(set(lost))
        for worker, status in before.items():
            assert (worker in lost) is (status is Status.ZOMBIE and worker not in pool.history.zombies)
            assert worker not in lost or pool.now == pool.records[worker].since + pool.policy.dying_for, "late"

    def check_applied(self) -> None:
        """Planning again at the same instant finds nothing more to do but to ask others than those who refused."""
        pool = self.pool
        assert not any(record.phase is Phase.GONE for record in pool.records.values())
        again = pool.plan().actions
        if pool.leader not in self.last.history.asked_to_retire:
            assert again == (), "a second helping"
        assert all(isinstance(action, Retire) for action in again)
        enough = pool.serving() >= self.floor()
        full = pool.live() >= max(1, pool.policy.max_workers)
        assert enough or full or pool.now < pool.start_failed_at + 1.0, "missing workers, and room for them"
        short = self.floor() - pool.serving() - pool.number(Status.SENDING) > 0 and full
        assert (pool.history.shortage is not Shortage.NONE) is short or not full
        if pool.history.shortage is Shortage.NOBODY_SERVES:
            assert pool.serving() == 0
            assert pool.acted(Capped)

    def check_sleep(self, made: Plan) -> None:
        """Between now and the next look time alone changes nothing; at the next look it has."""
        pool, until = self.pool, made.look_again_at
        refused = pool.leader in made.history.asked_to_retire
        if not refused:
            here = pool.now
            horizon = until if until < math.inf else here + 1e5
            for moment in (math.nextafter(horizon, 0), here + (horizon - here) / 2):
                if here < moment < until:
                    assert pool.plan(at=moment).actions == (), "something to do, and nobody looks"
                    assert pool.statuses(moment) == pool.statuses(), "somebody has another name, and nobody looks"
        asked = any(isinstance(action, Retire) for action in made.actions)
        if until < math.inf and until != pool.now + patience(pool.policy) and not asked:
            changed = pool.plan(at=until).actions or pool.statuses(until) != pool.statuses()
            assert changed, "a look for nothing"

    # -- the promises that hold between looks as well

    @invariant()
    def no_more_live_than_the_cap(self) -> None:
        """However many hang, die or are asked for."""
        assert self.pool.live() <= max(1, self.pool.policy.max_workers)

    @invariant()
    def nobody_is_hung_unseen(self) -> None:
        """Whatever began when, by the time it is hung it has been noted or killed."""
        for worker, status in self.pool.statuses().items():
            if status is Status.HUNG:
                record = self.pool.records[worker]
                noted = (worker, record.serial) in self.pool.history.hung
                assert noted or worker in self.pool.history.injections

    @invariant()
    def each_zombie_is_noted_once(self) -> None:
        """At the instant it became one, and never again."""
        noted = [action.worker for action in self.pool.acted(NoteZombie) if isinstance(action, NoteZombie)]
        assert len(noted) == len(set(noted))
        zombies = {worker for worker, status in self.pool.statuses().items() if status is Status.ZOMBIE}
        assert zombies <= set(noted)

    @invariant()
    def too_many_zombies_never_go_unnoticed(self) -> None:
        """The end of the process is planned at the instant one zombie too many is one, or when it has lived."""
        limit = self.pool.policy.max_zombies
        if 0 < limit < self.pool.number(Status.ZOMBIE) and self.has_lived():
            assert self.pool.ended()

    def has_lived(self) -> bool:
        """Whether the process has served for so long that it may end."""
        return self.pool.now >= self.pool.serving_since + SHORTEST_LIFE

    def floor(self) -> int:
        """How many should be able to serve."""
        policy = self.pool.policy
        return min(max(1, policy.workers), max(1, policy.max_workers))


def since(pool: SimulatedPool, worker: int) -> float:
    """Since when a worker waits for its client; minus infinity if it is not there any more."""
    record = pool.records.get(worker)
    return -math.inf if record is None else record.sending_since


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    phases=[Phases.explicit, Phases.generate, Phases.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
