"""The processes that the parent has forked: their wires, their pids, and how they are forked, told and reaped."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pastepool.core.generations.fleet import Fleet
from pastepool.runtime.family.birth import DESK, WORKER
from pastepool.runtime.family.board import Board, BoardRow
from pastepool.runtime.family.lane import Lane, packets
from pastepool.runtime.family.molds import Mold, Molds
from pastepool.runtime.family.relay import Relay
from pastepool.runtime.family.wire import Wire, wires
from pastepool.runtime.system.parent_signals import ParentSignals

_Own = tuple[Wire, BoardRow, int, Lane, "socket.socket | None"]

_STRANGERS = 64
"""How many pids of others are remembered: one may be that of a worker of which its mold has not told yet."""

_NEVER_FORKED = 1 << 8
"""The status of a worker that its mold could not fork: as if it had ended with 1."""


@dataclass
class Kin:
    """
    One worker process, as the parent has it.

    ``pid``: 0 as long as its mold has not forked it. ``row``: what it shows on the board. ``dump``: the descriptor of the
    file in memory that takes its stacks. ``failure``: why it did not become ready, in its own words. ``silent``: it has
    closed its side of the wire.
    """

    serial: int
    pid: int
    wire: Wire
    row: BoardRow
    dump: int
    failure: str = ""
    silent: bool = False

    def messages(self) -> Iterator[tuple[str, str]]:
        """Yield what it has said by now."""
        while not self.silent and (there := self.wire.receive(wait=False)) != []:
            self.silent = there is None
            yield from there or ()

    def close(self) -> None:
        """Close what this process has of it."""
        self.wire.close()
        os.close(self.dump)


class Kinship:
    """
    All children by serial. ``desk``: the serial of the desk; 0 if there is none. Runs on: the only thread of the parent.
    """

    def __init__(self, signals: ParentSignals, relay: Relay, molds: Molds) -> None:
        self._signals = signals
        self.relay = relay
        self.board = Board()
        self.molds = molds
        self._adopts = False
        self._strangers: deque[int] = deque(maxlen=_STRANGERS)
        self.by_serial: dict[int, Kin] = {}
        self.desk = 0

    def fork(self, serial: int, is_desk: bool = False, mold: int = 0) -> _Own | None:
        """
        Fork a worker, or the desk, and let the two know each other.

        ``mold``: the generation for which the worker is to load the application; 0 if for itself alone.

        Returns: in the parent None; in the child its end of the wire, its row, the descriptor for its stacks, its end of
        the lane and where the orders for a mold come. It has closed what belongs to the parent and to its siblings.
        Raises: OSError: the machine has no process or no descriptor left.
        """
        ours, theirs, row, dump, lane = self._ends(serial)
        orders = packets() if mold else None
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                with contextlib.suppress(Exception):  # the disk is full
                    stream.flush()  # what is in its buffer would be written twice
        try:
            with self._signals.blocked():
                pid = os.fork()
                if not pid:
                    self._signals.in_child()
        except OSError:
            self._give_back(Kin(serial, 0, ours, row, dump), theirs, lane)
            raise
        if pid:
            self.desk = serial if is_desk else self.desk
            self._keep(Kin(serial, pid, ours, row, dump), theirs, lane)
            if is_desk:
                self.relay.close(serial)  # nothing is broadcast to it
            if orders is not None:
                orders[1].close()
                self._adopts = True
                self.molds.begin(pid, mold, orders[0], self.board.take())
            return None
        ours.close()
        for sibling in self.by_serial.values():
            sibling.close()
        self.relay.close_all()
        self.molds.close_all()
        if orders is not None:
            orders[0].close()
        return theirs, row, dump, lane, orders and orders[1]

    def order(self, mold: Mold, serial: int, slot: int) -> None:
        """Have a mold fork a worker. Raises: OSError: the machine has no descriptor left, or the mold has ended."""
        ours, theirs, row, dump, lane = self._ends(serial)
        try:
            self.molds.ask(mold, serial, slot, row.number, (theirs.fileno(), dump, lane.fileno()))
        except OSError:
            self._give_back(Kin(serial, 0, ours, row, dump), theirs, lane)
            raise
        self._keep(Kin(serial, 0, ours, row, dump), theirs, lane)

    def _ends(self, serial: int) -> tuple[Wire, Wire, BoardRow, int, Lane]:
        ours, theirs = wires()
        return ours, theirs, self.board.take(), _file_in_memory(), self.relay.open(serial)

    def _keep(self, kin: Kin, theirs: Wire, lane: Lane) -> None:
        theirs.close()
        lane.close()
        self.by_serial[kin.serial] = kin
        for each in list(self.by_serial) if kin.serial == self.desk else [kin.serial]:
            self._introduce(each)

    def _give_back(self, kin: Kin, theirs: Wire, lane: Lane) -> None:
        kin.close()
        theirs.close()
        lane.close()
        self.relay.close(kin.serial)
        kin.row.clear()

    def hear_molds(self) -> None:
        """Take note of the workers that molds have forked. Before anything is heard of these workers."""
        for serial, pid in self.molds.forked():
            if serial in self.by_serial and pid not in self._strangers:
                self.by_serial[serial].pid = pid
            else:
                self.molds.failed[serial] = "it has ended at once"

    def _introduce(self, serial: int) -> None:
        """Give the two ends of a link to a worker and to the desk, if there is one; to the desk the stacks as well."""
        worker, desk = self.by_serial[serial], self.by_serial.get(self.desk)
        if desk is not None and desk is not worker:
            with contextlib.suppress(OSError):  # no descriptor is left: the desk shows what is on the board
                one, other = socket.socketpair()
                with one, other:
                    desk.wire.send(WORKER, str(serial), (one.fileno(), worker.dump))
                    worker.wire.send(DESK, "", (other.fileno(),))

    def show(self, fleet: Fleet) -> None:
        """Let the board show what each worker is."""
        for child in fleet.children:
            if child.serial in self.by_serial:
                self.by_serial[child.serial].row.show(child, self.by_serial[child.serial].pid)

    def pid_of(self, serial: int) -> int:
        """Return the pid of a worker; 0 if it has been reaped."""
        kin = self.by_serial.get(serial)
        return kin.pid if kin is not None else 0

    def requests_of(self, serial: int) -> int:
        """Return how many requests a worker has had; 0 if it has been reaped."""
        kin = self.by_serial.get(serial)
        return kin.row.figures[1] if kin is not None else 0

    def tell(self, serial: int, word: str, text: str = "") -> bool:
        """Send a message to one child. It is lost if the child has ended. Returns whether it is on its way."""
        return serial in self.by_serial and self.by_serial[serial].wire.send(word, text)

    def signal(self, serial: int, number: int) -> None:
        """Send a signal to one worker, if it has not been reaped. SIGKILL to one that its mold does not fork ends both."""
        pid = self.pid_of(serial)
        if pid:
            os.kill(pid, number)
        elif number == signal.SIGKILL:
            self.molds.kill_for(serial)

    def reap(self) -> Iterator[tuple[Kin, int]]:
        """
        Yield each worker that has ended, with its status, and forget it. One that its mold could not fork counts too.

        As PID 1, or if orphans are given to this process, wait for strangers too.
        """
        by_pid = {kin.pid: kin for kin in self.by_serial.values() if kin.pid}
        for pid, status in _ended([-1] if os.getpid() == 1 or self._adopts else list(by_pid)):
            if pid in by_pid:
                yield from self._forgotten(by_pid[pid], status)
            else:
                self._strangers.append(pid)
        for serial, why in self.molds.take_failed():
            kin = self.by_serial.get(serial)
            if kin is not None and not kin.pid:
                kin.failure = why
                yield from self._forgotten(kin, _NEVER_FORKED)

    def _forgotten(self, kin: Kin, status: int) -> Iterator[tuple[Kin, int]]:
        yield kin, status
        del self.by_serial[kin.serial]
        kin.close()
        self.relay.close(kin.serial)


def _file_in_memory() -> int:
    """Return the descriptor of a file without a name: in memory where the system can do that."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("pastepool stacks")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _ended(asked: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield pid and status of children that have ended. ``asked``: their pids, or -1 for any, orphans included."""
    for one in asked:
        try:
            while (found := os.waitpid(one, os.WNOHANG))[0]:
                yield found
        except ChildProcessError:
            pass  # no child is left
