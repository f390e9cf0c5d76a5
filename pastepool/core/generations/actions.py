"""What the parent may be told to do about its worker processes. ``planning`` decides which of it."""

from __future__ import annotations

from dataclasses import dataclass

from pastepool.types import Seconds


@dataclass(frozen=True)
class ForkChild:
    """Fork a child for a slot."""

    slot: int


@dataclass(frozen=True)
class RetireChild:
    """Tell a child to finish its requests and end. ``patience``: how long it may take. ``why``: in words."""

    serial: int
    why: str
    patience: Seconds


@dataclass(frozen=True)
class KillChild:
    """Send SIGKILL to a child. ``failed``: it did not become ready in time. ``why``: in words."""

    serial: int
    why: str
    failed: bool = False


@dataclass(frozen=True)
class EndParent:
    """Let the parent end with an exit status: no child is left."""

    status: int


ParentAction = ForkChild | RetireChild | KillChild | EndParent


@dataclass(frozen=True)
class FleetPlan:
    """
    What the parent should do now, and when to look again.

    ``look_again_at``: later than the ``now`` of the plan; infinity if only an event can change anything. ``held_back``:
    whether a fork waits because there were too many.
    """

    actions: tuple[ParentAction, ...]
    look_again_at: Seconds
    held_back: bool
