"""
The parent: forks workers, waits in one ``poll``, and does what ``core.generations`` plans.

It never loads the application, reads HTTP, starts a thread or waits for anything else. So nothing that hangs can stop it
from replacing what hangs.
"""

from __future__ import annotations

import math
import os
import random
import select
import signal
from collections.abc import Callable
from dataclasses import replace

from pastepool.core.generations.fleet import ChildPhase, Fleet
from pastepool.core.generations.planning import (
    EXIT,
    RETRY,
    EndParent,
    ForkChild,
    KillChild,
    ParentAction,
    RetireChild,
    plan,
)
from pastepool.core.policy import ProcessPolicy
from pastepool.errors import PastepoolError
from pastepool.process.kin import Kin, Kinship
from pastepool.process.offer import Offer, Offers
from pastepool.process.parent_signals import STOPS, ParentSignals
from pastepool.process.seat import CONDEMNED, FAILED, READY, RETIRE, Seat
from pastepool.process.telling import Teller, announce_processes, name_of, tell_end
from pastepool.settings.values import Settings
from pastepool.types import Clock, Seconds

_LONGEST_POLL: Seconds = 3600.0


class Parent:
    """
    Large because it is the one place where signals, messages and ends of workers become events of the fleet.

    ``given``: what the workers are given. ``read_again``: reads the settings anew, for a reload. ``status``: the exit
    status, when ``run`` has returned in the parent.
    """

    def __init__(self, given: Offer, read_again: Callable[[], Settings], clock: Clock) -> None:
        self.status = 0
        self._offers = Offers(given)
        self._fleet = Fleet()
        self._read_again = read_again
        self._now = clock.now
        self._signals = ParentSignals()
        self._kinship = Kinship(self._signals)
        self._tell = Teller()
        self._on_failed_start = EXIT if all(map(os.isatty, (0, 1, 2))) else RETRY
        self._serials = 0
        self._look_at: Seconds = math.inf
        self._ended = False
        self._held_back = False

    def run(self) -> Seat | None:
        """
        Keep the workers as they should be, until the end is asked for and all have ended.

        Returns: in a worker, which has just been forked, its seat; in the parent None, at the end.
        """
        self._signals.install()
        while True:
            seat = self._look()
            if seat is not None:
                return seat
            if self._ended:
                break
            self._wait()
        self._signals.restore()
        self._offers.drop()
        self._offers.given.close_all_but(None)
        return None

    # ------------------------------------------------------------------------------------------------------ what to do

    def _look(self) -> Seat | None:
        """Plan and apply until there is nothing to do. Returns: in a child the seat."""
        while not self._ended:
            planned = plan(self._fleet, self._now(), self._policy())
            if planned.held_back and not self._held_back:
                self._tell.error("workers are forked too often; from now on one a second at most")
            self._held_back = planned.held_back
            self._look_at = planned.look_again_at
            for action in planned.actions:
                seat = self._apply(action)
                if seat is not None:
                    return seat
            if not planned.actions:
                break
        return None

    def _policy(self) -> ProcessPolicy:
        policy = self._offers.given.policy
        return policy if policy.start_failure else replace(policy, start_failure=self._on_failed_start)

    def _apply(self, action: ParentAction) -> Seat | None:
        now = self._now()
        if isinstance(action, ForkChild):
            return self._fork(action.slot)
        if isinstance(action, RetireChild):
            self._kinship.tell(action.serial, RETIRE, str(action.patience))
            self._fleet = self._fleet.retired(action.serial, action.why, now)
        elif isinstance(action, KillChild):
            self._kill(action)
        elif isinstance(action, EndParent):
            self.status = self.status or action.status
            self._ended = True
        return None

    def _fork(self, slot: int) -> Seat | None:
        """Fork a worker for a slot. Returns: in the child the seat."""
        self._serials += 1
        serial, fleet = self._serials, self._fleet
        self._fleet = fleet.forked(serial, slot, self._now())
        seat = Seat(slot, fleet.asked, self._offers.newest(fleet.reloading))
        try:
            if self._kinship.fork(serial, seat):
                return seat
        except OSError as error:
            self._tell.error(f"a worker cannot be forked: {error.strerror}")
            self._forget(serial)
        return None

    def _kill(self, action: KillChild) -> None:
        child = self._fleet.find(action.serial)
        if child is not None:
            name = name_of(child, self._kinship.by_serial[child.serial].pid)
            tell = self._tell.info if child.why else self._tell.error
            tell(f"{name} is killed: {action.why}")
        self._kinship.signal(action.serial, signal.SIGKILL)
        self._fleet = self._fleet.killed(action.serial, action.why, self._now(), _luck(), action.failed)
        self._note_failure()

    # --------------------------------------------------------------------------------------------------- what happens

    def _wait(self) -> None:
        """Wait for a signal, a message, a client that waits for the first worker, or the next look."""
        poll = select.poll()
        poll.register(self._signals.fileno(), select.POLLIN)
        by_descriptor = {kin.wire.fileno(): kin for kin in self._kinship.by_serial.values() if not kin.silent}
        waiting = self._offers.given.sockets if self._is_idle() else ()
        for descriptor in (*by_descriptor, *(listener.fileno() for listener in waiting)):
            poll.register(descriptor, select.POLLIN)
        patience = min(max(0.0, self._look_at - self._now()), _LONGEST_POLL)
        ready = {descriptor for descriptor, _ in poll.poll(math.ceil(patience * 1000))}
        for descriptor, kin in by_descriptor.items():
            if descriptor in ready:
                self._listen(kin)
        if any(listener.fileno() in ready for listener in waiting):
            self._fleet = self._fleet.hurried(self._now())
        for number in self._signals.received():
            self._heed(number)
        self._bury()

    def _is_idle(self) -> bool:
        """Say whether nothing serves and the next attempt to load waits, which a client can fetch forward."""
        fleet = self._fleet
        failed = fleet.misses.count > 0 and fleet.hurried_at <= fleet.misses.at
        return failed and not fleet.stopping and not any(child.phase is ChildPhase.READY for child in fleet.children)

    def _heed(self, number: int) -> None:
        """Do what a signal asks for."""
        if number in STOPS or (number == signal.SIGHUP and self._signals.lost_terminal()):
            insists = self._signals.insists(number) and self._fleet.stopping
            if insists:
                self.status = 128 + number
            elif not self._fleet.stopping:
                self._tell.info(f"{signal.Signals(number).name}: the workers finish their requests and end")
            self._fleet = self._fleet.stopped(self._now(), at_once=insists)
        elif number == signal.SIGHUP:
            self._reload()
        elif number != signal.SIGCHLD:
            for child in self._fleet.children:
                if child.phase is not ChildPhase.BOOTING:  # it would end one that does not handle it yet
                    self._kinship.signal(child.serial, number)

    def _reload(self) -> None:
        """Read the settings again and try a candidate with them. If they cannot be used, nothing is changed."""
        if self._fleet.stopping:
            return
        self._offers.drop()
        self._fleet = self._fleet.reload()
        try:
            self._offers.try_with(self._read_again())
            self._tell.info(f"reload: generation {self._fleet.asked} is tried with one worker")
        except PastepoolError as error:
            self._fleet = self._fleet.refused()
            self._tell.error(f"reload refused, nothing is changed: {error}")

    def _listen(self, kin: Kin) -> None:
        """Take what a worker has said. Its end is noticed by SIGCHLD."""
        for word, text in kin.messages():
            if word == READY:
                self._note_ready(kin)
            elif word == FAILED:
                kin.failure = text
            elif word == CONDEMNED:
                self._fleet = self._fleet.condemned(kin.serial, text)

    def _note_ready(self, kin: Kin) -> None:
        before, self._fleet = self._fleet, self._fleet.became_ready(kin.serial, self._now())
        child = self._fleet.find(kin.serial)
        if child is None or child.phase is not ChildPhase.READY:
            return
        if self._fleet.goal != before.goal:
            self._offers.adopt()
        if not before.loaded:
            for note in self._offers.given.settings.notes:
                self._tell.error(note)
            announce_processes(self._offers.given.settings, self._offers.given.sockets)
        self._tell.info(f"{name_of(child, kin.pid)} serves")

    def _bury(self) -> None:
        """Take note of the workers that have ended."""
        for kin, status in self._kinship.reap():
            self._listen(kin)
            child = self._fleet.find(kin.serial)
            if child is not None:
                tell_end(self._tell, child, kin, status)
            self._forget(kin.serial)

    def _forget(self, serial: int) -> None:
        self._fleet = self._fleet.ended(serial, self._now(), _luck())
        self._note_failure()

    def _note_failure(self) -> None:
        """Tell that the candidate of a reload has failed, once."""
        if self._fleet.failed == self._fleet.asked and self._offers.drop():
            self._tell.error(f"reload failed: generation {self._fleet.asked} does not load, and nothing is changed")


def _luck() -> float:
    return random.uniform(-1.0, 1.0)
