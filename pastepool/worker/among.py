"""
Watch a worker process from inside of its application: itself, and through the desk the others.

If the desk does not answer, the page shows this process alone, and says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from pastepool.runtime.family.link import Link, NoAnswer
from pastepool.types import Seconds
from pastepool.watch.health import counters_of
from pastepool.watch.merging import WORKERS_OF_ONE, Part, merged
from pastepool.watch.own_server import OwnServer
from pastepool.watch.questions import aim_told, visitor_told
from pastepool.watch.several import KILL_PATIENCE, PATIENCE
from pastepool.watch.visitor import OwnRequest, Visitor
from pastepool.watch.watched import EVERY, ActionOutcome, Aim, State, Whose

_FOR_ALL: Seconds = 2 * PATIENCE
"""The desk asks the others with ``PATIENCE``, and this is for its own answer."""

ALONE = "The desk does not answer, so only the threads of this process are shown."


class Among:
    """
    Implements ``watched.Watched`` for one of several processes.

    Large because the protocol has a method for each address of the page, and each asks here, there or at both.

    ``own``: the place of this process. ``link``: returns the link to the desk; None if there is none.
    """

    def __init__(self, own: OwnServer, slot: int, serial: int, link: Callable[[], Link | None]) -> None:
        self._own = own
        self._slot = slot
        self._serial = serial
        self._link = link

    def health(self) -> tuple[int, str]:
        return self._own.health()

    def own_request(self) -> OwnRequest | None:
        return self._own.own_request()

    def state(self, visitor: Visitor, may_kill: bool) -> State:
        own = self._own.state(visitor, may_kill)
        part = Part(self._slot, os.getpid(), self._serial, own)
        about = {"visitor": visitor_told(visitor), "may_kill": may_kill, "but": self._serial}
        try:
            told = self._ask("others", about, _FOR_ALL)
        except NoAnswer:
            return {**own, "note": ALONE}
        parts = sorted([part, *(Part(*each) for each in told["parts"])], key=lambda each: (each.slot, each.serial))
        return {**merged(parts, told["processes"], {**own, **told["like"]}), "note": ""}

    def counters(self, visitor: Visitor) -> dict[str, Any]:
        return counters_of(self.state(visitor, may_kill=False))

    def question(self, aim: Aim) -> str | ActionOutcome:
        own = self._as_own(aim)
        if own is not None:
            return self._own.question(own)
        said = self._through_desk("question", {"aim": aim_told(aim)})
        return said if isinstance(said, str) else ActionOutcome(**said)

    def kill(self, aim: Aim, visitor: Visitor) -> ActionOutcome:
        own = self._as_own(aim)
        if own is not None:
            return self._own.kill(own, visitor)
        about = {"aim": aim_told(aim), "visitor": visitor_told(visitor)}
        return ActionOutcome(**self._through_desk("kill", about, KILL_PATIENCE))

    def _as_own(self, aim: Aim) -> Aim | None:
        """Return an aim as this process knows it; None if it names another one."""
        if aim.whose.is_other(os.getpid()):
            return None
        process, worker = divmod(aim.worker or 0, WORKERS_OF_ONE)
        if process not in (0, self._serial):
            return None
        return Aim(None if aim.worker is None else worker, aim.serial, aim.allowed, aim.whose)

    def dump(self, visitor: Visitor, whose: Whose = EVERY) -> ActionOutcome:
        if whose != EVERY and not whose.is_other(os.getpid()):
            return self._own.dump(visitor, whose)
        about = {"visitor": visitor_told(visitor), "whose": vars(whose)}
        return ActionOutcome(**self._through_desk("dump", about))

    def reset(self, visitor: Visitor) -> ActionOutcome:
        return ActionOutcome(**self._through_desk("reset", {"visitor": visitor_told(visitor)}))

    def flame(self, seconds: int | None, worker: int, visitor: Visitor) -> ActionOutcome:
        process, thread = divmod(worker, WORKERS_OF_ONE)
        if process in (0, self._serial):
            return self._own.flame(seconds, thread, visitor)
        about = {"seconds": seconds, "worker": worker, "visitor": visitor_told(visitor)}
        return ActionOutcome(**self._through_desk("flame", about))

    def flame_status(self) -> dict[str, Any]:
        return self._own.flame_status()

    def flame_picture(self) -> bytes | None:
        return self._own.flame_picture()

    def refresh(self) -> None:
        self._own.refresh()

    def _ask(self, word: str, about: Any, patience: Seconds) -> Any:
        link = self._link()
        if link is None:
            raise NoAnswer(word)
        return link.ask(word, about, patience)

    def _through_desk(self, word: str, about: Any, patience: Seconds = _FOR_ALL) -> Any:
        try:
            return self._ask(word, about, patience)
        except NoAnswer:
            text = "The desk does not answer, so the other processes cannot be reached; nothing was done there."
            return {"status": 503, "outcome": "no answer", "text": text}
