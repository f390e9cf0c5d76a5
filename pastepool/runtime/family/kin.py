"""
One child process, as the parent has it: its side of what the two have in common, and its end.

Everything is opened before the fork. Then the parent closes the ends of the child, and the child the side of the parent.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pastepool.runtime.family.birth import DESK, WORKER
from pastepool.runtime.family.board import Board, BoardRow
from pastepool.runtime.family.lane import Lane
from pastepool.runtime.family.relay import Relay
from pastepool.runtime.family.stacks_file import StacksFile
from pastepool.runtime.family.wire import Wire, wires
from pastepool.types import Seconds

_WRITTEN_WITHIN: Seconds = 0.02
"""How long the parent waits for stacks that it wants at once. They take about one millisecond. Arbitrary."""


@dataclass(frozen=True)
class Ends:
    """What a child gets for itself. ``row``, ``dump``, ``lane``: as for ``Birth``."""

    wire: Wire
    row: BoardRow
    dump: int
    lane: Lane

    def close(self) -> None:
        """Close them in the parent, when the child has them."""
        self.wire.close()
        self.lane.close()


@dataclass
class Kin:
    """
    The side of the parent.

    ``pid``: 0 as long as it is not forked. ``row``: what it shows on the board. ``stacks``: the file that takes its stacks.
    ``failure``: why it did not become ready, in its own words. ``silent``: it has closed its side of the wire.
    """

    serial: int
    wire: Wire
    row: BoardRow
    stacks: StacksFile
    pid: int = 0
    failure: str = ""
    silent: bool = False

    def messages(self) -> Iterator[tuple[str, str]]:
        """Yield what it has said by now."""
        while not self.silent and (there := self.wire.receive(wait=False)) != []:
            self.silent = there is None
            yield from there or ()

    def ask_for_stacks(self) -> None:
        """Have its stacks written, in the place of those before."""
        self.stacks.clear()
        if self.pid:
            os.kill(self.pid, signal.SIGUSR2)

    def stacks_now(self) -> str:
        """Have its stacks written, wait a moment for them, and return them."""
        self.ask_for_stacks()
        time.sleep(_WRITTEN_WITHIN)
        return self.stacks.read()

    def close(self) -> None:
        """Close what this process has of it."""
        self.wire.close()
        self.stacks.close()


def opened(serial: int, board: Board, relay: Relay) -> tuple[Kin, Ends]:
    """Open both sides for a child. Raises: OSError: the process may not have more descriptors; none stays open."""
    with contextlib.ExitStack() as undo:
        ours, theirs = wires()
        undo.callback(ours.close)
        undo.callback(theirs.close)
        stacks = StacksFile()
        undo.callback(stacks.close)
        lane = relay.open(serial)
        undo.pop_all()
    row = board.take()
    return Kin(serial, ours, row, stacks), Ends(theirs, row, stacks.fileno(), lane)


def introduce(worker: Kin, desk: Kin) -> None:
    """Give the two ends of a link to a worker and to the desk; to the desk the file of the stacks as well."""
    with contextlib.suppress(OSError):  # no descriptor is left: the desk shows what is on the board
        one, other = socket.socketpair()
        with one, other:
            desk.wire.send(WORKER, str(worker.serial), (one.fileno(), worker.stacks.fileno()))
            worker.wire.send(DESK, "", (other.fileno(),))


def ended(pids: Iterable[int]) -> Iterator[tuple[int, int]]:
    """
    Yield the pid and the exit code of each child that has ended.

    ``pids``: for which is asked; -1 for any, orphans included. The code of one that was killed is less than 0: the signal.
    """
    for asked in pids:
        with contextlib.suppress(ChildProcessError):  # no child is left
            while (found := os.waitpid(asked, os.WNOHANG))[0]:
                yield found[0], os.waitstatus_to_exitcode(found[1])
