"""
When to refuse rather than queue: requests that wait for a worker, and connections.

Knows counts and instants; knows no queue, no connection and no response bytes beyond what a refusal must say.
Whoever holds the baton asks, and answers at once and on time (docs/discussion/design.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from pastepool.core.policy import OverloadPolicy
from pastepool.types import Seconds


@dataclass(frozen=True)
class Refusal:
    """
    What a refused client is told: a status, header fields in the order to send them, and a line of text.

    Every refusal closes the connection: a client that stays would only ask again at once.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    text: str


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


def refusal(policy: OverloadPolicy, why: str) -> Refusal:
    """
    Compose the answer for a client that cannot be served now.

    Args:
        policy: ``retry_after`` is read.
        why: half a sentence for the client (``too many requests are waiting``).

    Source: RFC 9110 15.6.4 (503) and 10.2.3 (Retry-After).
    """
    seconds = policy.retry_after
    return Refusal(
        503,
        (("Retry-After", str(seconds)), ("Connection", "close")),
        f"The server is overloaded: {why}. Try again in {seconds} s.\n",
    )
