"""
Decide when the process ends because of its zombies (rule 7 of ``supervision.plan``).

A process never ends before it has lived for ``SHORTEST_LIFE``. This module knows facts and constants; it ends nothing.
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
The shortest time that a process lives before it ends by itself. So two starts are never less than one second apart.

paster's monitor (contract P10) starts an ended process again at once, without a limit. If a server ended right after
each start, this would become a loop that uses a whole core and fills the disk with its log.
"""

TITLES = 5
TITLE_LIMIT = 80
"""How many tasks the reason of an exit names, and how many characters of each title: the reason fits on one line."""


def end_at(now: Seconds, since: Seconds) -> Seconds:
    """
    Return when a process that has a reason to end ``now`` may end: at once, or after ``SHORTEST_LIFE``.

    ``since``: when the process began. Returns: ``now``, or a later instant of the same clock. Runs on: any thread;
    pure. Source: ours, see the constant.
    """
    return max(now, since + SHORTEST_LIFE)


def ends_at(facts: Facts) -> Seconds:
    """Return when the process is to end, given these facts; infinity if it need not, or if its end was planned."""
    limit = facts.policy.max_zombies
    if facts.history.ending or limit <= 0 or facts.counts[Status.ZOMBIE] <= limit:
        return math.inf
    return end_at(facts.now, facts.serving_since)


def ends_due(facts: Facts) -> list[ExitProcess]:
    """Return the action that ends the process, in a list; the list is empty while it is not time for the end."""
    if facts.now < ends_at(facts):
        return []
    zombies = [record for record in facts.records if facts.status(record) is Status.ZOMBIE]
    limit = facts.policy.max_zombies
    titles = ", ".join(printable(record.title or "a call that has ended", TITLE_LIMIT) for record in zombies[:TITLES])
    more = f" and {len(zombies) - TITLES} more" if len(zombies) > TITLES else ""
    return [ExitProcess(f"{len(zombies)} zombies, more than max_zombies_before_die = {limit}: {titles}{more}")]
