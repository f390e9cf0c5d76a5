"""
Until when to be patient: a limit in seconds becomes an instant, once, and every later look compares with it.

Knows numbers only. An instant that never comes is infinity, so that callers need no second case for "switched off". An
instant has come when ``now >= instant``: a thread that slept until then must not sleep again.
"""

from __future__ import annotations

import math

from pastepool.core.policy import MINIMUM_RATE
from pastepool.types import Seconds


def deadline(began_at: Seconds, timeout: Seconds) -> Seconds:
    """Say when a wait that began at ``began_at`` has lasted ``timeout`` seconds; 0 switches it off: infinity."""
    return began_at + timeout if timeout > 0 else math.inf


def transfer_deadline(
    began_at: Seconds,
    timeout: Seconds,
    moved_bytes: int,
    rate: float = MINIMUM_RATE,
) -> Seconds:
    """
    Say when a transfer must be over: absolute, and put off by a second for every ``rate`` bytes that moved.

    A timeout that restarts at each byte lets one byte a minute hold a connection for ever; this one does not, and yet
    a large body on a slow, honest line arrives.

    Args:
        began_at: when the transfer began.
        timeout: patience before any byte has moved; 0 switches the limit off.
        moved_bytes: how many have moved since.
        rate: bytes a second that keep a transfer alive beyond its timeout.

    Returns: an instant on the clock of ``began_at``; infinity when switched off.
    """
    return deadline(began_at, timeout) + moved_bytes / rate
