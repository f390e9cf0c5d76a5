"""
Decide when to refuse: requests that want to wait for a worker, and new connections.

This module knows counts and instants. It knows no queue, no connection and no response. The thread that holds the baton
asks it, and sends the refusal at once (docs/discussion/design.md).
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
        waiting: how many requests wait already, without this one.
        policy: ``queue_limit`` is read; 0 means that no request may wait.
    """
    return waiting < policy.queue_limit


def accept(connections: int, policy: OverloadPolicy) -> bool:
    """
    Say whether one more connection may be kept open.

    Args:
        connections: how many are open, without this one.
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
        now: an instant on the same clock.
        policy: ``queue_timeout`` is read.

    Reads ``waiting_since`` only up to the first request that may still wait. Runs on: baton.
    """
    count = 0
    for since in waiting_since:
        if now < expires_at(since, policy):
            break
        count += 1
    return count
