"""All processes that the parent has forked: how they are forked, told, signalled and reaped."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
from collections.abc import Callable, Iterator, Mapping

from pastepool.core.generations.fleet import Fleet
from pastepool.runtime.family.birth import RETIRE, Birth
from pastepool.runtime.family.board import Board
from pastepool.runtime.family.kin import Ends, Kin, ended, introduce, opened
from pastepool.runtime.family.lane import packets
from pastepool.runtime.family.molds import Mold, Molds
from pastepool.runtime.family.offer import Offer, shared
from pastepool.runtime.family.relay import Relay
from pastepool.runtime.family.teller import Teller
from pastepool.runtime.system.parent_signals import ParentSignals
from pastepool.runtime.system.standard_streams import flush_standard_streams


class Kinship:
    """
    All children by serial.

    ``serials``: for new children; none is used twice. ``desk``: the serial of the desk; 0 if there is none. ``close``:
    closes in a child what else belongs to the parent alone. Runs on: the only thread of the parent.
    """

    def __init__(self, signals: ParentSignals, tell: Teller, close: Callable[[], None]) -> None:
        self.board = Board()
        self.relay = Relay(tell.warning)
        self.molds = Molds(tell.warning)
        self.serials = itertools.count(1)
        self.by_serial: dict[int, Kin] = {}
        self.desk = 0
        self._signals = signals
        self._close = close

    def fork(self, serial: int, slot: int, generation: int, given: Offer, is_mold: bool = False) -> Birth | None:
        """
        Fork a worker, or the desk, whose slot is 0. ``is_mold``: it is to load the application for others too.

        Returns: in the child what it is given; in the parent None. Raises: OSError: the machine has no process or no
        descriptor left.
        """
        with self._opened(serial) as (kin, ends):
            orders = packets() if is_mold else None
            flush_standard_streams()
            kin.pid = self._signals.fork()
        if not kin.pid:
            own = self._left_to_child(kin, orders)
            sockets, admin = shared(given.sockets), shared(given.admin_sockets)
            born = (ends.wire, ends.row, ends.dump, ends.lane, own)
            return Birth(serial, slot, generation, given.settings, sockets, admin, *born)
        if not slot:
            self.desk = serial
            self.relay.close(serial)  # nothing is broadcast to it
        if orders is not None:
            orders[1].close()
            self.molds.begin(kin.pid, generation, orders[0], self.board.take())
        self._keep(kin, ends)
        return None

    def _left_to_child(self, kin: Kin, orders: tuple[socket.socket, socket.socket] | None) -> socket.socket | None:
        """In a child, close what belongs to the parent and to its siblings. Returns where orders for a mold come."""
        kin.wire.close()
        for sibling in self.by_serial.values():
            sibling.close()
        self.relay.close_all()
        self.molds.close_all()
        self._close()
        if orders is None:
            return None
        orders[0].close()
        return orders[1]

    def order(self, mold: Mold, serial: int, slot: int) -> None:
        """Have a mold fork a worker. Raises: OSError: the machine has no descriptor left, or the mold has ended."""
        with self._opened(serial) as (kin, ends):
            self.molds.ask(mold, serial, slot, ends)
        self._keep(kin, ends)

    @contextlib.contextmanager
    def _opened(self, serial: int) -> Iterator[tuple[Kin, Ends]]:
        """Open both sides for a child, and close them if it cannot be forked."""
        kin, ends = opened(serial, self.board, self.relay)
        try:
            yield kin, ends
        except OSError:
            ends.close()
            self._forget(kin)
            raise

    def _keep(self, kin: Kin, ends: Ends) -> None:
        ends.close()
        self.by_serial[kin.serial] = kin
        desk = self.by_serial.get(self.desk)
        for worker in self.by_serial.values() if kin is desk else [kin]:
            if desk is not None and desk is not worker:
                introduce(worker, desk)

    def hear_molds(self) -> None:
        """Take note of the workers that molds have forked. Before anything is heard of these workers."""
        for serial, pid in self.molds.forked():
            if serial in self.by_serial:
                self.by_serial[serial].pid = pid

    def show(self, fleet: Fleet) -> None:
        """Let the board show what each worker is."""
        for child in fleet.children:
            if child.serial in self.by_serial:
                kin = self.by_serial[child.serial]
                kin.row.show(child, kin.pid)

    def pid_of(self, serial: int) -> int:
        """Return the pid of a child; 0 if it has been reaped."""
        return self.by_serial[serial].pid if serial in self.by_serial else 0

    def figures(self) -> Mapping[int, tuple[int, int]]:
        """Return the pid of each child, and how many requests it has had, by serial."""
        return {serial: (kin.pid, kin.row.figures[1]) for serial, kin in self.by_serial.items()}

    def tell(self, serial: int, word: str, text: str = "") -> bool:
        """Send a message to one child. It is lost if the child has ended. Returns whether it is on its way."""
        return serial in self.by_serial and self.by_serial[serial].wire.send(word, text)

    def dismiss_desk(self) -> None:
        """Let the desk end, and have none until another one is forked."""
        self.tell(self.desk, RETIRE)
        self.desk = 0

    def signal(self, serial: int, number: int) -> None:
        """Send a signal to one child, if it has not been reaped. SIGKILL to one that its mold does not fork ends both."""
        pid = self.pid_of(serial)
        if pid:
            os.kill(pid, number)
        elif number == signal.SIGKILL:
            self.molds.kill_for(serial)

    def reap(self) -> Iterator[tuple[Kin, int]]:
        """
        Yield each child that has ended, with its exit code, and forget it. One that its mold could not fork counts too.

        As PID 1, or if orphans are given to this process, wait for strangers too.
        """
        by_pid = {kin.pid: kin for kin in self.by_serial.values() if kin.pid}
        anybody = os.getpid() == 1 or self.molds.adopts
        for pid, code in ended([-1] if anybody else by_pid):
            if pid in by_pid:
                yield by_pid[pid], code
                self._forget(by_pid[pid])
            else:
                self.molds.strangers.append(pid)
        for serial, why in self.molds.take_failed():
            kin = self.by_serial.get(serial)
            if kin is not None and not kin.pid:
                kin.failure = why
                yield kin, 1
                self._forget(kin)

    def _forget(self, kin: Kin) -> None:
        self.by_serial.pop(kin.serial, None)
        kin.close()
        kin.row.clear()
        self.relay.close(kin.serial)
        if kin.serial == self.desk:
            self.desk = 0
