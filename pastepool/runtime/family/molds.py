"""
The molds: processes that have loaded the application of a generation, and fork workers for the parent (``preload``).

The parent asks and never waits. A mold that ends takes those with it that it was still to fork. One that does not fork
what it was asked for is killed, whatever the workers are still given.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pastepool.core.generations.health import FORKS_WITHIN, LOOK_EVERY
from pastepool.runtime.family.board import BoardRow, ShownMold
from pastepool.runtime.family.kin import Ends
from pastepool.types import Seconds

_LONGEST = 4096

_STRANGERS = 64
"""How many pids of others are remembered: one may be that of a worker of which its mold has not told yet."""


@dataclass
class Mold:
    """
    One mold.

    ``row``: where the board shows it. ``ready``: it has loaded the application. ``since``: when it became ready, began to
    fork, or had forked all. ``asked``: the serials that it was asked for and has not forked. ``waited``: for how long of
    the time that was watched it has said nothing of them.
    """

    pid: int
    generation: int
    orders: socket.socket
    row: BoardRow
    ready: bool = False
    since: Seconds = 0.0
    asked: set[int] = field(default_factory=set)
    waited: Seconds = 0.0

    def show(self) -> None:
        """Show it on the board."""
        self.row.show_mold(ShownMold(self.pid, self.generation, bool(self.asked), self.since))

    def kill(self) -> None:
        """Send it SIGKILL."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


class Molds:
    """
    ``adopts``: what molds leave behind may have become children of this process. ``strangers``: the pids of the last ones
    that have ended and that nobody knew: a mold may yet tell that it has forked one. ``tell``: tells the operator a
    sentence.

    Runs on: the only thread of the parent.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.adopts = False
        self._failed: dict[int, str] = {}
        self.strangers: deque[int] = deque(maxlen=_STRANGERS)
        self._tell = tell
        self._molds: list[Mold] = []
        self._without = 0

    def wanted(self, generation: int) -> bool:
        """Say whether the next child of a generation is to be its mold."""
        return generation != self._without and all(mold.generation != generation for mold in self._molds)

    def usable(self, generation: int) -> Mold | None:
        """Return the mold of a generation, if it can be asked."""
        return next((mold for mold in self._molds if mold.ready and mold.generation == generation), None)

    def begin(self, pid: int, generation: int, orders: socket.socket, row: BoardRow) -> None:
        """Note a child that loads the application for others."""
        self._molds.append(Mold(pid, generation, orders, row))
        self.adopts = True

    def ask(self, mold: Mold, serial: int, slot: int, ends: Ends) -> None:
        """Have a worker forked. ``ends``: what it gets. Raises: OSError: the mold does not take the order."""
        order = json.dumps({"serial": serial, "slot": slot, "row": ends.row.number}).encode()
        descriptors = (ends.wire.fileno(), ends.dump, ends.lane.fileno())
        socket.send_fds(mold.orders, [order], descriptors, socket.MSG_DONTWAIT)
        if not mold.asked:
            mold.since, mold.waited = time.monotonic(), 0.0
        mold.asked.add(serial)
        mold.show()

    def look(self, passed: Seconds) -> None:
        """Kill each mold that has not forked what it was asked for. ``passed``: the time since the last look."""
        for mold in self._molds:
            mold.waited += min(passed, 2 * LOOK_EVERY)  # a parent that was stopped itself has seen nothing
            if mold.asked and mold.waited >= FORKS_WITHIN:
                self._tell(
                    f"the mold of generation {mold.generation} (pid {mold.pid}) has not forked a worker within"
                    f" {FORKS_WITHIN:g} s, and is killed"
                )
                mold.kill()
                mold.waited = 0.0

    def descriptors(self) -> Iterator[int]:
        """Yield what is to be polled for reading."""
        for mold in self._molds:
            yield mold.orders.fileno()

    def forked(self) -> Iterator[tuple[int, int]]:
        """Take what the molds say. Yields serial and pid of each worker that was forked, and has not ended at once."""
        for mold in list(self._molds):
            while (said := self._said(mold)) is not None:
                serial = said.get("forked", said.get("failed", 0))
                mold.asked.discard(serial)
                mold.ready, mold.waited = True, 0.0
                mold.since = mold.since if mold.asked else time.monotonic()
                mold.show()
                if said.get("pid") in self.strangers:
                    self._failed[serial] = "it has ended at once"
                elif "pid" in said:
                    yield serial, said["pid"]
                elif "why" in said:
                    self._failed[serial] = said["why"]
                else:
                    self._give_up(mold, said["threads"])
                    break

    def _said(self, mold: Mold) -> dict[str, Any] | None:
        """Return the next message of a mold; None if there is none now, or never will be."""
        try:
            data = mold.orders.recv(_LONGEST, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        if not data:
            self._end(mold)
            return None
        said: dict[str, Any] = json.loads(data)
        return said

    def _give_up(self, mold: Mold, threads: list[str]) -> None:
        self._without = mold.generation
        self._end(mold)
        self._tell(
            f"preload is given up for generation {mold.generation}: the application has started threads while it was"
            f" loaded ({', '.join(threads)}); each worker loads it for itself"
        )

    def _end(self, mold: Mold) -> None:
        self._molds.remove(mold)
        mold.orders.close()
        mold.row.clear()
        self._failed.update(dict.fromkeys(mold.asked, "its mold has ended"))

    def take_failed(self) -> list[tuple[int, str]]:
        """Return the serials that will not be forked, with the reasons, once."""
        failed, self._failed = self._failed, {}
        return list(failed.items())

    def kill_for(self, serial: int) -> None:
        """Kill the mold that does not fork a worker."""
        for mold in self._molds:
            if serial in mold.asked:
                mold.kill()

    def end_older(self, generation: float) -> None:
        """End the molds that are not needed any more: of generations before this one."""
        for mold in list(self._molds):
            if mold.ready and mold.generation < generation:
                mold.kill()
                self._end(mold)

    def close_all(self) -> None:
        """Close what this process has of all. In a child of a fork these are its copies."""
        for mold in self._molds:
            mold.orders.close()
