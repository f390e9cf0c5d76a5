"""
The parent: forks workers, waits in one ``poll``, and does what ``core.generations`` plans.

It never loads the application, reads HTTP, starts a thread or waits for anything else. So nothing that hangs can stop it
from replacing what hangs.
"""

from __future__ import annotations

import math
import os
import select
from collections.abc import Callable
from dataclasses import replace

from pastepool.core.generations.actions import EndParent, KillChild
from pastepool.core.generations.child import ChildPhase
from pastepool.core.generations.forking import EXIT, RETRY
from pastepool.core.generations.planning import plan
from pastepool.core.policy import ProcessPolicy
from pastepool.process.burial import Burial
from pastepool.process.desk import DeskKeeper
from pastepool.process.hands import Hands
from pastepool.process.household import Household
from pastepool.process.kin import Kinship
from pastepool.process.looking import Looking
from pastepool.process.reports import Reports
from pastepool.process.telling import Teller
from pastepool.runtime.family.birth import Birth
from pastepool.runtime.family.control import Control
from pastepool.runtime.family.molds import Molds
from pastepool.runtime.family.offer import Offer, Offers
from pastepool.runtime.family.relay import Relay
from pastepool.runtime.inspection.control_group import events_file
from pastepool.runtime.system.parent_signals import ParentSignals
from pastepool.runtime.system.service_manager import ServiceManager
from pastepool.settings.values import Settings
from pastepool.types import Clock, Seconds

_LONGEST_POLL: Seconds = 3600.0


class Parent:
    """
    The loop: look, do what is planned, wait for what happens.

    ``given``: what the workers are given. ``read_again``: reads the settings again, for a reload.
    """

    def __init__(
        self,
        given: Offer,
        read_again: Callable[[], Settings],
        clock: Clock,
        service: ServiceManager,
        control: Control,
    ) -> None:
        self._offers = Offers(given)
        self._now = clock.now
        self._signals = ParentSignals()
        self._tell = Teller()
        self._kinship = Kinship(self._signals, Relay(self._tell.warning), Molds(self._tell.warning))
        self._looking = Looking(self._kinship, self._tell, clock.now())
        self._reports = Reports(service, control, Burial(self._tell, clock.now(), events_file()))
        self._hands = Hands(self._kinship, self._offers, self._tell, control.close)
        self._desk = DeskKeeper(self._kinship, self._tell, control.close)
        self._home = Household(
            self._offers,
            self._kinship,
            self._signals,
            self._tell,
            self._looking,
            self._reports,
            self._desk,
            read_again,
            clock.now,
        )
        self._on_failed_start = EXIT if all(map(os.isatty, (0, 1, 2))) else RETRY
        self._look_at: Seconds = math.inf
        self._ended = False
        self._held_back = False

    @property
    def status(self) -> int:
        """The exit status, when ``run`` has returned in the parent."""
        return self._home.status

    def run(self) -> Birth | None:
        """
        Keep the workers as they should be, until the end is asked for and all have ended.

        Returns: in a worker, which has just been forked, what it is given; in the parent None, at the end.
        """
        self._signals.install()
        while True:
            self._home.fleet = self._looking.look(self._home.fleet, self._now(), self._policy())
            birth = self._look() or self._look_at_desk()
            if birth is not None:
                return birth
            policy = self._policy()
            self._kinship.molds.end_older(math.inf if self._home.fleet.stopping else self._home.fleet.goal)
            silent_for = self._looking.silent_for(self._home.fleet, self._now())
            self._reports.tell(self._home.fleet, policy.processes, policy.shutdown, silent_for)
            if self._ended and self._desk.has_ended(self._now(), self._home.fleet.at_once):
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
            planned = plan(self._home.fleet, self._now(), self._policy())
            if planned.held_back and not self._held_back:
                self._tell.error("workers are forked too often; from now on one a second at most")
            self._held_back = planned.held_back
            self._look_at = min(planned.look_again_at, self._looking.next_at(self._home.fleet))
            for action in planned.actions:
                if isinstance(action, EndParent):
                    self._home.status = self._home.status or action.status
                    self._ended = True
                    continue
                if isinstance(action, KillChild) and action.failed:
                    self._reports.failure = f"a worker was killed: {action.why}"
                    stacks = self._looking.stacks_now(action.serial)
                    self._tell.error(f"the threads of a worker that does not get ready:\n{stacks}")
                self._home.fleet, birth = self._hands.apply(action, self._home.fleet, self._now())
                if birth is not None:
                    return birth
            self._home.note_failure()
            if not planned.actions:
                break
        return None

    def _look_at_desk(self) -> Birth | None:
        """Fork a desk if there is none. Returns: in the child what it is given."""
        self._kinship.show(self._home.fleet)
        if self._ended:
            return None
        given, generation = self._offers.given, self._home.fleet.goal
        return self._desk.look(self._hands.next_serial, given, generation, self._now())

    # --------------------------------------------------------------------------------------------------- what happens

    def _wait(self) -> None:
        """Wait for a signal, a message, a command, a client that waits for the first worker, or the next look."""
        poll = select.poll()
        by_descriptor = {kin.wire.fileno(): kin for kin in self._kinship.by_serial.values() if not kin.silent}
        waiting = [listener.fileno() for listener in self._offers.given.sockets] if self._is_idle() else []
        molds, control = self._kinship.molds.descriptors(), self._reports.control.descriptors()
        for descriptor in (self._signals.fileno(), *by_descriptor, *waiting, *molds, *control):
            poll.register(descriptor, select.POLLIN)
        for descriptor, events in self._kinship.relay.interests():
            poll.register(descriptor, events)
        look_at = min(self._look_at, self._desk.next_at())
        patience = self._reports.within(min(max(0.0, look_at - self._now()), _LONGEST_POLL))
        ready = {descriptor for descriptor, _ in poll.poll(math.ceil(patience * 1000))}
        self._kinship.hear_molds()
        for descriptor in ready & by_descriptor.keys():
            self._home.listen(by_descriptor[descriptor])
        self._kinship.relay.pass_on(ready)
        if ready.intersection(waiting):
            self._home.fleet = self._home.fleet.hurried(self._now())
        for number in self._signals.received():
            self._home.heed(number)
        for word in self._reports.control.asked(ready):
            self._home.obey(word)
        self._home.bury()
        while self._tell.unsent and self._kinship.tell(self._kinship.desk, *self._tell.unsent[0]):
            self._tell.unsent.popleft()
        self._reports.answer_status(self._home.fleet, self._kinship, self._now(), self._looking.total())

    def _is_idle(self) -> bool:
        """Say whether nothing serves and the next attempt to load waits, which a client can fetch forward."""
        fleet = self._home.fleet
        failed = fleet.misses.count > 0 and fleet.hurried_at <= fleet.misses.at
        return failed and not fleet.stopping and not any(child.phase is ChildPhase.READY for child in fleet.children)
