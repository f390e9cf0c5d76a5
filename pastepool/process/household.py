"""
What the parent knows of its workers, and how it changes: by what is planned, by each signal, command and message, and by
each child that ends.

It does nothing that takes time. ``parent`` waits.
"""

from __future__ import annotations

import signal
from collections.abc import Callable

from pastepool.core.generations.back_off import repeats
from pastepool.core.generations.child import ChildPhase
from pastepool.core.generations.fleet import Fleet
from pastepool.core.generations.forking import oldest_mold
from pastepool.errors import PastepoolError
from pastepool.process.announcing import announce_changes, announce_processes
from pastepool.process.burial import Burial
from pastepool.process.desk import DeskKeeper
from pastepool.process.hands import Hands, luck
from pastepool.process.kinship import Kinship
from pastepool.process.looking import Looking
from pastepool.process.reports import RELOAD, STOP, Reports
from pastepool.runtime.family.birth import CONDEMNED, FAILED, READY, Birth
from pastepool.runtime.family.kin import Kin
from pastepool.runtime.family.offer import Offers
from pastepool.runtime.family.teller import Teller
from pastepool.runtime.inspection.control_group import events_file
from pastepool.runtime.system.parent_signals import STOPS, ParentSignals
from pastepool.settings.values import Settings
from pastepool.types import Seconds


class Household:
    """
    The one place where plans, signals, messages and ends of children change the fleet.

    ``fleet``: the facts. ``read_again``: reads the settings again, for a reload. Runs on: the only thread of the parent.
    """

    def __init__(
        self,
        fleet: Fleet,
        offers: Offers,
        kinship: Kinship,
        signals: ParentSignals,
        tell: Teller,
        reports: Reports,
        read_again: Callable[[], Settings],
        now: Callable[[], Seconds],
    ) -> None:
        self.fleet = fleet
        self._offers = offers
        self._kinship = kinship
        self._signals = signals
        self._tell = tell
        self._reports = reports
        self._read_again = read_again
        self._now = now
        self._burial = Burial(tell, now(), events_file())
        self._desk = DeskKeeper(kinship, tell)
        self._hands = Hands(kinship, offers, tell, now)
        self._looking = Looking(kinship, tell, now())
        self._insisted = 0

    # ------------------------------------------------------------------------------------------------ what is planned

    def look(self) -> Birth | None:
        """Look at all, and do what is to be done now. Returns: in the child of a fork what it is given."""
        policy = self._offers.given.policy
        self.fleet = self._looking.look(self.fleet, self._now(), policy)
        self.fleet, birth = self._hands.do_what_is_planned(self.fleet, policy)
        self._kinship.show(self.fleet)
        if birth is None and self._hands.status is None:
            birth = self._desk.look(self._offers.given, self.fleet.goal, self._now())
        if birth is None:
            self._kinship.molds.end_older(oldest_mold(self.fleet))
            self._reports.tell(self.fleet, policy, self._now() - self._kinship.board.last_beat)
        return birth

    @property
    def look_at(self) -> Seconds:
        """When to look again, if nothing happens before."""
        return min(self._hands.look_at, self._looking.next_at, self._desk.next_at)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do: the end was planned, and the desk has ended too."""
        return self._hands.status is not None and self._desk.has_ended(self._now(), self.fleet.at_once)

    @property
    def status(self) -> int:
        """The exit status of the parent, when all is over."""
        return self._insisted or self._hands.status or 0

    # --------------------------------------------------------------------------------------------------- what happens

    def heed(self, number: int) -> None:
        """Do what a signal asks for."""
        if number in STOPS or (number == signal.SIGHUP and self._signals.lost_terminal()):
            insists = self._signals.insists(number) and self.fleet.stopping
            self._insisted = 128 + number if insists else self._insisted
            self._stop(signal.Signals(number).name, insists)
        elif number == signal.SIGHUP:
            self._reload()
        elif number == signal.SIGUSR2:
            self._tell.info("SIGUSR2 asks for nothing here")
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

    def hurry(self) -> None:
        """Try to load the application as soon as it may be tried: a client waits, and nothing serves."""
        self.fleet = self.fleet.hurried(self._now())

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
            self.fleet = self.fleet.refused(str(error))
            self._tell.error(f"reload refused, nothing is changed: {error}")

    def listen(self, kin: Kin) -> None:
        """Take what a child has said. Its end is noticed by SIGCHLD."""
        for word, text in kin.messages():
            if word == READY:
                self._note_ready(kin)
            elif word == FAILED:
                kin.failure = text
            elif word == CONDEMNED and kin.serial != self._kinship.desk:
                self.fleet = self.fleet.condemned(kin.serial, text)
            elif word == CONDEMNED and not self.fleet.stopping:
                self._desk.replace()

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
        self._tell.info(f"{child.named(kin.pid)} serves")

    def bury(self) -> None:
        """Take note of the children that have ended."""
        for kin, code in self._kinship.reap():
            self.listen(kin)
            child = self.fleet.find(kin.serial)
            if kin.serial == self._kinship.desk:
                self._desk.ended(kin, code, self._now())
            elif child is not None:
                why = self._burial.tell(child, kin, code, repeats(self.fleet, child, self._now()))
                self.fleet = self.fleet.ended(kin.serial, self._now(), luck(), why)
        self._burial.sample(self._now())

    def answer_status(self) -> None:
        """Answer the commands that have asked for the status."""
        self._reports.answer_status(self.fleet, self._kinship, self._now(), self._burial.counts, self._tell.lost)
