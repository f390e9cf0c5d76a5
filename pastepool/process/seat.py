"""
What a worker process has of its parent: its number, the sockets it listens on, and the wire to the parent.

``server`` knows it as ``Membership``. The thread that listens to the parent starts when the server serves. Before that
nobody listens, because the application is being loaded.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable
from types import TracebackType

from pastepool.process.offer import Offer, shared
from pastepool.process.wire import LONGEST, Wire
from pastepool.runtime.sockets.listener import Listener
from pastepool.runtime.sockets.siblings import Siblings
from pastepool.runtime.system.threads import spawn_thread
from pastepool.settings.values import Settings
from pastepool.types import Seconds

READY = "ready"
FAILED = "failed"
CONDEMNED = "condemned"
"""What a worker says: it serves; it could not load the application, with the traceback; it is to be replaced, and why."""

RETIRE = "retire"
"""What a worker is told: to finish its requests within so many seconds, and end."""

_TASKS_OF_ONE = 10**9
"""
How many tasks one worker process may number. So a kill that an operator asks for on the page of one process, and that
reaches another one, finds no such task there.
"""


class Seat:
    """One worker's place. ``slot``, ``generation``: as in ``core.generations``."""

    def __init__(self, serial: int, slot: int, generation: int, given: Offer) -> None:
        self.slot = slot
        self.generation = generation
        self.first_task = serial * _TASKS_OF_ONE + 1
        self.settings: Settings = given.settings
        self.listeners: tuple[Listener, ...] = shared(given.sockets)
        self.admin_listeners: tuple[Listener, ...] = shared(given.admin_sockets)
        self._drain_for: Seconds = given.settings.processes.drain
        self._wire: Wire
        self._is_ready = False

    @property
    def siblings(self) -> Siblings | None:
        """None: a worker sees nothing of its siblings yet."""
        return None

    def take(self, wire: Wire) -> None:
        """Become the worker: this is its process, just forked. Runs on: its only thread."""
        self._wire = wire
        importlib.invalidate_caches()  # modules may have come since the parent has looked
        previous = sys.excepthook

        def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
            if self._is_ready:
                previous(kind, error, trace)
            else:
                self.failed("".join(traceback.format_exception(kind, error, trace)))

        sys.excepthook = hook

    def failed(self, text: str) -> None:
        """Say why the worker cannot serve. What an operator needs stands at the end of a traceback."""
        self._wire.send(FAILED, text.rstrip()[-LONGEST:])

    def serving(self, retire: Callable[[Seconds], None]) -> None:
        """
        Say that this worker serves, and obey the parent from now on.

        ``retire``: called with the time there is; on a thread of its own, and when the parent has gone.
        """
        self._is_ready = True
        spawn_thread(lambda: self._obey(retire), "pastepool parent")
        self._wire.send(READY)

    def condemned(self, why: str) -> None:
        """Ask to be replaced. Safe in a signal handler."""
        self._wire.send(CONDEMNED, why)

    def _obey(self, retire: Callable[[Seconds], None]) -> None:
        while (messages := self._wire.receive(wait=True)) is not None:
            for word, text in messages:
                if word == RETIRE:
                    retire(float(text))
        retire(self._drain_for)  # the parent has gone
