"""
When a process may end that ends by itself: not before it has lived for a while.

Knows two instants and one constant; ends nothing.
"""

from __future__ import annotations

from pastepool.types import Seconds

SHORTEST_LIFE: Seconds = 1.0
"""
How long a process lives at least before it ends by itself, so that no two starts come within one second.

paster's monitor (contract P10) starts again whatever has ended, at once, for ever: of a server that dies as soon as it
lives it would make a loop that takes a core and fills the disk with its log. Nothing derives the number.
"""


def end_at(now: Seconds, since: Seconds) -> Seconds:
    """
    Say when a process ends that would end ``now``: at once, unless it has lived only ``since`` less than a moment ago.

    Returns: ``now``, or a later instant of the same clock. Runs on: any thread; pure. Source: ours, see the constant.
    """
    return max(now, since + SHORTEST_LIFE)
