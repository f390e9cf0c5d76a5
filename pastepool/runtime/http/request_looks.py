"""
Make the supervisor look after every ``check_every`` requests.

The poller only compares one number with the serial of each request. It calls this module when the number is reached,
which is rare.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pastepool.core.looks import look_is_due
from pastepool.core.policy import PoolPolicy
from pastepool.types import Clock


class RequestLooks:
    """
    Nudges the supervisor when ``core.looks`` says that enough requests have come. Runs on: baton.

    ``first_at``: the serial at which the poller first calls ``note``; infinity if it never does.
    """

    def __init__(self, policy: PoolPolicy, clock: Clock, nudge: Callable[[], Any]) -> None:
        self.first_at: float = policy.check_every or math.inf
        self._policy = policy
        self._now = clock.now
        self._nudge = nudge
        self._looked = (0, 0.0)

    def note(self, serial: int) -> float:
        """Nudge the supervisor if it is time. Returns the serial at which to call this method again."""
        now = self._now()
        looked, looked_at = self._looked
        if look_is_due(serial - looked, now - looked_at, self._policy):
            self._looked = (serial, now)
            self._nudge()
        return serial + self._policy.check_every
