"""
Turn limits in seconds into instants. This happens once for each wait; later looks compare ``now`` with the instant.

This module knows only numbers. If a limit is switched off, its instant is infinity, so callers need no second case. An
instant has come when ``now >= instant``: a thread that slept until the instant must not sleep again.
"""

from __future__ import annotations

import math

from pastepool.core.policy import MINIMUM_RATE
from pastepool.types import Seconds


def deadline(began_at: Seconds, timeout: Seconds) -> Seconds:
    """
    Say when a wait that began at ``began_at`` has lasted ``timeout`` seconds.

    Returns: an instant on the clock of ``began_at``; infinity if ``timeout`` is 0, which switches the limit off.
    """
    return began_at + timeout if timeout > 0 else math.inf


def transfer_deadline(
    began_at: Seconds,
    timeout: Seconds,
    moved_bytes: int,
    rate: float = MINIMUM_RATE,
) -> Seconds:
    """
    Say when a transfer must be over. The deadline moves by one second for every ``rate`` bytes that were moved.

    If a timeout restarted at each byte, a client could hold a connection for ever with one byte a minute. This deadline
    does not allow that, but a large body on a slow line still arrives.

    Args:
        began_at: when the transfer began.
        timeout: seconds that a transfer may take before any byte has moved; 0 switches the limit off.
        moved_bytes: how many bytes have moved since ``began_at``.
        rate: bytes a second that keep a transfer alive beyond its timeout.

    Returns: an instant on the clock of ``began_at``; infinity when switched off.
    """
    return deadline(began_at, timeout) + moved_bytes / rate
