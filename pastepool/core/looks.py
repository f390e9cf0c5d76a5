"""
When the supervisor has to look again.

Knows facts and limits; sleeps nowhere.
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
from pastepool.core.states import Phase
from pastepool.types import Seconds

PATIENCE_FLOOR = 0.01
"""Seconds at least between looks for tasks that may have begun: a limit of nothing must not become a loop."""

REQUEST_LOOK_PAUSE = 0.25
"""
Seconds at least between looks that are due to the number of requests. A fast application is called a hundred times in
two milliseconds: the looks took an eighth of a loaded server's CPU (measured). Limits are seconds; nothing derives it.
"""


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


def next_look_at(facts: Facts, new: History, *, put_off: bool) -> Seconds:
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


def _instants(facts: Facts, new: History, put_off: bool) -> Iterator[Seconds]:
    for record in facts.records:
        if record.phase is Phase.BUSY:
            yield record.since + facts.policy.hung_after
        if record.phase is Phase.DYING:
            yield record.since + facts.policy.dying_for
        if record.phase is Phase.IDLE:
            yield retire_at(record, facts, new.asked_to_retire)
        if record.task is not None and facts.can_kill:
            injection = injection_of(new, record)
            yield kill_at(record, facts.policy) if injection is None else injection.due_at(facts.policy.dying_for)
    if put_off and facts.room:
        yield facts.start_failed_at + START_PAUSE
    yield ends_at(facts)
    if facts.serving or facts.coming:
        yield facts.now + patience(facts.policy)
