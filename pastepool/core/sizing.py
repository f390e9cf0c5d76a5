"""
Decide how many workers there should be, how many to spawn and which to retire: rules 3, 4 and 6 of
``supervision.plan``.

Knows facts; starts and ends no thread.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pastepool.core.actions import Capped, Retire, Spawn
from pastepool.core.facts import Facts
from pastepool.core.history import Shortage
from pastepool.core.policy import PoolPolicy
from pastepool.core.states import Phase, Record, Status
from pastepool.core.wording import counted, spoken
from pastepool.types import Seconds, WorkerId

START_PAUSE = 1.0
"""
After a thread could not be started, nothing is spawned for this many seconds: a new attempt at once would fail for the
same reason.
"""

RETIRE_PAUSE = 1.0
"""The shortest time in seconds before a worker that did not retire is asked again."""

WORN = "it has run as many requests as it may"


def wears_out_after(worker: WorkerId, policy: PoolPolicy) -> int:
    """
    Return how many requests a worker runs before a new worker replaces it.

    This is ``max_requests`` plus up to a tenth more. The additional part differs from worker to worker, so workers that
    were spawned together do not leave together. It is computed from the worker's number and not drawn at random, so the
    result for one worker is always the same.

    Returns: a count; 0 for never.
    """
    spread = policy.max_requests // 10 + 1
    return policy.max_requests + worker * 7919 % spread if policy.max_requests > 0 else 0


def workers_wanted(facts: Facts) -> tuple[int, str]:
    """Return how many workers rules 3 and 4 ask for, and why. The larger number counts; the cap is not applied here."""
    missing = facts.floor - facts.fresh
    free = facts.counts[Status.IDLE] + facts.counts[Status.STARTING]
    busy, enough = facts.counts[Status.BUSY], facts.policy.spawn_if_under
    if facts.backlog and not free and enough - busy > max(0, missing):
        return enough - busy, f"{counted(facts.backlog, 'request')} waiting, {busy} busy, spawn_if_under = {enough}"
    if missing > 0:
        sending = facts.counts[Status.SENDING]
        clients = (
            f"; {counted(sending, 'worker')} {'waits' if sending == 1 else 'wait'} for slow clients" if sending else ""
        )
        return missing, f"{facts.fresh} of {facts.floor} can serve without being hung or worn{clients}"
    return 0, ""


def spawns_for(facts: Facts, wanted: int, why: str) -> list[Spawn]:
    """Spawn the wanted workers as far as the cap allows; none within ``START_PAUSE`` after a failed start."""
    count = min(wanted, facts.room)
    if count <= 0 or facts.now < facts.start_failed_at + START_PAUSE:
        return []
    return [Spawn(count, why)]


def shortage_of(facts: Facts) -> Shortage:
    """Return how far the cap keeps the pool below the number of workers that should be able to serve."""
    if not facts.missing_for_the_cap:
        return Shortage.NONE
    return Shortage.SOME if facts.serving or facts.room else Shortage.NOBODY_SERVES


def capped_note(facts: Facts) -> list[Capped]:
    """Return the note that the cap is reached and which workers hold the threads."""
    return [Capped(facts.cap, facts.missing_for_the_cap, facts.counts, facts.backlog)]


def surplus_began_at(facts: Facts) -> Seconds | None:
    """Return since when there has been a surplus; None while there is none."""
    if not facts.surplus:
        return None
    known = facts.history.surplus_since
    return facts.now if known is None else known


def retire_at(record: Record, facts: Facts, asked_to_retire: Mapping[WorkerId, Seconds]) -> Seconds:
    """
    Return when a worker is to be asked to retire; infinity while it is needed.

    A worn worker is also asked while it is busy, because under load a worker that always leads is never seen idle. It
    is asked once for each task that it runs, and leaves after that task. It is asked only if enough workers that are
    not worn can serve.
    """
    asked_at = asked_to_retire.get(record.worker, -math.inf)
    again_at = asked_at + max(RETIRE_PAUSE, facts.policy.idle_for) if asked_at >= record.since else -math.inf
    if record.phase is Phase.BUSY:
        told = asked_at >= record.since
        return math.inf if told or facts.backlog or facts.fresh < facts.floor else facts.now
    if record.worker in facts.worn:
        return max(again_at, facts.now) if facts.renewable else math.inf
    surplus_since = surplus_began_at(facts)
    if surplus_since is None:
        return math.inf
    return max(again_at, max(surplus_since, record.since) + facts.policy.idle_for)


def retires_due(facts: Facts) -> list[Retire]:
    """
    Decide which workers to ask to retire now. Workers that have been idle longest come first.

    A worker that was asked before and did not retire comes last. Otherwise a leader that refuses each time would keep
    the others from being asked.
    """
    asked = facts.history.asked_to_retire
    able = [record for record in facts.records if record.phase is Phase.IDLE or _is_busy_and_worn(record, facts)]
    due = [record for record in able if facts.now >= retire_at(record, facts, asked)]
    due.sort(key=lambda record: (record.worker in asked, record.since, record.worker))
    worn = [record for record in due if record.worker in facts.worn]
    surplus = [record for record in due if record.worker not in facts.worn]
    return [
        *(Retire(record.worker, WORN, even_busy=True) for record in worn[: facts.renewable]),
        *(Retire(record.worker, _surplus_text(record, facts)) for record in surplus[: facts.surplus]),
    ]


def _is_busy_and_worn(record: Record, facts: Facts) -> bool:
    return record.worker in facts.worn and facts.status(record) is Status.BUSY


def _surplus_text(record: Record, facts: Facts) -> str:
    return f"idle for {spoken(facts.now - record.since)}, and more than {facts.floor} can serve"


def retirements_asked(facts: Facts, retires: Sequence[Retire]) -> Mapping[WorkerId, Seconds]:
    """
    Return which workers were asked to retire and when, for the next plan.

    A worker whose phase has changed since it was asked is left out: it refused because it was needed, and may be asked
    again as if for the first time.
    """
    able = (Phase.IDLE, Phase.BUSY)
    idle_since = {record.worker: record.since for record in facts.records if record.phase in able}
    kept = {
        worker: asked_at
        for worker, asked_at in facts.history.asked_to_retire.items()
        if asked_at >= idle_since.get(worker, math.inf)  # its phase has not changed since it was asked
    }
    return kept | {retire.worker: facts.now for retire in retires}
