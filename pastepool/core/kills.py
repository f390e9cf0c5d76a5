"""
Whom to kill, and what to say of the hung and of the zombies: rule 2 of ``supervision.plan``.

Knows facts; kills nobody.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from pastepool.core.actions import Kill, KillAsked, NoteHung, NoteZombie
from pastepool.core.facts import Facts
from pastepool.core.history import History, Injection
from pastepool.core.policy import PoolPolicy
from pastepool.core.states import Phase, Record, Status, WorkerEvent, advance
from pastepool.types import Seconds, WorkerId


def kills_due(facts: Facts) -> Iterator[Kill]:
    """Kill whoever is past the limit, was asked for, or has not ended by the last attempt."""
    if not facts.can_kill:
        return
    for record in facts.records:
        if record.phase not in (Phase.BUSY, Phase.DYING) or record.task is None:
            continue
        ran_for = facts.now - record.since
        earlier = injection_of(facts.history, record)
        if earlier is not None:
            if facts.now >= earlier.due_at(facts.policy.dying_for):
                yield Kill(record.worker, record.serial, record.title, ran_for, None, earlier.attempts + 1)
        elif KillAsked(record.worker, record.serial) in facts.asked:
            yield Kill(record.worker, record.serial, record.title, ran_for, None)
        elif facts.now >= kill_at(record, facts.policy):
            yield Kill(record.worker, record.serial, record.title, ran_for, _kill_after(record, facts.policy))


def injection_of(history: History, record: Record) -> Injection | None:
    """What was done to end this very task; a dying worker was injected when it began to die, whoever planned it."""
    known = history.injections.get(record.worker)
    if known is not None and known.serial == record.serial:
        return known
    return Injection(record.serial, 1, record.since) if record.phase is Phase.DYING else None


def _kill_after(record: Record, policy: PoolPolicy) -> Seconds:
    own = None if record.task is None else record.task.kill_after
    limit = policy.kill_after if own is None else own
    return limit if limit > 0 else math.inf


def kill_at(record: Record, policy: PoolPolicy) -> Seconds:
    """When a task is to be killed for the first time; infinity for never."""
    return record.since + _kill_after(record, policy)


def told_of(missed: Collection[tuple[WorkerId, int]], history: History) -> History:
    """What the last plan handed on, with the news of what became of its kills."""
    if not missed:
        return history
    news = {
        worker: known.missing() if (worker, known.serial) in missed else known
        for worker, known in history.injections.items()
    }
    return replace(history, injections=news)


def killed(facts: Facts, kills: Sequence[Kill]) -> tuple[Record, ...]:
    """The records as they will be once the kills are applied."""
    victims = {kill.worker for kill in kills}
    return tuple(
        advance(record, WorkerEvent.KILL, facts.now)
        if record.worker in victims and record.phase is Phase.BUSY
        else record
        for record in facts.records
    )


def notes_of_hung(facts: Facts, kills: Sequence[Kill]) -> Iterator[NoteHung]:
    """A worker that is killed at the same look needs no note: the kill logs the same."""
    victims = {kill.worker for kill in kills}
    for record in facts.records:
        known = (record.worker, record.serial) in facts.history.hung or record.worker in victims
        if facts.status(record) is Status.HUNG and not known:
            ran_for = facts.now - record.since
            yield NoteHung(record.worker, record.serial, record.title, ran_for, facts.policy.hung_after)


def notes_of_zombies(facts: Facts) -> Iterator[NoteZombie]:
    """Note each worker that has become a zombie since the last plan."""
    for record in facts.records:
        if facts.status(record) is Status.ZOMBIE and record.worker not in facts.history.zombies:
            ran_for = 0.0 if record.task is None else facts.now - record.task.began_at
            dying_for = facts.now - record.since
            zombies, allowed = facts.counts[Status.ZOMBIE], facts.policy.max_zombies
            yield NoteZombie(record.worker, record.serial, record.title, ran_for, dying_for, zombies, allowed)


def zombie_workers(facts: Facts) -> frozenset[WorkerId]:
    """Whom the next plan need not note again."""
    return frozenset(record.worker for record in facts.records if facts.status(record) is Status.ZOMBIE)


def still_hung(facts: Facts, notes: Sequence[NoteHung]) -> frozenset[tuple[WorkerId, int]]:
    """
    Which tasks the next plan need not note again, by worker and serial.

    The dying as well: a kill may yet be refused, and what was noted before it is not noted again.
    """
    running = {(record.worker, record.serial) for record in facts.records if record.task is not None}
    return (facts.history.hung & running) | {(note.worker, note.serial) for note in notes}


def injections_made(facts: Facts, kills: Sequence[Kill]) -> Mapping[WorkerId, Injection]:
    """What the next plan has to know of the attempts on each worker."""
    running = {record.worker: record.serial for record in facts.records if record.task is not None}
    kept = {worker: known for worker, known in facts.history.injections.items() if running.get(worker) == known.serial}
    made = {
        kill.worker: kept[kill.worker].again(facts.now)
        if kill.worker in kept
        else Injection(kill.serial, kill.attempt, facts.now)
        for kill in kills
    }
    return kept | made
