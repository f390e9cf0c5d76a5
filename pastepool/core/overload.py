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

UNLIMITED = 2**31
"""The ``queue_limit`` of a pool for other programs that was given none: more than memory has room for."""


def room(waiting: int, policy: OverloadPolicy) -> int:
    """
    Say how many more requests may wait for a worker.

    Args:
        waiting: how many requests wait already.
        policy: ``queue_limit`` is read; 0 means that no request may wait.
    """
    return max(0, policy.queue_limit - waiting)


def accept(connections: int, limit: int) -> bool:
    """
    Say whether one more connection may be kept open.

    Args:
        connections: how many are open, without this one.
        limit: how many may be; 0 means no limit.
    """
    return not limit or connections < limit


def connections_that_fit(limit: int, files: int, open_now: int, workers: int) -> int:
    """
    Say how many connections may be open, so that the application can still open files.

    Each connection needs a file, and one more while a large content or response of it is in a temporary file. The
    latter are counted as connections where they occur. The reserve is for the application: databases, templates,
    sockets of its own. Where there are few files, it gets half of them.

    Args:
        limit: how many connections the operator allows; 0 means no limit.
        files: how many files the process may open.
        open_now: how many it has open already.
        workers: how many threads of the application there may be.
    """
    left = max(0, files - open_now)
    fit = max(1, left - min(_RESERVE + _RESERVE_PER_WORKER * workers, left // 2))
    return min(limit, fit) if limit else fit


_RESERVE = 64
_RESERVE_PER_WORKER = 8


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
