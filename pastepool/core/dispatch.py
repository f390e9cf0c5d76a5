"""
When the leader passes the baton before it calls the application: where calls have lately been long, and where the last
call of the same kind was.

Keeping it costs nothing if the call is short; if it is long, everybody else waits until the caretaker looks. Passing
it costs a thread switch either way. So the expected wait is compared with the price of the switch.

Source: ours, measured (docs/adr/0002): with a threshold of 1 ms an application that blocks for 0.5 ms falls from 16,000
to 1,500 requests a second.
"""

from __future__ import annotations

from pastepool.types import Seconds

LOOK_EVERY: Seconds = 0.001
"""How long a leader may stay in one call before the caretaker's next look takes the baton."""

LOOK_AT_LEAST_EVERY: Seconds = 0.008
"""
How rarely the caretaker looks while it never finds anything. A look costs two or three thread switches (measured: at
one a millisecond 7 % of a loaded server's CPU).
"""

PASS_ABOVE: Seconds = 0.0001
"""An expected wait above which the switch is the cheaper choice."""

NEGLIGIBLE: Seconds = 0.00002
"""
A call this short need not be counted while the expectation is as small: both are far below what would change anything.
"""

LONG: Seconds = 0.01
"""
From when on a call makes its kind a long one. Well above what a short call takes that has to wait for the interpreter's
lock: at 1 ms an application that read 64 KiB in 33 us a request was called long once, passed on from then on, and so
became one (78 us). The caretaker sees to what is in between.
"""

KINDS_LIMIT = 256
"""
How many kinds are remembered, since clients choose the paths; when it is reached all are forgotten, and learnt again in a
call each. Nothing derives it.
"""

_WEIGHT = 1 / 16
"""How much one call moves the expectation: four calls of 0.5 ms switch to passing, some forty short ones back."""


def expected_wait(before: Seconds, duration: Seconds) -> Seconds:
    """
    Update what the next call is expected to make others wait if the baton is kept.

    A call counts for at most ``LOOK_EVERY``, because then the caretaker steps in: one call of 50 ms among hundreds of
    short ones must not make them all pay for switches.

    Runs on: worker, after each call. Concurrent updates may lose one another; it is an estimate.
    """
    wait = duration if duration < LOOK_EVERY else LOOK_EVERY
    return before + (wait - before) * _WEIGHT


class LongKinds:
    """
    The kinds of tasks (an application's paths) whose last call was long.

    Where most calls are short and some are not, the average says "short": every long one is begun with the baton, and all
    others wait until the caretaker looks. But the long ones are mostly of the same few kinds.

    ``names``: empty where nothing is long, which is all that a short call has to look at. Runs on: any worker; single
    operations of one dict, so that two workers at once lose a note at worst.
    """

    __slots__ = ("names",)

    def __init__(self) -> None:
        self.names: dict[object, None] = {}

    def note(self, kind: object, duration: Seconds) -> None:
        """Learn from one call that has ended."""
        if duration < LONG:
            self.names.pop(kind, None)
            return
        if len(self.names) >= KINDS_LIMIT:
            self.names.clear()
        self.names[kind] = None


def look_after(quiet_looks: int) -> Seconds:
    """
    Say how long the caretaker waits before its next look, after so many looks that found no leader stuck in a call.

    Every ``LOOK_EVERY`` for a quarter of a second after the last stuck leader: where some calls are slow, there is
    always one among the last few. Then more and more rarely.

    Source: Go's monitor thread sleeps adaptively for the same reason. Neither number is derived.
    """
    if quiet_looks < _QUIET_LOOKS:
        return LOOK_EVERY
    growth = min(
        quiet_looks - _QUIET_LOOKS, _GROWTHS
    )  # a leader of short calls is looked at without end: no power may overflow
    return min(LOOK_EVERY * 1.25**growth, LOOK_AT_LEAST_EVERY)


_QUIET_LOOKS = 250
_GROWTHS = 10
