"""
Decide when the supervisor has to look again.

Knows facts and limits; never sleeps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from pastepool.core.ending import ends_at
from pastepool.core.facts import Facts
from pastepool.core.history import History
from pastepool.core.kills import injection_of, kill_at
from pastepool.core.policy import PoolPolicy
from pastepool.core.sizing import START_PAUSE, retire_at
from pastepool.core.states import Phase, Record
from pastepool.types import Seconds

PATIENCE_FLOOR = 0.01
"""
The shortest time in seconds between two looks for tasks that may have begun. Without it a limit of 0 would make the
supervisor look without a pause.
"""

REQUEST_LOOK_PAUSE = 0.25
"""
The shortest time in seconds between two looks that are due to the number of requests. A fast application is called a
hundred times in two milliseconds. Without this pause the looks took an eighth of a loaded server's CPU (measured). The
pause does no harm, because the limits are seconds.
"""


def patience(policy: PoolPolicy) -> Seconds:
    """
    Return how long after its start a task can become hung or be due for a kill, at the earliest.

    While any worker can take a task, the supervisor looks at least this often. So a worker need not nudge the
    supervisor when it takes a task. Such a nudge would cost time in every request, and save only one look in half a
    minute. A task that gets a shorter limit of its own does need a nudge.
    """
    limit = policy.kill_after if policy.kill_after > 0 else math.inf
    return max(PATIENCE_FLOOR, min(policy.hung_after, limit))


def look_is_due(requests: int, elapsed: Seconds, policy: PoolPolicy) -> bool:
    """
    Say whether the number of requests is a reason to nudge the supervisor now.

    ``requests``: how many have come since the last such nudge. ``elapsed``: seconds since then. The supervisor also
    wakes when time requires it, so nothing depends on this nudge.

    Source: contract P7; ``REQUEST_LOOK_PAUSE`` is ours.
    """
    return 0 < policy.check_every <= requests and elapsed >= REQUEST_LOOK_PAUSE


def next_look_at(facts: Facts, new: History, cut_at: Seconds, *, put_off: bool) -> Seconds:
    """
    Return the first instant at which time alone changes a status or what is to be done; infinity if there is none.

    Args:
        facts: with the records as they will be after the kills are applied.
        new: the history that this plan hands to the next one.
        cut_at: when a client that does not read is to be cut.
        put_off: workers are wanted and none is spawned, because there is no room or because the last start failed.

    A worker that can serve may take a task at any moment without telling the supervisor. That task cannot be hung
    before ``patience`` has passed. So while any worker can serve, the next look comes after ``patience`` at the latest.
    """
    instants = (cut_at, *_instants(facts, new, put_off))
    return min((instant for instant in instants if instant > facts.now), default=math.inf)


def _limit_at(record: Record, facts: Facts, new: History) -> Seconds:
    """Return when a task is to be killed next; or noted as past its kill limit, if nothing can be killed."""
    if not facts.can_kill:
        is_noted = (record.worker, record.serial) in new.overdue
        return math.inf if is_noted or record.phase is not Phase.BUSY else kill_at(record, facts.policy)
    injection = injection_of(new, record)
    return kill_at(record, facts.policy) if injection is None else injection.due_at(facts.policy.dying_for)


def _instants(facts: Facts, new: History, put_off: bool) -> Iterator[Seconds]:
    for record in facts.records:
        if record.phase is Phase.BUSY and not record.sending:
            yield record.counts_from + facts.policy.hung_after
        if record.phase is Phase.DYING:
            yield record.since + facts.policy.dying_for
        if record.phase is Phase.IDLE:
            yield retire_at(record, facts, new.asked_to_retire)
        if record.task is not None:
            yield _limit_at(record, facts, new)
    if put_off and facts.room:
        yield facts.start_failed_at + START_PAUSE
    yield ends_at(facts)
    if facts.serving or facts.coming:
        yield facts.now + patience(facts.policy)
