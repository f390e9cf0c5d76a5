"""
Decide what the pool should do, from the facts at one instant. No other module decides that.

Knows records, numbers and instants. Knows no thread, no clock and no log; applies nothing.
``plan`` runs on the supervisor thread, on a snapshot. Everything here is pure, so any thread may run it. The rules are
in ``kills``, ``sizing`` and ``ending``; ``looks`` decides when to look again. All of them read ``facts``.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from pastepool.core.actions import Action, Forget, KillAsked
from pastepool.core.cuts import cuts_due, cuts_made, next_cut_at
from pastepool.core.ending import ends_due
from pastepool.core.facts import Facts
from pastepool.core.history import History
from pastepool.core.kills import (
    injections_made,
    killed,
    kills_due,
    notes_of_hung,
    notes_of_overdue,
    notes_of_zombies,
    still_hung,
    still_overdue,
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
    What the pool should do now, and when to look again.

    ``actions``: in the order in which to apply them. ``look_again_at``: always later than the ``now`` of the plan;
    infinity when only a nudge can change anything. ``history``: is given to the next plan, even if an action of this
    plan was refused.
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
        2. kill each worker past its kill limit. Repeat the kill with growing pauses while the call does not end, and
           after a short pause if the last attempt raised nothing. Note each worker that became hung, each that became
           a zombie and, if nothing can be killed, each that passed its kill limit;
        3. keep ``workers`` that can serve, as far as ``max_workers`` allows. So the same plan replaces a killed worker,
           and one that waits for its client.
           A worker that was hung before the kill needs no further replacement: it got one at the hung limit;
        4. if requests wait, no worker is idle or starting, and fewer than ``spawn_if_under`` are busy (hung ones do not
           count), spawn up to that number, as far as ``max_workers`` allows;
        5. if requests wait and the workers of rules 3 and 4 cannot be spawned, cut the clients that have read nothing
           for longest, as many as requests wait, so that the workers that wait for them are free;
        6. retire surplus idle workers when there has been a surplus, and they have been idle, for ``idle_for``. Retire
           worn workers when others can serve in their place. No worker is retired while requests wait. If
           ``max_workers`` is not larger than ``workers``, there is no room for replacements, and worn workers stay;
        7. with more than ``max_zombies`` zombies, end the process, but not before it has served for ``SHORTEST_LIFE``.

    Promises (each a property test):
        the same facts give the same plan. Planning again at the same instant, after the actions were applied, repeats
        no action. Retiring always leaves ``workers`` that can serve, and spawning never makes more than
        ``max_workers`` live. Before ``look_again_at`` nothing changes by time alone, not even for a task that begins
        after this plan. At ``look_again_at`` a status or what is to be done has changed, with two exceptions: a worker
        that this plan asks to retire may have refused; and if no change is known, the look comes after ``patience``.

    Args:
        records: one for each worker, in any order; a snapshot.
        backlog: how many requests wait for a worker.
        now: same clock as the records.
        policy: all of it is read; values that contradict each other are clamped, never refused.
        history: what the last plan returned; ``None`` for the first plan.
        asked: kills asked for since the last plan. The plan acts on each, or drops it if its task is over.
        worn: workers that have run as many requests as they may (``wears_out_after``).
        start_failed_at: when the start of a thread failed the last time.
        missed: worker and serial of each kill of the last plan that raised nothing.
        can_kill: whether this process kills. Not every interpreter can raise in another thread.
        serving_since: when the process began to serve.

    Units: seconds, monotonic. Runs on: the supervisor; pure.

    Source: contract P4, P5, P7 to P10. The cap, the floor that does not count hung workers, and ``look_again_at`` are
    ours; the last one because of contract P13 and P14.
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
    overdue = list(notes_of_overdue(facts))
    lost = list(notes_of_zombies(facts))
    facts = replace(facts, records=killed(facts, kills))
    wanted, why = workers_wanted(facts)
    spawns = spawns_for(facts, wanted, why)
    facts = replace(facts, coming=sum(spawn.count for spawn in spawns))
    lacking = wanted - facts.coming
    cuts = cuts_due(facts, lacking)
    retires = retires_due(facts)
    ends = ends_due(facts)
    new = History(
        hung=still_hung(facts, notes),
        overdue=still_overdue(facts, overdue),
        zombies=zombie_workers(facts),
        injections=injections_made(facts, kills),
        surplus_since=surplus_began_at(facts),
        asked_to_retire=retirements_asked(facts, retires),
        cuts=cuts_made(facts, cuts),
        shortage=shortage_of(facts),
        ending=history.ending or bool(ends),
    )
    capped = capped_note(facts) if new.shortage > history.shortage else []
    cut_at = next_cut_at(facts, lacking, new.cuts)
    look_again_at = next_look_at(facts, new, cut_at, put_off=wanted > 0 and not spawns)
    return Plan(
        (*forgets, *kills, *notes, *overdue, *lost, *spawns, *cuts, *capped, *retires, *ends), look_again_at, new
    )
