"""A worker that is blocked in a call, for tests that kill it there."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pastepool.errors import WorkerKilled
from pastepool.runtime.inspection.procfs import read_system_call
from pastepool.runtime.inspection.stacks import frame_of
from pastepool.runtime.window.window import Window
from pastepool.types import Injected
from tests.waiting import WATCHDOG, until


class Blocked:
    """A thread with an open window that runs ``body``, and is blocked in a system call of that name."""

    def __init__(self, body: Callable[[], object], *names: str) -> None:
        self.window: Window
        self.outcome: list[str] = []
        self._opened = threading.Event()
        self._body = body
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert self._opened.wait(WATCHDOG)
        until(lambda: self._is_in(names), f"the thread is blocked in {names}")

    def _is_in(self, names: tuple[str, ...]) -> bool:
        frame = frame_of(self.thread.ident or 0)
        call = read_system_call(self.thread.native_id or 0)
        return frame is not None and frame.f_code.co_name in names and call is not None and call.number >= 0

    def _run(self) -> None:
        self.window = Window()
        self.window.open(1)
        self._opened.set()
        try:
            self._body()
        except WorkerKilled:
            self.outcome.append("killed")
        else:
            self.outcome.append("returned")
        self.window.shut()

    def kill(self) -> Injected:
        """Kill the call, once."""
        return self.window.kill(1, lambda: None)

    def join(self) -> None:
        """Wait until the thread has ended."""
        self.thread.join(WATCHDOG)
        assert not self.thread.is_alive()
