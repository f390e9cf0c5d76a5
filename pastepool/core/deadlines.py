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
    moved_at: Seconds,
    rate: float = MINIMUM_RATE,
) -> Seconds:
    """
    Say when a transfer must be over: the earlier one of two instants.

    The first one moves by one second for every ``rate`` bytes that were moved. If a timeout only restarted at each
    byte, a client could hold a connection for ever with one byte a minute. The second one comes ``timeout`` after the
    last byte. Without it, a client that moved a gigabyte quickly could then hold the connection for three days.

    Args:
        began_at: when the transfer began.
        timeout: seconds that may pass without any byte; 0 switches the limit off.
        moved_bytes: how many bytes have moved since ``began_at``.
        moved_at: when the last of them moved; ``began_at`` if none has.
        rate: bytes a second that keep a transfer alive beyond its timeout.

    Returns: an instant on the clock of ``began_at``; infinity when switched off.
    """
    return min(deadline(began_at, timeout) + moved_bytes / rate, deadline(moved_at, timeout))


def waiting_since(due_at: Seconds, timeout: Seconds, began_at: Seconds) -> Seconds:
    """
    Say since when a client has been waited for, or when it last moved something.

    Args:
        due_at: when the wait must be over, from ``deadline`` or ``transfer_deadline``.
        timeout: with which it was computed; 0 if the wait has no limit.
        began_at: the answer where there is no limit: when the present transfer began.
    """
    return due_at - timeout if timeout > 0 else began_at


def next_check(due_at: Seconds, now: Seconds, timeout: Seconds) -> Seconds:
    """
    Say when to ask the kernel again how far a transfer has come: four times within ``timeout``, and at ``due_at``.

    Bytes that the kernel has taken for a slow client move on without an event. So the server has to ask. ``timeout``: 0
    switches the limit off, and then there is nothing to ask.
    """
    return min(due_at, now + timeout / _CHECKS) if timeout > 0 else due_at


_CHECKS = 4
