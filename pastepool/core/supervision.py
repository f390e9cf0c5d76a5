"""
Given facts and a moment, decide what the pool should do. The only place that decides.

Knows records, numbers and instants. Knows no thread, no clock and no log; applies nothing.
``plan`` runs on the supervisor thread, on a snapshot; everything here is pure, so it may run anywhere.

The words used below: a worker can *serve* while it is starting, idle, or busy without being hung. It *lives* until its
thread has ended: a hung, dying or zombie thread still costs memory, so the cap counts it, and a pool whose cap is
reached says so (``Capped``) instead of growing. That is the walk between exploding and freezing (contract P2).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from pastepool.core.actions import (
    Action,
    Capped,
    ExitProcess,
    Forget,
    Kill,
    KillAsked,
    NoteHung,
    NoteZombie,
    Retire,
    Spawn,
)
from pastepool.core.ending import end_at
from pastepool.core.history import History, Injection, Shortage
from pastepool.core.policy import PoolPolicy
from pastepool.core.states import Event, Phase, Record, Status, advance, classify, count_by_status
from pastepool.core.wording import counted, printable, spoken
from pastepool.types import Seconds, WorkerId

__all__ = [
    "Action",
    "Capped",
    "ExitProcess",
    "Forget",
    "History",
    "Injection",
    "Kill",
    "KillAsked",
    "NoteHung",
    "NoteZombie",
    "Plan",
    "Retire",
    "Shortage",
    "Spawn",
    "look_is_due",
    "patience",
    "plan",
    "wears_out_after",
]

START_PAUSE = 1.0
"""Seconds without a spawn after a thread could not be started: what the machine lacks now it still lacks at once."""

PATIENCE_FLOOR = 0.01
"""Seconds at least between looks for tasks that may have begun: a limit of nothing must not become a loop."""

REQUEST_LOOK_PAUSE = 0.25
"""
Seconds at least between looks that are due to the number of requests. A fast application is called a hundred times in
two milliseconds: the looks took an eighth of a loaded server's CPU (measured). Limits are seconds; nothing derives it.
"""

RETIRE_PAUSE = 1.0
"""Seconds at least before a worker that would not retire is asked again."""

SERVING = (Status.STARTING, Status.IDLE, Status.BUSY)
"""What a worker is called while it can serve."""

WORN = "it has run as many requests as it may"

TITLES = 5
TITLE_LIMIT = 80
"""How many tasks the reason of an exit names, and how much of each: it has to fit on a line."""


@dataclass(frozen=True)
class Plan:
    """
    What to do now and when to look again.

    ``actions``: in the order to apply. ``look_again_at``: strictly later than the ``now`` of the plan; infinity when
    only a nudge can change anything. ``history``: for the next plan, whether or not an action was refused.
    """

    actions: tuple[Action, ...]
    look_again_at: Seconds
    history: History


@dataclass(frozen=True)
class _Facts:
    """Everything one plan is made from. ``records``: without the gone. ``coming``: workers this plan spawns."""

    records: tuple[Record, ...]
    backlog: int
    now: Seconds
    policy: PoolPolicy
    history: History
    asked: frozenset[KillAsked]
    worn: frozenset[WorkerId]
    start_failed_at: Seconds
    can_kill: bool
    serving_since: Seconds
    coming: int = 0

    @property
    def cap(self) -> int:
        """How many may live."""
        return max(1, self.policy.max_workers)

    @property
    def floor(self) -> int:
        """How many should be able to serve: at least one, and no more than may live."""
        return min(max(1, self.policy.workers), self.cap)

    @property
    def room(self) -> int:
        """How many more may live."""
        return max(0, self.cap - len(self.records))

    def status(self, record: Record) -> Status:
        """What a person is told about one worker."""
        return classify(record, self.now, self.policy)

    @cached_property
    def counts(self) -> Counter[Status]:
        """Workers by status."""
        return count_by_status(self.records, self.now, self.policy)

    @cached_property
    def serving(self) -> int:
        """How many can serve, worn ones among them."""
        return sum(self.counts[status] for status in SERVING)

    @cached_property
    def fresh(self) -> int:
        """How many can serve and are not worn, those that are coming among them."""
        able = (record for record in self.records if self.status(record) in SERVING)
        return self.coming + sum(record.worker not in self.worn for record in able)

    @property
    def surplus(self) -> int:
        """How many more can serve than should; none while requests wait."""
        return 0 if self.backlog else max(0, self.fresh - self.floor)

    @property
    def renewable(self) -> int:
        """How many worn workers can go with enough left to serve; none while requests wait."""
        return 0 if self.backlog else max(0, self.serving + self.coming - self.floor)

    @property
    def missing_for_the_cap(self) -> int:
        """How many the cap keeps from being spawned. Worn workers serve on where there is no room to replace them."""
        return max(0, self.floor - self.serving - self.room)


def plan(
    records: Sequence[Record],
    backlog: int,
    now: Seconds,
    policy: PoolPolicy,
    *,
    history: History | None = None,
    asked: Collection[KillAsked] = (),
    worn: Collection[WorkerId] = (),
    start_failed_at: Seconds = -math.inf,
    missed: Collection[tuple[WorkerId, int]] = (),
    can_kill: bool = True,
    serving_since: Seconds = -math.inf,
) -> Plan:
    """
    Decide what the pool should do now, and when to look again.

    Rules, in order:
        1. forget each worker that is gone;
        2. kill each worker past its kill limit, again with growing pauses while it does not end, and soon where
           nothing was raised; note each one that became hung, and each that became a zombie;
        3. keep ``workers`` that can serve, as far as ``max_workers`` allows. So a killed worker is replaced by the same
           plan, unless it was hung: then its replacement came at the hung limit;
        4. if requests wait, none is idle or starting and fewer than ``spawn_if_under`` are busy (hung ones do not
           count), spawn up to that number, as far as ``max_workers`` allows;
        5. retire surplus idle workers when there has been a surplus, and they have been idle, for ``idle_for``;
           retire worn ones once others can serve in their place. Nobody leaves while requests wait; and with
           ``max_workers`` no larger than ``workers`` there is no room for replacements, and worn workers stay;
        6. with more than ``max_zombies`` zombies, end the process, once it has served for ``SHORTEST_LIFE``.

    Promises (each a property test):
        the same facts give the same plan. Planning again at the same instant, after applying, yields no second action.
        Workers that can serve are never retired below ``workers``, and live ones never spawned above ``max_workers``.
        Before ``look_again_at`` nothing changes by time alone, not even for a task that begins after this plan. At that
        instant something has changed, a status or what is to be done, with two exceptions: a worker this plan asks to
        retire may have refused, and when nothing is known to change the look comes after ``patience`` all the same.

    Args:
        records: one for each worker, in any order; a snapshot.
        backlog: requests that wait for a worker.
        now: same clock as the records.
        policy: read whole; values that contradict each other are clamped, never refused.
        history: what the last plan returned; ``None`` for the first.
        asked: kills asked for since the last plan; each is acted upon or, when its task is over, dropped.
        worn: workers that have run as many requests as they may (``wears_out_after``).
        start_failed_at: when a thread could last not be started.
        missed: worker and serial of each kill of the last plan that raised nothing.
        can_kill: whether this interpreter can raise in another thread.
        serving_since: when the process began to serve.

    Units: seconds, monotonic. Runs on: the supervisor; pure.

    Source: contract P4, P5, P7 to P10; the cap, the floor without hung workers and the deadline are ours, the last
    because of P13 and P14.
    """
    ordered = sorted(records, key=lambda record: record.worker)
    alive = tuple(record for record in ordered if record.phase is not Phase.GONE)
    history = _told_of(missed, history or History())
    facts = _Facts(
        alive,
        backlog,
        now,
        policy,
        history,
        frozenset(asked),
        frozenset(worn),
        start_failed_at,
        can_kill,
        serving_since,
    )
    forgets = [Forget(record.worker) for record in ordered if record.phase is Phase.GONE]
    kills = list(_kills(facts))
    notes = list(_notes(facts, kills))
    lost = list(_lost(facts))
    facts = replace(facts, records=_killed(facts, kills))
    wanted, why = _wanted(facts)
    spawns = _spawns(facts, wanted, why)
    facts = replace(facts, coming=sum(spawn.count for spawn in spawns))
    retires = _retires(facts)
    ends = _ends(facts)
    new = History(
        hung=_still_hung(facts, notes),
        zombies=_zombies(facts),
        injections=_injections(facts, kills),
        surplus_since=_surplus_since(facts),
        asked_to_retire=_asked_to_retire(facts, retires),
        shortage=_shortage(facts),
        ending=history.ending or bool(ends),
    )
    capped = _capped(facts) if new.shortage > history.shortage else []
    look_again_at = _look_again_at(facts, new, put_off=wanted > 0 and not spawns)
    return Plan((*forgets, *kills, *notes, *lost, *spawns, *capped, *retires, *ends), look_again_at, new)


def wears_out_after(worker: WorkerId, policy: PoolPolicy) -> int:
    """
    Say how many requests one worker runs before it makes room for a fresh one.

    ``max_requests``, and up to a tenth more that differs from worker to worker: those spawned together do not leave
    together. The worker's number decides, no dice: the same worker always gets the same answer.

    Returns: a count; 0 for never.
    """
    spread = policy.max_requests // 10 + 1
    return policy.max_requests + worker * 7919 % spread if policy.max_requests > 0 else 0


def patience(policy: PoolPolicy) -> Seconds:
    """
    Say how long after it began a task can at the earliest be of interest to the supervisor.

    A look comes at least this often while anybody can take a task, so that taking one needs no nudge: that would be
    paid for with every request, to save a look in half a minute. A task given a shorter limit of its own needs one.
    """
    limit = policy.kill_after if policy.kill_after > 0 else math.inf
    return max(PATIENCE_FLOOR, min(policy.hung_after, limit))


def look_is_due(requests: int, elapsed: Seconds, policy: PoolPolicy) -> bool:
    """
    Say whether the supervisor should be nudged because so many requests, in so much time, have come since it last was.

    Source: contract P7. Time wakes it as well, so nothing ever waits for this; ``REQUEST_LOOK_PAUSE`` is ours.
    """
    return 0 < policy.check_every <= requests and elapsed >= REQUEST_LOOK_PAUSE


def _kills(facts: _Facts) -> Iterator[Kill]:
    if not facts.can_kill:
        return
    for record in facts.records:
        if record.phase not in (Phase.BUSY, Phase.DYING) or record.task is None:
            continue
        ran_for = facts.now - record.since
        earlier = _injection(facts.history, record)
        if earlier is not None:
            if facts.now >= earlier.due_at(facts.policy.dying_for):
                yield Kill(record.worker, record.serial, record.title, ran_for, None, earlier.attempts + 1)
        elif KillAsked(record.worker, record.serial) in facts.asked:
            yield Kill(record.worker, record.serial, record.title, ran_for, None)
        elif facts.now >= _kill_at(record, facts.policy):
            yield Kill(record.worker, record.serial, record.title, ran_for, _kill_limit(record, facts.policy))


def _injection(history: History, record: Record) -> Injection | None:
    """What was done to end this very task; a dying worker was injected when it began to die, whoever planned it."""
    known = history.injections.get(record.worker)
    if known is not None and known.serial == record.serial:
        return known
    return Injection(record.serial, 1, record.since) if record.phase is Phase.DYING else None


def _told_of(missed: Collection[tuple[WorkerId, int]], history: History) -> History:
    """What the last plan handed on, with the news of what became of its kills."""
    if not missed:
        return history
    news = {
        worker: known.missing() if (worker, known.serial) in missed else known
        for worker, known in history.injections.items()
    }
    return replace(history, injections=news)


def _kill_limit(record: Record, policy: PoolPolicy) -> Seconds:
    own = None if record.task is None else record.task.kill_after
    limit = policy.kill_after if own is None else own
    return limit if limit > 0 else math.inf


def _kill_at(record: Record, policy: PoolPolicy) -> Seconds:
    return record.since + _kill_limit(record, policy)


def _killed(facts: _Facts, kills: Sequence[Kill]) -> tuple[Record, ...]:
    """The records as they will be once the kills are applied."""
    victims = {kill.worker for kill in kills}
    return tuple(
        advance(record, Event.KILL, facts.now) if record.worker in victims and record.phase is Phase.BUSY else record
        for record in facts.records
    )


def _notes(facts: _Facts, kills: Sequence[Kill]) -> Iterator[NoteHung]:
    """A worker that is killed at the same look needs no note: the kill logs the same."""
    victims = {kill.worker for kill in kills}
    for record in facts.records:
        known = (record.worker, record.serial) in facts.history.hung or record.worker in victims
        if facts.status(record) is Status.HUNG and not known:
            ran_for = facts.now - record.since
            yield NoteHung(record.worker, record.serial, record.title, ran_for, facts.policy.hung_after)


def _zombies(facts: _Facts) -> frozenset[WorkerId]:
    return frozenset(record.worker for record in facts.records if facts.status(record) is Status.ZOMBIE)


def _lost(facts: _Facts) -> Iterator[NoteZombie]:
    for record in facts.records:
        if facts.status(record) is Status.ZOMBIE and record.worker not in facts.history.zombies:
            ran_for = 0.0 if record.task is None else facts.now - record.task.began_at
            dying_for = facts.now - record.since
            zombies, allowed = facts.counts[Status.ZOMBIE], facts.policy.max_zombies
            yield NoteZombie(record.worker, record.serial, record.title, ran_for, dying_for, zombies, allowed)


def _wanted(facts: _Facts) -> tuple[int, str]:
    """How many workers rules 3 and 4 ask for, whatever the cap says, and why: the rule that asks for more is enough."""
    missing = facts.floor - facts.fresh
    free = facts.counts[Status.IDLE] + facts.counts[Status.STARTING]
    busy, enough = facts.counts[Status.BUSY], facts.policy.spawn_if_under
    if facts.backlog and not free and enough - busy > max(0, missing):
        return enough - busy, f"{counted(facts.backlog, 'request')} waiting, {busy} busy, spawn_if_under = {enough}"
    if missing > 0:
        return missing, f"{facts.fresh} of {facts.floor} can serve without being hung or worn"
    return 0, ""


def _spawns(facts: _Facts, wanted: int, why: str) -> list[Spawn]:
    count = min(wanted, facts.room)
    if count <= 0 or facts.now < facts.start_failed_at + START_PAUSE:
        return []
    return [Spawn(count, why)]


def _shortage(facts: _Facts) -> Shortage:
    if not facts.missing_for_the_cap:
        return Shortage.NONE
    return Shortage.SOME if facts.serving or facts.room else Shortage.NOBODY_SERVES


def _capped(facts: _Facts) -> list[Capped]:
    return [Capped(facts.cap, facts.missing_for_the_cap, facts.counts, facts.backlog)]


def _surplus_since(facts: _Facts) -> Seconds | None:
    if not facts.surplus:
        return None
    known = facts.history.surplus_since
    return facts.now if known is None else known


def _retire_at(record: Record, facts: _Facts, asked_to_retire: Mapping[WorkerId, Seconds]) -> Seconds:
    """
    When a worker is to be asked to retire; infinity while it is needed.

    One that is busy and worn is told once for each task it runs, and leaves after that task: under load a worker that
    always leads is never seen idle. It is told only when those who are not worn are enough without it.
    """
    asked_at = asked_to_retire.get(record.worker, -math.inf)
    again_at = asked_at + max(RETIRE_PAUSE, facts.policy.idle_for) if asked_at >= record.since else -math.inf
    if record.phase is Phase.BUSY:
        told = asked_at >= record.since
        return math.inf if told or facts.backlog or facts.fresh < facts.floor else facts.now
    if record.worker in facts.worn:
        return max(again_at, facts.now) if facts.renewable else math.inf
    surplus_since = _surplus_since(facts)
    if surplus_since is None:
        return math.inf
    return max(again_at, max(surplus_since, record.since) + facts.policy.idle_for)


def _retires(facts: _Facts) -> list[Retire]:
    """The longest idle go first; whoever refused once goes last, or a leader nobody disturbs would block the rest."""
    asked = facts.history.asked_to_retire
    able = [record for record in facts.records if record.phase is Phase.IDLE or _is_busy_and_worn(record, facts)]
    due = [record for record in able if facts.now >= _retire_at(record, facts, asked)]
    due.sort(key=lambda record: (record.worker in asked, record.since, record.worker))
    worn = [record for record in due if record.worker in facts.worn]
    surplus = [record for record in due if record.worker not in facts.worn]
    return [
        *(Retire(record.worker, WORN, even_busy=True) for record in worn[: facts.renewable]),
        *(Retire(record.worker, _surplus_text(record, facts)) for record in surplus[: facts.surplus]),
    ]


def _is_busy_and_worn(record: Record, facts: _Facts) -> bool:
    return record.worker in facts.worn and facts.status(record) is Status.BUSY


def _surplus_text(record: Record, facts: _Facts) -> str:
    return f"idle for {spoken(facts.now - record.since)}, and more than {facts.floor} can serve"


def _end_at(facts: _Facts) -> Seconds:
    """When the process is to end as things are; infinity while it need not, and once its end was planned."""
    limit = facts.policy.max_zombies
    if facts.history.ending or limit <= 0 or facts.counts[Status.ZOMBIE] <= limit:
        return math.inf
    return end_at(facts.now, facts.serving_since)


def _ends(facts: _Facts) -> list[ExitProcess]:
    if facts.now < _end_at(facts):
        return []
    zombies = [record for record in facts.records if facts.status(record) is Status.ZOMBIE]
    limit = facts.policy.max_zombies
    titles = ", ".join(printable(record.title or "a call that has ended", TITLE_LIMIT) for record in zombies[:TITLES])
    more = f" and {len(zombies) - TITLES} more" if len(zombies) > TITLES else ""
    return [ExitProcess(f"{len(zombies)} zombies, more than max_zombies_before_die = {limit}: {titles}{more}")]


def _still_hung(facts: _Facts, notes: Sequence[NoteHung]) -> frozenset[tuple[WorkerId, int]]:
    # The dying as well: a kill may yet be refused, and what was noted before it is not noted again.
    running = {(record.worker, record.serial) for record in facts.records if record.task is not None}
    return (facts.history.hung & running) | {(note.worker, note.serial) for note in notes}


def _injections(facts: _Facts, kills: Sequence[Kill]) -> Mapping[WorkerId, Injection]:
    running = {record.worker: record.serial for record in facts.records if record.task is not None}
    kept = {worker: known for worker, known in facts.history.injections.items() if running.get(worker) == known.serial}
    made = {
        kill.worker: kept[kill.worker].again(facts.now)
        if kill.worker in kept
        else Injection(kill.serial, kill.attempt, facts.now)
        for kill in kills
    }
    return kept | made


def _asked_to_retire(facts: _Facts, retires: Sequence[Retire]) -> Mapping[WorkerId, Seconds]:
    """Forgets whoever has worked since: he was needed, and his refusal is no more than that."""
    able = (Phase.IDLE, Phase.BUSY)
    idle_since = {record.worker: record.since for record in facts.records if record.phase in able}
    kept = {
        worker: asked_at
        for worker, asked_at in facts.history.asked_to_retire.items()
        if asked_at >= idle_since.get(worker, math.inf)  # since then it has done the same
    }
    return kept | {retire.worker: facts.now for retire in retires}


def _look_again_at(facts: _Facts, new: History, *, put_off: bool) -> Seconds:
    """
    The first instant at which time alone makes a difference.

    Args:
        facts: with the records as they will be once the kills are applied.
        new: what the plan hands to the next.
        put_off: workers are wanted and none is spawned, for want of room or because the last start failed.

    A worker that is free now, or will be, may take a task at any moment and tells nobody. That task cannot be hung
    before ``patience`` has passed, so that is when to look at the latest.
    """
    return min((instant for instant in _instants(facts, new, put_off) if instant > facts.now), default=math.inf)


def _instants(facts: _Facts, new: History, put_off: bool) -> Iterator[Seconds]:
    for record in facts.records:
        if record.phase is Phase.BUSY:
            yield record.since + facts.policy.hung_after
        if record.phase is Phase.DYING:
            yield record.since + facts.policy.dying_for
        if record.phase is Phase.IDLE:
            yield _retire_at(record, facts, new.asked_to_retire)
        if record.task is not None and facts.can_kill:
            injection = _injection(new, record)
            yield _kill_at(record, facts.policy) if injection is None else injection.due_at(facts.policy.dying_for)
    if put_off and facts.room:
        yield facts.start_failed_at + START_PAUSE
    yield _end_at(facts)
    if facts.serving or facts.coming:
        yield facts.now + patience(facts.policy)
