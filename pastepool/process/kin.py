"""The processes that the parent has forked: their wires, their pids, and how they are forked, told and reaped."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pastepool.core.generations.fleet import Fleet
from pastepool.runtime.family.birth import DESK, WORKER
from pastepool.runtime.family.board import Board, BoardRow
from pastepool.runtime.family.lane import Lane
from pastepool.runtime.family.relay import Relay
from pastepool.runtime.family.wire import Wire, wires
from pastepool.runtime.system.parent_signals import ParentSignals


@dataclass
class Kin:
    """
    One worker process, as the parent has it.

    ``row``: what it shows on the board. ``dump``: the descriptor of the file in memory that takes its stacks.
    ``failure``: why it did not become ready, in its own words. ``silent``: it has closed its side of the wire.
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

    def __init__(self, signals: ParentSignals, relay: Relay) -> None:
        self._signals = signals
        self.relay = relay
        self.board = Board()
        self.by_serial: dict[int, Kin] = {}
        self.desk = 0

    def fork(self, serial: int, is_desk: bool = False) -> tuple[Wire, BoardRow, int, Lane] | None:
        """
        Fork a worker, or the desk, and let the two know each other.

        Returns: in the parent None; in the child its end of the wire, its row, the descriptor for its stacks and its end
        of the lane. It has closed what belongs to the parent and to its siblings.
        Raises: OSError: the machine has no process or no descriptor left.
        """
        ours, theirs = wires()
        row, dump, lane = self.board.take(), _file_in_memory(), self.relay.open(serial)
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
            Kin(serial, 0, ours, row, dump).close()
            theirs.close()
            lane.close()
            self.relay.close(serial)
            row.clear()
            raise
        if pid:
            theirs.close()
            lane.close()
            self.by_serial[serial] = Kin(serial, pid, ours, row, dump)
            self.desk = serial if is_desk else self.desk
            for each in list(self.by_serial) if is_desk else [serial]:
                self._introduce(each)
            return None
        ours.close()
        for sibling in self.by_serial.values():
            sibling.close()
        self.relay.close_all()
        return theirs, row, dump, lane

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
        """Send a signal to one worker, if it has not been reaped."""
        if serial in self.by_serial:
            os.kill(self.by_serial[serial].pid, number)

    def reap(self) -> Iterator[tuple[Kin, int]]:
        """Yield each worker that has ended, with its status, and forget it. As PID 1, wait for strangers too."""
        by_pid = {kin.pid: kin for kin in self.by_serial.values()}
        for pid, status in _ended([-1] if os.getpid() == 1 else list(by_pid)):
            kin = by_pid.get(pid)
            if kin is not None:
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
