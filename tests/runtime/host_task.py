"""
A task as another program would write it.

It uses only the protocol of ``pool.task``: there is no request, no environ, no connection and no ``Exchange``.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping

from pastepool.runtime.pool.task import ShedReason, TaskOutcome
from pastepool.types import CallWindow, Seconds

DESCRIPTION = {"protocol": "gopher", "selector": "/1/menu"}


class Conversation:
    """
    One conversation of a Gopher server. It inherits from no class of pastepool.

    ``events``: the names of the methods that the pool called, in order. ``released``: the call lasts until this is set.
    """

    kind = "gopher"
    arrived_at: Seconds = 0.0
    started_at: Seconds = 0.0
    worker_name = ""
    kill_after: Seconds | None = None
    client_wait: None = None
    environ: Mapping[str, object] | None = None
    peer = "192.0.2.7"
    _serials = itertools.count(70_000)

    def __init__(self, *, released: bool = True) -> None:
        self.serial = next(self._serials)
        self.events: list[str] = []
        self.over = threading.Event()
        self.entered = threading.Event()
        self.released = threading.Event()
        self.cancelled = threading.Event()
        self.cancellations: list[Callable[[], object]] = [self.cancelled.set]
        self.error: BaseException | None = None
        if released:
            self.released.set()

    def title(self) -> str:
        return "gopher /1/menu"

    def described(self) -> Mapping[str, str]:
        return DESCRIPTION

    def outcome(self) -> TaskOutcome:
        return TaskOutcome(fate="killed" if "killed" in self.events else "")

    def run(self, window: CallWindow) -> None:
        self.events.append("run")
        window.open(self.serial)
        self.entered.set()
        while not self.released.is_set():
            time.sleep(0.001)  # a loop of Python code, where a kill takes effect
        window.shut()

    def failed(self, error: BaseException) -> None:
        self.events.append("failed")
        self.error = error

    def conclude(self, now: Seconds) -> None:
        self._end("concluded")

    def killed(self, now: Seconds) -> None:
        self.events.append("killed")

    def cut_if_waiting(self) -> bool:
        return False

    def refused(self, reason: ShedReason) -> None:
        self._end(reason.name)

    def dropped(self) -> None:
        self._end("dropped")

    def _end(self, how: str) -> None:
        self.events.append(how)
        self.over.set()
