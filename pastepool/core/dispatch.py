"""
Decide whether the leader passes the baton on before it calls the application.

The leader passes the baton when the last call of the same kind was long, or when recent calls of other kinds were. If
the leader keeps the baton, a short call costs nothing more, but during a long call all other clients wait until the
caretaker looks. If the leader passes the baton, that costs a thread switch in both cases. So the rule compares the
expected wait with the price of the switch.

Source: ours, measured (docs/adr/0002): with a threshold of 1 ms an application that blocks for 0.5 ms falls from 16,000
to 1,500 requests a second.
"""

from __future__ import annotations

from pastepool.types import Seconds

LOOK_EVERY: Seconds = 0.001
"""The shortest time between two looks. A leader that is still in the same call at the next look loses the baton."""

LOOK_AT_LEAST_EVERY: Seconds = 0.008
"""
The longest time between two looks, reached after many looks that found no leader stuck in a call. A look costs two or
three thread switches (measured: one look a millisecond takes 7 % of a loaded server's CPU).
"""

REST: Seconds = LOOK_EVERY
"""
How long the caretaker rests between two polls while requests wait for a worker. A health check, a refusal and a new client
wait so long at most.
"""

PASS_ABOVE: Seconds = 0.0001
"""If the expected wait is longer than this, the leader passes the baton, because the switch costs less."""

NEGLIGIBLE: Seconds = 0.00002
"""
A call no longer than this is not counted while the expected wait is also no longer than this: both are far too small to
change a decision.
"""

LONG: Seconds = LOOK_EVERY
"""
A call that takes at least this long makes its kind a long kind: during such a call the leader would lose the baton.

Measured with calls of 1, 2 and 5 ms beside hello: with 10 ms, hello had 0.8, 0.75 and 0.7 of the requests a second, and
the calls took up to a quarter longer. A short call that had to wait for the GIL so long costs one thread switch: the next
call of its kind shows that it is short.
"""

KINDS_LIMIT = 256
"""
How many kinds are remembered. There is a limit because clients choose the paths. When it is reached, all kinds are
forgotten, and each long kind is learnt again from its next call.
"""

_WEIGHT = 1 / 16
"""
How much one call moves the expected wait. After four calls of 0.5 ms the leader passes the baton; after some forty
short calls it keeps the baton again.
"""


def expected_wait(before: Seconds, duration: Seconds) -> Seconds:
    """
    Return how long the next call is expected to make other clients wait if the leader keeps the baton.

    ``before``: the expected wait so far. ``duration``: of the call that has ended. Calls of a kind known as long are not
    counted, because the leader does not keep the baton during them. A call counts for at most ``LOOK_EVERY``, because
    after that time the caretaker takes the baton away. So one call of 50 ms among hundreds of short ones does not make all
    of them pay for thread switches.

    Runs on: worker, after each call. If two workers update the value at once, one update may be lost; the value is an
    estimate.
    """
    wait = duration if duration < LOOK_EVERY else LOOK_EVERY
    return before + (wait - before) * _WEIGHT


class LongKinds:
    """
    Remember the kinds of tasks (an application's paths) whose last call was long.

    If most calls are short and a few are long, the expected wait is short. Then the leader keeps the baton during each
    long call, and all other clients wait until the caretaker looks. But the long calls are mostly of a few kinds, so
    the leader can know them by their kind.

    ``names``: the long kinds. It is empty while no kind is long, and a short call tests nothing but that. Runs on: any
    worker. Each step is a single operation of one dict, so two workers at once lose one note at worst.
    """

    __slots__ = ("names",)

    def __init__(self) -> None:
        self.names: dict[object, None] = {}

    def note(self, kind: object, duration: Seconds) -> bool:
        """
        Remember or forget the kind of a call that has ended, depending on its duration. Returns whether it was known as
        long before.
        """
        names = self.names
        if duration < LONG:
            return names.pop(kind, self) is None
        if kind in names:
            return True
        if len(names) >= KINDS_LIMIT:
            names.clear()
        names[kind] = None
        return False


def look_after(quiet_looks: int) -> Seconds:
    """
    Return how long the caretaker waits before its next look.

    ``quiet_looks``: how many looks in a row found no leader stuck in a call. For the first 250 of them (a quarter of a
    second) the caretaker looks every ``LOOK_EVERY``: where some calls are slow, one of the last few calls was slow.
    After that each wait is a quarter longer than the one before, up to ``LOOK_AT_LEAST_EVERY``.

    Source: Go's monitor thread adapts its sleep for the same reason.
    """
    if quiet_looks < _QUIET_LOOKS:
        return LOOK_EVERY
    # The number of looks has no limit, so the exponent gets one: 1.25 ** 10000 overflows a float.
    growth = min(quiet_looks - _QUIET_LOOKS, _GROWTHS)
    return min(LOOK_EVERY * 1.25**growth, LOOK_AT_LEAST_EVERY)


_QUIET_LOOKS = 250
_GROWTHS = 10
