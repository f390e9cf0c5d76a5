"""
Decide which tasks to kill, and which hung workers, overdue tasks and zombies to note: rule 2 of ``supervision.plan``.

Knows facts; kills nothing.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from pastepool.core.actions import Kill, KillAsked, NoteHung, NoteOverdue, NoteZombie
from pastepool.core.facts import Facts
from pastepool.core.history import History, Injection
from pastepool.core.policy import PoolPolicy
from pastepool.core.states import Phase, Record, Status, WorkerEvent, advance
from pastepool.types import Seconds, WorkerId


def kills_due(facts: Facts) -> Iterator[Kill]:
    """
    Decide which tasks to kill now.

    These are the tasks past their kill limit, the tasks that an operator asked to kill, and the tasks that have not
    ended although the pause after the last attempt is over.
    """
    if not facts.can_kill:
        return
    for record in facts.records:
        if record.phase not in (Phase.BUSY, Phase.DYING) or record.task is None:
            continue
        ran_for = facts.now - record.counts_from
        earlier = injection_of(facts.history, record)
        if earlier is not None:
            if facts.now >= earlier.due_at(facts.policy.dying_for):
                yield Kill(record.worker, record.serial, record.title, ran_for, None, earlier.attempts + 1)
        elif KillAsked(record.worker, record.serial) in facts.asked:
            yield Kill(record.worker, record.serial, record.title, ran_for, None)
        elif facts.now >= kill_at(record, facts.policy):
            yield Kill(record.worker, record.serial, record.title, ran_for, _kill_after(record, facts.policy))


def injection_of(history: History, record: Record) -> Injection | None:
    """
    Return the attempts made so far to kill the task of a record; None if there was none.

    If ``history`` knows of none but the worker is dying, there was one attempt: at the instant the worker began to die.
    """
    known = history.injections.get(record.worker)
    if known is not None and known.serial == record.serial:
        return known
    return Injection(record.serial, 1, record.since) if record.phase is Phase.DYING else None


def _kill_after(record: Record, policy: PoolPolicy) -> Seconds:
    own = None if record.task is None else record.task.kill_after
    limit = policy.kill_after if own is None else own
    return limit if limit > 0 else math.inf


def kill_at(record: Record, policy: PoolPolicy) -> Seconds:
    """Return when a task is to be killed for the first time; infinity for never, and while it waits for its client."""
    return math.inf if record.sending else record.counts_from + _kill_after(record, policy)


def told_of(missed: Collection[tuple[WorkerId, int]], history: History) -> History:
    """
    Return the history after the news of which kills of the last plan raised nothing.

    ``missed``: worker and serial of each of them.
    """
    if not missed:
        return history
    news = {
        worker: known.missing() if (worker, known.serial) in missed else known
        for worker, known in history.injections.items()
    }
    return replace(history, injections=news)


def killed(facts: Facts, kills: Sequence[Kill]) -> tuple[Record, ...]:
    """Return the records as they will be after the kills are applied."""
    victims = {kill.worker for kill in kills}
    return tuple(
        advance(record, WorkerEvent.KILL, facts.now)
        if record.worker in victims and record.phase is Phase.BUSY
        else record
        for record in facts.records
    )


def notes_of_hung(facts: Facts, kills: Sequence[Kill]) -> Iterator[NoteHung]:
    """
    Note each task that has become hung since the last plan.

    A worker that the same plan kills gets no note, because the kill logs the same facts.
    """
    victims = {kill.worker for kill in kills}
    for record in facts.records:
        known = (record.worker, record.serial) in facts.history.hung or record.worker in victims
        if facts.status(record) is Status.HUNG and not known:
            ran_for = facts.now - record.counts_from
            yield NoteHung(record.worker, record.serial, record.title, ran_for, facts.policy.hung_after)


def notes_of_overdue(facts: Facts) -> Iterator[NoteOverdue]:
    """Note each task that has passed its kill limit since the last plan, if nothing can be killed."""
    if facts.can_kill:
        return
    for record in facts.records:
        known = (record.worker, record.serial) in facts.history.overdue
        if record.phase is Phase.BUSY and not known and facts.now >= kill_at(record, facts.policy):
            limit = _kill_after(record, facts.policy)
            yield NoteOverdue(record.worker, record.serial, record.title, facts.now - record.counts_from, limit)


def notes_of_zombies(facts: Facts) -> Iterator[NoteZombie]:
    """Note each worker that has become a zombie since the last plan."""
    for record in facts.records:
        if facts.status(record) is Status.ZOMBIE and record.worker not in facts.history.zombies:
            ran_for = 0.0 if record.task is None else facts.now - record.task.began_at
            dying_for = facts.now - record.since
            zombies, allowed = facts.counts[Status.ZOMBIE], facts.policy.max_zombies
            yield NoteZombie(record.worker, record.serial, record.title, ran_for, dying_for, zombies, allowed)


def zombie_workers(facts: Facts) -> frozenset[WorkerId]:
    """Return the workers that are zombies now. The next plan does not note them again."""
    return frozenset(record.worker for record in facts.records if facts.status(record) is Status.ZOMBIE)


def still_hung(facts: Facts, notes: Sequence[NoteHung]) -> frozenset[tuple[WorkerId, int]]:
    """
    Return the tasks that the next plan does not note as hung again, by worker and serial.

    The tasks of dying workers are included: the runtime may refuse a kill, and then a task that was noted before the
    kill must not be noted a second time.
    """
    running = {(record.worker, record.serial) for record in facts.records if record.task is not None}
    return (facts.history.hung & running) | {(note.worker, note.serial) for note in notes}


def still_overdue(facts: Facts, notes: Sequence[NoteOverdue]) -> frozenset[tuple[WorkerId, int]]:
    """Return the tasks that the next plan does not note as overdue again, by worker and serial."""
    running = {(record.worker, record.serial) for record in facts.records if record.task is not None}
    return (facts.history.overdue & running) | {(note.worker, note.serial) for note in notes}


def injections_made(facts: Facts, kills: Sequence[Kill]) -> Mapping[WorkerId, Injection]:
    """Return the attempts to kill each running task, those of this plan included, for the next plan."""
    running = {record.worker: record.serial for record in facts.records if record.task is not None}
    kept = {worker: known for worker, known in facts.history.injections.items() if running.get(worker) == known.serial}
    made = {
        kill.worker: kept[kill.worker].again(facts.now)
        if kill.worker in kept
        else Injection(kill.serial, kill.attempt, facts.now)
        for kill in kills
    }
    return kept | made
