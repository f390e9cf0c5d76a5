"""
Decide which clients to cut that do not read their responses: rule 5 of ``supervision.plan``.

A worker waits for its client when the response has used up its room in memory and on the disk. As long as a worker can
be spawned in its place, the client has all the patience of ``send_timeout``. When the cap is reached and requests wait,
a few such clients would otherwise stop the whole server. Source: ours; the reader that has read nothing for longest is
the one that loses least.

Knows facts; closes no connection.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from pastepool.core.actions import CutReader
from pastepool.core.facts import Facts
from pastepool.core.history import Cut
from pastepool.core.states import Record, Status
from pastepool.types import Seconds

STALLED_FOR: Seconds = 0.5
"""
A client that has read something within this many seconds is never cut: it is only slow. On a line with a round trip of
a quarter of a second, a client that reads shows it within that time.
"""

FREE_WITHIN: Seconds = 1.0
"""
How long the worker of a client that was cut is expected to become free. During this time no other client is cut in its
place. An application that takes longer to clean up does not count any more.
"""


def cuts_due(facts: Facts, lacking: int) -> list[CutReader]:
    """
    Decide which clients to cut now: as many as requests wait, but no more than workers are lacking.

    ``lacking``: how many workers are wanted and cannot be spawned. Workers whose clients an earlier plan has cut are
    counted, because they will be free at once.
    """
    able = sorted(_cuttable(facts), key=lambda record: (record.stalled_since, record.worker))
    return [
        CutReader(
            record.worker,
            record.serial,
            record.title,
            facts.now - record.stalled_since,
            facts.backlog,
            facts.cap,
            record.sending_since,
        )
        for record in able[: max(0, _wanted(facts, lacking) - _on_their_way(facts))]
        if facts.now >= _stalled_until(record)
    ]


def next_cut_at(facts: Facts, lacking: int, cuts: frozenset[Cut]) -> Seconds:
    """
    Return the instant at which a client is to be cut if nothing else happens; infinity if none is.

    ``cuts``: those that were made, with those of this plan.
    """
    wanted = _wanted(facts, lacking)
    stalled_at = min(
        (_stalled_until(record) for record in _sending(facts) if _cut_of(record, cuts) is None), default=math.inf
    )
    if not wanted or stalled_at == math.inf:
        return math.inf
    free_at = sorted((cut.at + FREE_WITHIN for cut in cuts if facts.now < cut.at + FREE_WITHIN), reverse=True)
    return max(stalled_at, free_at[wanted - 1]) if len(free_at) >= wanted else stalled_at


def cuts_made(facts: Facts, cuts: Sequence[CutReader]) -> frozenset[Cut]:
    """Return the cuts whose workers still run the same task, those of this plan included, for the next plan."""
    kept = {cut for record in facts.records if (cut := _cut_of(record, facts.history.cuts)) is not None}
    return frozenset(kept | {Cut(cut.worker, cut.serial, cut.sending_since, facts.now) for cut in cuts})


def _wanted(facts: Facts, lacking: int) -> int:
    """Return how many workers have to be free soon; none if one is free, because it takes what waits."""
    free = facts.counts[Status.IDLE] + facts.counts[Status.STARTING] + facts.coming
    return 0 if free else min(facts.backlog, lacking)


def _on_their_way(facts: Facts) -> int:
    """Return how many workers will be free soon, because their clients were cut."""
    made = (_cut_of(record, facts.history.cuts) for record in facts.records)
    return sum(cut is not None and facts.now < cut.at + FREE_WITHIN for cut in made)


def _sending(facts: Facts) -> Iterator[Record]:
    return (record for record in facts.records if record.sending)


def _cuttable(facts: Facts) -> list[Record]:
    return [record for record in _sending(facts) if _cut_of(record, facts.history.cuts) is None]


def _cut_of(record: Record, cuts: Iterable[Cut]) -> Cut | None:
    """
    Return the cut that was made of a worker's client; None if there is none.

    If the worker now waits for the client since another instant, the cut came too late: the client had just read on.
    """
    for cut in cuts:
        if (cut.worker, cut.serial) == (record.worker, record.serial):
            return None if record.sending and record.sending_since != cut.sending_since else cut
    return None


def _stalled_until(record: Record) -> Seconds:
    return record.stalled_since + STALLED_FOR
