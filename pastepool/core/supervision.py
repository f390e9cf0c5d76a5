"""
Given facts and a moment, decide what the pool should do. The only place that decides.

Knows records, numbers and instants. Knows no thread, no clock and no log; applies nothing.
``plan`` runs on the supervisor thread, on a snapshot; everything here is pure, so it may run anywhere. Its rules are in
``kills``, ``sizing`` and ``ending``, when to look again in ``looks``; all of them read ``facts``.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from pastepool.core.actions import Action, Forget, KillAsked
from pastepool.core.ending import ends_due
from pastepool.core.facts import Facts
from pastepool.core.history import History
from pastepool.core.kills import (
    injections_made,
    killed,
    kills_due,
    notes_of_hung,
    notes_of_zombies,
    still_hung,
    told_of,
    zombie_workers,
)
from pastepool.core.looks import next_look_at
from pastepool.core.policy import PoolPolicy
from pastepool.core.sizing import (
    capped_note,
    retirements_asked,
    retires_due,
    shortage_of,
    spawns_for,
    surplus_began_at,
    workers_wanted,
)
from pastepool.core.states import Phase, Record
from pastepool.types import Seconds, WorkerId


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
    because of contract P13 and P14.
    """
    ordered = sorted(records, key=lambda record: record.worker)
    alive = tuple(record for record in ordered if record.phase is not Phase.GONE)
    history = told_of(missed, history or History())
    facts = Facts(
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
    kills = list(kills_due(facts))
    notes = list(notes_of_hung(facts, kills))
    lost = list(notes_of_zombies(facts))
    facts = replace(facts, records=killed(facts, kills))
    wanted, why = workers_wanted(facts)
    spawns = spawns_for(facts, wanted, why)
    facts = replace(facts, coming=sum(spawn.count for spawn in spawns))
    retires = retires_due(facts)
    ends = ends_due(facts)
    new = History(
        hung=still_hung(facts, notes),
        zombies=zombie_workers(facts),
        injections=injections_made(facts, kills),
        surplus_since=surplus_began_at(facts),
        asked_to_retire=retirements_asked(facts, retires),
        shortage=shortage_of(facts),
        ending=history.ending or bool(ends),
    )
    capped = capped_note(facts) if new.shortage > history.shortage else []
    look_again_at = next_look_at(facts, new, put_off=wanted > 0 and not spawns)
    return Plan((*forgets, *kills, *notes, *lost, *spawns, *capped, *retires, *ends), look_again_at, new)
