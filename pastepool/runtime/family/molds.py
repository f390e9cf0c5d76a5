"""
The molds: processes that have loaded the application of a generation, and fork workers for the parent (``preload``).

The parent asks and never waits. A mold that ends takes those with it that it was still to fork.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pastepool.errors import StartError

_PR_SET_CHILD_SUBREAPER = 36
_LONGEST = 4096


def adopt_orphans() -> None:
    """
    Have the system give this process what its descendants leave behind: a worker that its mold has forked twice.

    Raises: StartError: the system cannot do that.
    """
    import ctypes  # a parent without preload does not need it

    try:
        done = ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    except (OSError, AttributeError):
        done = False
    if not done:
        raise StartError("preload is set, and this system is not Linux, which it needs; delete preload.")


@dataclass
class Mold:
    """
    One mold. ``ready``: it has loaded the application. ``asked``: the serials that it was asked for and has not forked.
    """

    pid: int
    generation: int
    orders: socket.socket
    ready: bool = False
    asked: set[int] = field(default_factory=set)


class Molds:
    """
    ``failed``: the serials that will not be forked, with the reason. ``tell``: tells the operator a sentence.

    Runs on: the only thread of the parent.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.failed: dict[int, str] = {}
        self._tell = tell
        self._molds: list[Mold] = []
        self._without = 0

    def wanted(self, generation: int) -> bool:
        """Say whether the next child of a generation is to be its mold."""
        return generation != self._without and all(mold.generation != generation for mold in self._molds)

    def usable(self, generation: int) -> Mold | None:
        """Return the mold of a generation, if it can be asked."""
        return next((mold for mold in self._molds if mold.ready and mold.generation == generation), None)

    def begin(self, pid: int, generation: int, orders: socket.socket) -> None:
        """Note a child that loads the application for others."""
        self._molds.append(Mold(pid, generation, orders))

    def ask(self, mold: Mold, serial: int, slot: int, row: int, descriptors: tuple[int, int, int]) -> None:
        """Have a worker forked. ``descriptors``: its ends. Raises: OSError: the mold does not take the order."""
        order = json.dumps({"serial": serial, "slot": slot, "row": row}).encode()
        socket.send_fds(mold.orders, [order], descriptors, socket.MSG_DONTWAIT)
        mold.asked.add(serial)

    def descriptors(self) -> Iterator[int]:
        """Yield what is to be polled for reading."""
        for mold in self._molds:
            yield mold.orders.fileno()

    def forked(self) -> Iterator[tuple[int, int]]:
        """Take what the molds say. Yields serial and pid of each worker that was forked."""
        for mold in list(self._molds):
            while (said := self._said(mold)) is not None:
                mold.ready = True
                serial = said.get("forked", said.get("failed", 0))
                mold.asked.discard(serial)
                if "pid" in said:
                    yield serial, said["pid"]
                elif "why" in said:
                    self.failed[serial] = said["why"]
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
        self.failed.update(dict.fromkeys(mold.asked, "its mold has ended"))

    def take_failed(self) -> list[tuple[int, str]]:
        """Return the serials that will not be forked, with the reasons, once."""
        failed, self.failed = self.failed, {}
        return list(failed.items())

    def kill_for(self, serial: int) -> None:
        """Kill the mold that does not fork a worker."""
        for mold in self._molds:
            if serial in mold.asked:
                self._kill(mold)

    def end_older(self, generation: float) -> None:
        """End the molds that are not needed any more: of generations before this one."""
        for mold in list(self._molds):
            if mold.ready and mold.generation < generation:
                self._kill(mold)
                self._end(mold)

    def _kill(self, mold: Mold) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(mold.pid, signal.SIGKILL)

    def close_all(self) -> None:
        """Close what this process has of all. In a child of a fork these are its copies."""
        for mold in self._molds:
            mold.orders.close()
