"""
When to refuse rather than queue: requests that wait for a worker, and connections.

Knows counts and instants; knows no queue, no connection and no answer. The thread that holds the baton asks, and
answers at once and on time (docs/discussion/design.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from pastepool.core.policy import OverloadPolicy
from pastepool.types import Seconds


def admit(waiting: int, policy: OverloadPolicy) -> bool:
    """
    Say whether one more request may wait for a worker.

    Args:
        waiting: requests that wait already, this one not counted.
        policy: ``queue_limit`` is read; with 0 nobody waits.
    """
    return waiting < policy.queue_limit


def accept(connections: int, policy: OverloadPolicy) -> bool:
    """
    Say whether one more connection may be kept open.

    Args:
        connections: open ones, this one not counted.
        policy: ``connection_limit`` is read; 0 means no limit.
    """
    return not policy.connection_limit or connections < policy.connection_limit


def expires_at(since: Seconds, policy: OverloadPolicy) -> Seconds:
    """
    Say when a request that has waited since ``since`` must be answered 503.

    Returns: an instant; infinity when ``queue_timeout`` is 0, which switches the limit off.
    """
    return since + policy.queue_timeout if policy.queue_timeout > 0 else math.inf


def expired(waiting_since: Iterable[Seconds], now: Seconds, policy: OverloadPolicy) -> int:
    """
    Count the requests at the head of the backlog that have waited too long.

    Args:
        waiting_since: when each began to wait, oldest first, as the backlog keeps them.
        now: same clock.
        policy: ``queue_timeout`` is read.

    Runs on: whoever holds the baton; reads no further than the first one that may still wait.
    """
    count = 0
    for since in waiting_since:
        if now < expires_at(since, policy):
            break
        count += 1
    return count
