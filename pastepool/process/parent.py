"""
The parent: forks workers, waits in one ``poll``, and does what ``core.generations`` plans.

It never loads the application, reads HTTP, starts a thread or waits for anything else. So nothing that hangs can stop it
from replacing what hangs.
"""

from __future__ import annotations

import math
import os
import select
import signal
from collections.abc import Callable
from dataclasses import replace

from pastepool.core.generations.fleet import ChildPhase, Fleet
from pastepool.core.generations.planning import EXIT, RETRY, EndParent, KillChild, plan
from pastepool.core.policy import ProcessPolicy
from pastepool.errors import PastepoolError
from pastepool.process.burial import Burial, events_file
from pastepool.process.control import Control
from pastepool.process.desk import DeskKeeper
from pastepool.process.hands import Hands, luck
from pastepool.process.kin import Kin, Kinship
from pastepool.process.looking import Looking
from pastepool.process.offer import Offer, Offers
from pastepool.process.parent_signals import STOPS, ParentSignals
from pastepool.process.relay import Relay
from pastepool.process.reports import RELOAD, STOP, Reports
from pastepool.process.telling import Teller, announce_processes, name_of
from pastepool.runtime.family.birth import CONDEMNED, FAILED, READY, Birth
from pastepool.runtime.system.service_manager import ServiceManager
from pastepool.settings.values import Settings
from pastepool.types import Clock, Seconds

_LONGEST_POLL: Seconds = 3600.0


class Parent:
    """
    The one place where signals, messages and ends of workers become events of the fleet.

    Large because one thread looks at all of it.

    ``given``: what the workers are given. ``read_again``: reads the settings again, for a reload. ``status``: the exit
    status, when ``run`` has returned in the parent.
    """

    def __init__(
        self,
        given: Offer,
        read_again: Callable[[], Settings],
        clock: Clock,
        service: ServiceManager,
        control: Control,
    ) -> None:
        self.status = 0
        self._offers = Offers(given)
        self._fleet = Fleet()
        self._read_again = read_again
        self._now = clock.now
        self._signals = ParentSignals()
        self._tell = Teller()
        self._kinship = Kinship(self._signals, Relay(self._tell.warning))
        self._looking = Looking(self._kinship, self._tell, clock.now())
        self._reports = Reports(service, control, Burial(self._tell, clock.now(), events_file()))
        self._hands = Hands(self._kinship, self._offers, self._tell, control.close)
        self._desk = DeskKeeper(self._kinship, self._tell, control.close)
        self._on_failed_start = EXIT if all(map(os.isatty, (0, 1, 2))) else RETRY
        self._look_at: Seconds = math.inf
        self._ended = False
        self._held_back = False

    def run(self) -> Birth | None:
        """
        Keep the workers as they should be, until the end is asked for and all have ended.

        Returns: in a worker, which has just been forked, what it is given; in the parent None, at the end.
        """
        self._signals.install()
        while True:
            self._fleet = self._looking.look(self._fleet, self._now(), self._policy())
            birth = self._look() or self._look_at_desk()
            if birth is not None:
                return birth
            policy = self._policy()
            silent_for = self._looking.silent_for(self._fleet, self._now())
            self._reports.tell(self._fleet, policy.processes, policy.shutdown, silent_for)
            if self._ended and self._desk.has_ended(self._now(), self._fleet.at_once):
                break
            self._wait()
        self._reports.end()
        self._signals.restore()
        self._offers.drop()
        self._offers.given.close_all_but(None)
        return None

    def _policy(self) -> ProcessPolicy:
        policy = self._offers.given.policy
        return policy if policy.start_failure else replace(policy, start_failure=self._on_failed_start)

    def _look(self) -> Birth | None:
        """Plan and apply until there is nothing to do. Returns: in a child what it is given."""
        while not self._ended:
            planned = plan(self._fleet, self._now(), self._policy())
            if planned.held_back and not self._held_back:
                self._tell.error("workers are forked too often; from now on one a second at most")
            self._held_back = planned.held_back
            self._look_at = min(planned.look_again_at, self._looking.next_at(self._fleet))
            for action in planned.actions:
                if isinstance(action, EndParent):
                    self.status = self.status or action.status
                    self._ended = True
                    continue
                if isinstance(action, KillChild) and action.failed:
                    self._reports.failure = f"a worker was killed: {action.why}"
                    stacks = self._looking.stacks_now(action.serial)
                    self._tell.error(f"the threads of a worker that does not get ready:\n{stacks}")
                self._fleet, birth = self._hands.apply(action, self._fleet, self._now())
                if birth is not None:
                    return birth
            self._note_failure()
            if not planned.actions:
                break
        return None

    def _look_at_desk(self) -> Birth | None:
        """Fork a desk if there is none. Returns: in the child what it is given."""
        self._kinship.show(self._fleet)
        if self._ended:
            return None
        given, generation = self._offers.given, self._fleet.goal
        return self._desk.look(self._hands.next_serial, given, generation, self._now())

    # --------------------------------------------------------------------------------------------------- what happens

    def _wait(self) -> None:
        """Wait for a signal, a message, a command, a client that waits for the first worker, or the next look."""
        poll = select.poll()
        by_descriptor = {kin.wire.fileno(): kin for kin in self._kinship.by_serial.values() if not kin.silent}
        waiting = [listener.fileno() for listener in self._offers.given.sockets] if self._is_idle() else []
        for descriptor in (self._signals.fileno(), *by_descriptor, *waiting, *self._reports.control.descriptors()):
            poll.register(descriptor, select.POLLIN)
        for descriptor, events in self._kinship.relay.interests():
            poll.register(descriptor, events)
        look_at = min(self._look_at, self._desk.next_at())
        patience = self._reports.within(min(max(0.0, look_at - self._now()), _LONGEST_POLL))
        ready = {descriptor for descriptor, _ in poll.poll(math.ceil(patience * 1000))}
        for descriptor in ready & by_descriptor.keys():
            self._listen(by_descriptor[descriptor])
        self._kinship.relay.pass_on(ready)
        if ready.intersection(waiting):
            self._fleet = self._fleet.hurried(self._now())
        for number in self._signals.received():
            self._heed(number)
        for word in self._reports.control.asked(ready):
            self._obey(word)
        self._bury()
        while self._tell.unsent and self._kinship.tell(self._kinship.desk, *self._tell.unsent[0]):
            self._tell.unsent.popleft()
        self._reports.answer_status(self._fleet, self._kinship, self._now(), self._looking.total())

    def _is_idle(self) -> bool:
        """Say whether nothing serves and the next attempt to load waits, which a client can fetch forward."""
        fleet = self._fleet
        failed = fleet.misses.count > 0 and fleet.hurried_at <= fleet.misses.at
        return failed and not fleet.stopping and not any(child.phase is ChildPhase.READY for child in fleet.children)

    def _heed(self, number: int) -> None:
        """Do what a signal asks for."""
        if number in STOPS or (number == signal.SIGHUP and self._signals.lost_terminal()):
            insists = self._signals.insists(number) and self._fleet.stopping
            self.status = 128 + number if insists else self.status
            self._stop(signal.Signals(number).name, insists)
        elif number == signal.SIGHUP:
            self._reload()
        elif number != signal.SIGCHLD:
            for child in self._fleet.children:
                if child.phase is not ChildPhase.BOOTING:  # it would end one that does not handle it yet
                    self._kinship.signal(child.serial, number)
            self._kinship.signal(self._kinship.desk, number)

    def _obey(self, word: str) -> None:
        """Do what a command asks for."""
        if word == RELOAD:
            self._reload()
        elif word == STOP:
            self._stop("pastepool stop")

    def _stop(self, who: str, at_once: bool = False) -> None:
        if not self._fleet.stopping:
            self._tell.info(f"{who}: the workers finish their requests and end")
        self._fleet = self._fleet.stopped(self._now(), at_once)
        self._kinship.board.note_stop()

    def _reload(self) -> None:
        """Read the settings again and try a candidate with them. If they cannot be used, nothing is changed."""
        if self._fleet.stopping:
            return
        self._offers.drop()
        self._fleet = self._fleet.reload()
        self._reports.begin_reload()
        try:
            self._offers.try_with(self._read_again())
            self._tell.info(f"reload: generation {self._fleet.asked} is tried with one worker")
        except PastepoolError as error:
            self._fleet = self._fleet.refused()
            self._reports.failure = str(error)
            self._tell.error(f"reload refused, nothing is changed: {error}")

    def _listen(self, kin: Kin) -> None:
        """Take what a worker has said. Its end is noticed by SIGCHLD."""
        for word, text in kin.messages():
            if word == READY:
                self._note_ready(kin)
            elif word == FAILED:
                kin.failure = text
            elif word == CONDEMNED and kin.serial == self._kinship.desk:
                if not self._fleet.stopping:
                    self._desk.replace()
            elif word == CONDEMNED:
                self._fleet = self._fleet.condemned(kin.serial, text)

    def _note_ready(self, kin: Kin) -> None:
        before, self._fleet = self._fleet, self._fleet.became_ready(kin.serial, self._now())
        child = self._fleet.find(kin.serial)
        if child is None or child.phase is not ChildPhase.READY:
            return
        if self._fleet.goal != before.goal:
            for sentence in self._offers.adopt():
                self._tell.error(sentence)
            self._desk.replace()
        if not before.loaded:
            announce_processes(self._tell, self._offers.given)
        self._tell.info(f"{name_of(child, kin.pid)} serves")

    def _bury(self) -> None:
        """Take note of the workers that have ended."""
        for kin, status in self._kinship.reap():
            self._listen(kin)
            self._looking.forget(kin.serial)
            child = self._fleet.find(kin.serial)
            if kin.serial == self._kinship.desk:
                self._desk.ended(kin, status, self._now())
            elif child is not None:
                self._reports.failure = self._reports.burial.tell(child, kin, status) or self._reports.failure
                self._fleet = self._fleet.ended(kin.serial, self._now(), luck())
        self._reports.burial.sample(self._now())

    def _note_failure(self) -> None:
        """Tell that the candidate of a reload has failed, once."""
        if self._fleet.failed == self._fleet.asked and self._offers.drop():
            text = f"generation {self._fleet.asked} does not load, and nothing is changed"
            self._reports.failure = self._reports.failure or text
            self._tell.error(f"reload failed: {text}")
