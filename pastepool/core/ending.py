"""
When a process is to end because of its zombies (rule 6 of ``supervision.plan``), and not before it has lived for a while.

Knows facts and one constant; ends nothing.
"""

from __future__ import annotations

import math

from pastepool.core.actions import ExitProcess
from pastepool.core.facts import Facts
from pastepool.core.states import Status
from pastepool.core.wording import printable
from pastepool.types import Seconds

SHORTEST_LIFE: Seconds = 1.0
"""
How long a process lives at least before it ends by itself, so that no two starts come within one second.

paster's monitor (contract P10) starts again whatever has ended, at once, for ever: of a server that dies as soon as it
lives it would make a loop that takes a core and fills the disk with its log. Nothing derives the number.
"""

TITLES = 5
TITLE_LIMIT = 80
"""How many tasks the reason of an exit names, and how much of each: it has to fit on a line."""


def end_at(now: Seconds, since: Seconds) -> Seconds:
    """
    Say when a process ends that would end ``now``: at once, unless it has lived only ``since`` less than a moment ago.

    Returns: ``now``, or a later instant of the same clock. Runs on: any thread; pure. Source: ours, see the constant.
    """
    return max(now, since + SHORTEST_LIFE)


def ends_at(facts: Facts) -> Seconds:
    """When the process is to end as things are; infinity while it need not, and once its end was planned."""
    limit = facts.policy.max_zombies
    if facts.history.ending or limit <= 0 or facts.counts[Status.ZOMBIE] <= limit:
        return math.inf
    return end_at(facts.now, facts.serving_since)


def ends_due(facts: Facts) -> list[ExitProcess]:
    """End the process where it is time; at most one action, whose reason fits on a line."""
    if facts.now < ends_at(facts):
        return []
    zombies = [record for record in facts.records if facts.status(record) is Status.ZOMBIE]
    limit = facts.policy.max_zombies
    titles = ", ".join(printable(record.title or "a call that has ended", TITLE_LIMIT) for record in zombies[:TITLES])
    more = f" and {len(zombies) - TITLES} more" if len(zombies) > TITLES else ""
    return [ExitProcess(f"{len(zombies)} zombies, more than max_zombies_before_die = {limit}: {titles}{more}")]
