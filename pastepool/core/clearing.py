"""
Decide when garbage is collected because of a kill.

The objects of a killed call may be in cycles, with a connection of a database among them. Only the collector ends such
objects. A collection looks at every object of the process, and no other thread runs Python meanwhile. So this module
limits how much of the time collections may take. Knows numbers; collects nothing.
"""

from __future__ import annotations

from pastepool.types import Seconds

SHARE = 0.1
"""
At most this share of the time goes into collections, however many calls are killed. A choice: in a large application,
where a collection takes 0.3 s, it allows one in 3 s.
"""


def collect_again_at(now: Seconds, took: Seconds) -> Seconds:
    """
    Return when the next collection may begin.

    Args:
        now: when the last one ended.
        took: how much processor time it took.

    Returns: an instant on the clock of ``now``. Runs on: any thread; pure. Source: ours, see the constant.
    """
    return now + took * (1.0 - SHARE) / SHARE
