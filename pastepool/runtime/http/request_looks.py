"""
Having the supervisor look every so many requests.

The poller compares one number with a request's serial; the rest happens here, and seldom.
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

    ``first_at``: the serial of the first request to be told of; infinity where none is.
    """

    def __init__(self, policy: PoolPolicy, clock: Clock, nudge: Callable[[], Any]) -> None:
        self.first_at: float = policy.check_every or math.inf
        self._policy = policy
        self._now = clock.now
        self._nudge = nudge
        self._looked = (0, 0.0)

    def note(self, serial: int) -> float:
        """Have the supervisor look, if it is time. Answers the serial of the next request to be told of."""
        now = self._now()
        looked, looked_at = self._looked
        if look_is_due(serial - looked, now - looked_at, self._policy):
            self._looked = (serial, now)
            self._nudge()
        return serial + self._policy.check_every
