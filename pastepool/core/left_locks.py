"""
Decide which locks of everybody a killed request has left taken, and whether the process is condemned by that.

Knows what was seen of locks and threads, and instants; looks at nothing itself. A killed request leaves no lock where its
code gives it back. But a clean-up that never ends is cut off, and an interpreter on which no thread can be armed is hit
anywhere. If such a lock belongs to the standard library, everybody who logs or imports hangs on it, and only a new process
helps.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pastepool.core.wording import printable
from pastepool.types import Seconds, WorkerId

LOOK_AGAIN: Seconds = 0.5
LOOKS = 6
"""
``LOOK_AGAIN``: how long after a look that found a suspect the next one is made. ``LOOKS``: how many in a row have to find a
lock taken whose holder is not known. All these locks are held for microseconds; the numbers are choices.
"""


@dataclass(frozen=True)
class TakenLock:
    """
    A lock that was seen taken. ``key``: its identity. ``owner``: its thread, by ``threading.get_ident()``; 0 if unknown.
    """

    key: int
    name: str
    owner: int = 0


@dataclass(frozen=True)
class Dead:
    """A worker whose request was killed and whose thread has ended. ``title``: of the request."""

    worker: WorkerId
    title: str
    ident: int


@dataclass(frozen=True)
class LeftLock:
    """A lock that nobody will give back. ``by``: who may have left it, usually one."""

    name: str
    by: tuple[Dead, ...]

    def describe(self) -> str:
        """Say which lock it is, who left it, and what to do."""
        who = ", ".join(f"worker {dead.worker} ({printable(dead.title)})" for dead in self.by[:3])
        return (
            f"{self.name} is taken for ever: left by {who}, which was killed. Requests that need it hang. "
            "Restart this process"
        )


@dataclass(frozen=True)
class _Suspect:
    by: tuple[Dead, ...]
    looks: int = 0


@dataclass(frozen=True)
class LockSearch:
    """
    What is known after a look, for the next one. ``left``: by the identity of the lock.

    ``look_again_at``: when the next look is due; infinity if there is no need for one.
    """

    left: Mapping[int, LeftLock] = field(default_factory=dict)
    suspects: Mapping[int, _Suspect] = field(default_factory=dict)
    look_again_at: Seconds = math.inf

    @property
    def condemned(self) -> str:
        """Say why this process should be replaced; empty if it need not be."""
        return next((lock.describe() for lock in self.left.values()), "")


def search(
    before: LockSearch, taken: Sequence[TakenLock], living: Collection[int], dead: Sequence[Dead], now: Seconds
) -> LockSearch:
    """
    Judge the locks that were seen taken.

    A lock whose owner is a dead worker is left. One whose owner lives is not; but a new thread may have the number of a
    dead one, so such an owner counts as unknown. A lock with an unknown owner is left if all of several looks find it
    taken.

    Args:
        before: the result of the last look.
        taken: all locks that are taken now.
        living: the owners among them whose threads live.
        dead: the workers that have died since the last look.
        now: the monotonic instant of this look.
    """
    left: dict[int, LeftLock] = {}
    suspects: dict[int, _Suspect] = {}
    for lock in taken:
        if lock.key in before.left:
            left[lock.key] = before.left[lock.key]
            continue
        suspect = before.suspects.get(lock.key) or _Suspect(tuple(dead))
        by = tuple(one for one in suspect.by if lock.owner in (0, one.ident))
        if not by:
            continue
        looks = suspect.looks + 1
        if looks >= LOOKS or (lock.owner and lock.owner not in living):
            left[lock.key] = LeftLock(lock.name, by)
        else:
            suspects[lock.key] = replace(suspect, by=by, looks=looks)
    return LockSearch(left, suspects, now + LOOK_AGAIN if suspects else math.inf)
