"""
What the parent keeps, and what becomes of it with each signal, command and message, and with each child that ends.

It changes the fleet and does nothing that takes time. ``parent`` waits, and does what is planned.
"""

from __future__ import annotations

import signal
from collections.abc import Callable

from pastepool.core.generations.child import ChildPhase
from pastepool.core.generations.fleet import Fleet
from pastepool.errors import PastepoolError
from pastepool.process.desk import DeskKeeper
from pastepool.process.hands import luck
from pastepool.process.kin import Kin, Kinship
from pastepool.process.looking import Looking
from pastepool.process.reports import RELOAD, STOP, Reports
from pastepool.process.telling import Teller, announce_changes, announce_processes, name_of
from pastepool.runtime.family.birth import CONDEMNED, FAILED, READY
from pastepool.runtime.family.offer import Offers
from pastepool.runtime.system.parent_signals import STOPS, ParentSignals
from pastepool.settings.values import Settings
from pastepool.types import Seconds


class Household:
    """
    The one place where signals, messages and ends of children become events of the fleet.

    ``fleet``: the facts. ``status``: the exit status of the parent. ``read_again``: reads the settings again, for a reload.
    Runs on: the only thread of the parent.
    """

    def __init__(
        self,
        offers: Offers,
        kinship: Kinship,
        signals: ParentSignals,
        tell: Teller,
        looking: Looking,
        reports: Reports,
        desk: DeskKeeper,
        read_again: Callable[[], Settings],
        now: Callable[[], Seconds],
    ) -> None:
        self.fleet = Fleet()
        self.status = 0
        self._offers = offers
        self._kinship = kinship
        self._signals = signals
        self._tell = tell
        self._looking = looking
        self._reports = reports
        self._desk = desk
        self._read_again = read_again
        self._now = now

    def heed(self, number: int) -> None:
        """Do what a signal asks for."""
        if number in STOPS or (number == signal.SIGHUP and self._signals.lost_terminal()):
            insists = self._signals.insists(number) and self.fleet.stopping
            self.status = 128 + number if insists else self.status
            self._stop(signal.Signals(number).name, insists)
        elif number == signal.SIGHUP:
            self._reload()
        elif number != signal.SIGCHLD:
            for child in self.fleet.children:
                if child.phase is not ChildPhase.BOOTING:  # it would end one that does not handle it yet
                    self._kinship.signal(child.serial, number)
            self._kinship.signal(self._kinship.desk, number)

    def obey(self, word: str) -> None:
        """Do what a command asks for."""
        if word == RELOAD:
            self._reload()
        elif word == STOP:
            self._stop("pastepool stop")

    def _stop(self, who: str, at_once: bool = False) -> None:
        if not self.fleet.stopping:
            self._tell.info(f"{who}: the workers finish their requests and end")
        self.fleet = self.fleet.stopped(self._now(), at_once)
        self._kinship.board.note_stop()

    def _reload(self) -> None:
        """Read the settings again and try a candidate with them. If they cannot be used, nothing is changed."""
        if self.fleet.stopping:
            return
        self._offers.drop()
        self.fleet = self.fleet.reload(self._now())
        self._reports.begin_reload()
        try:
            self._offers.try_with(self._read_again())
            self._tell.info(f"reload: generation {self.fleet.asked} is tried with one worker")
        except PastepoolError as error:
            self.fleet = self.fleet.refused()
            self._reports.failure = str(error)
            self._tell.error(f"reload refused, nothing is changed: {error}")

    def listen(self, kin: Kin) -> None:
        """Take what a worker has said. Its end is noticed by SIGCHLD."""
        for word, text in kin.messages():
            if word == READY:
                self._note_ready(kin)
            elif word == FAILED:
                kin.failure = text
            elif word == CONDEMNED and kin.serial == self._kinship.desk:
                if not self.fleet.stopping:
                    self._desk.replace()
            elif word == CONDEMNED:
                self.fleet = self.fleet.condemned(kin.serial, text)

    def _note_ready(self, kin: Kin) -> None:
        before, self.fleet = self.fleet, self.fleet.became_ready(kin.serial, self._now())
        child = self.fleet.find(kin.serial)
        if child is None or child.phase is not ChildPhase.READY:
            return
        if self.fleet.goal != before.goal:
            given = self._offers.given
            for sentence in self._offers.adopt():
                self._tell.error(sentence)
            announce_changes(self._tell, given, self._offers.given)
            self._desk.replace()
        if not before.loaded:
            announce_processes(self._tell, self._offers.given)
        self._tell.info(f"{name_of(child, kin.pid)} serves")

    def bury(self) -> None:
        """Take note of the workers that have ended."""
        for kin, status in self._kinship.reap():
            self.listen(kin)
            self._looking.forget(kin.serial)
            child = self.fleet.find(kin.serial)
            if kin.serial == self._kinship.desk:
                self._desk.ended(kin, status, self._now())
            elif child is not None:
                self._reports.failure = self._reports.burial.tell(child, kin, status) or self._reports.failure
                self.fleet = self.fleet.ended(kin.serial, self._now(), luck())
        self._reports.burial.sample(self._now())

    def note_failure(self) -> None:
        """Tell that the candidate of a reload has failed, once."""
        if self.fleet.failed == self.fleet.asked and self._offers.drop():
            text = f"generation {self.fleet.asked} does not load, and nothing is changed"
            self._reports.failure = self._reports.failure or text
            self._tell.error(f"reload failed: {text}")
