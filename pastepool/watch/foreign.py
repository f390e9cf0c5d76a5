"""
Watch servers that are not ours. The page can show Paste's own pool; of any other server it can show nothing.

Both classes implement ``watched.Watched``. The only action they offer is to write the stacks of the process to the log.
"""

from __future__ import annotations

from typing import Any

from pastepool.runtime.log.scribe import scribbled
from pastepool.watch.dumping import dump
from pastepool.watch.flaming import NO_FLAME
from pastepool.watch.paste_state import no_pool_state, paste_state
from pastepool.watch.visitor import OwnRequest, Visitor
from pastepool.watch.watched import EVERY, ActionOutcome, Aim, State, Whose

_log = scribbled("pastepool.watch")


class Nobody:
    """What the page watches if no pool runs the request, or a pool that cannot be read."""

    def health(self) -> tuple[int, str]:
        return 503, "unknown"

    def own_request(self) -> OwnRequest | None:
        return None

    def state(self, visitor: Visitor, may_kill: bool) -> State:
        return _without_actions(no_pool_state(), dump=False)

    def counters(self, visitor: Visitor) -> ActionOutcome:
        return ActionOutcome(501, "not found", "There is no pool of pastepool to count.")

    def question(self, aim: Aim) -> ActionOutcome:
        return ActionOutcome(501, "refused", "Only requests of pastepool's own pool can be killed.")

    def kill(self, aim: Aim, visitor: Visitor) -> ActionOutcome:
        return self.question(aim)

    def dump(self, visitor: Visitor, whose: Whose = EVERY) -> ActionOutcome:
        return dump(lambda text: _log.warning("%s %s", visitor.told(), text))

    def reset(self, visitor: Visitor) -> ActionOutcome:
        return ActionOutcome(501, "refused", "There is nothing to reset.")

    def flame(self, seconds: int | None, worker: int, visitor: Visitor) -> ActionOutcome:
        return ActionOutcome(501, "refused", "Only pastepool's own pool is looked at.")

    def flame_status(self) -> dict[str, Any]:
        return dict(NO_FLAME)

    def flame_picture(self) -> bytes | None:
        return None

    def refresh(self) -> None:
        """Do nothing: this class keeps nothing between two looks."""


class PastesPool(Nobody):
    """
    A pool in the shape of ``paste.httpserver.ThreadPool``. The page shows the facts that this pool keeps. In everything
    else this class does what ``Nobody`` does.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    def state(self, visitor: Visitor, may_kill: bool) -> State:
        return _without_actions(paste_state(self._pool), dump=True)


def _without_actions(state: State, *, dump: bool) -> State:
    state["flame"] = dict(NO_FLAME)
    state["actions"] = {"kill": False, "dump": dump, "reset": False, "flame": False}
    return state
