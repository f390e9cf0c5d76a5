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

from pastepool.core.generations.back_off import waits_for_client
from pastepool.core.generations.fleet import Fleet
from pastepool.process.household import Household
from pastepool.process.kinship import Kinship
from pastepool.process.reports import Reports
from pastepool.runtime.family.birth import Birth
from pastepool.runtime.family.control import Control
from pastepool.runtime.family.offer import Offer, Offers
from pastepool.runtime.family.teller import Teller
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
        self._control = control
        self._reports = Reports(service, control)
        self._kinship = Kinship(self._signals, self._tell, control.close)
        self._home = Household(
            Fleet(on_terminal=all(map(os.isatty, (0, 1, 2)))),
            self._offers,
            self._kinship,
            self._signals,
            self._tell,
            self._reports,
            read_again,
            clock.now,
        )

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
            birth = self._home.look()
            if birth is not None:
                return birth
            if self._home.is_over:
                break
            self._wait()
        self._reports.end()
        self._signals.restore()
        self._offers.drop()
        self._offers.given.close_all_but(None)
        return None

    def _wait(self) -> None:
        """Wait for a signal, a message, a command, a client that waits for the first worker, or the next look."""
        poll = select.poll()
        kinship, waits = self._kinship, waits_for_client(self._home.fleet)
        by_descriptor = {kin.wire.fileno(): kin for kin in kinship.by_serial.values() if not kin.silent}
        clients = [listener.fileno() for listener in self._offers.given.sockets] if waits else []
        others = (*kinship.molds.descriptors(), *self._control.descriptors())
        for descriptor in (self._signals.fileno(), *by_descriptor, *clients, *others):
            poll.register(descriptor, select.POLLIN)
        for descriptor, events in kinship.relay.interests():
            poll.register(descriptor, events)
        patience = min(max(0.0, self._home.look_at - self._now()), _LONGEST_POLL)
        ready = {descriptor for descriptor, _ in poll.poll(math.ceil(self._reports.within(patience) * 1000))}
        kinship.hear_molds()
        for descriptor in ready & by_descriptor.keys():
            self._home.listen(by_descriptor[descriptor])
        kinship.relay.pass_on(ready)
        if ready.intersection(clients):
            self._home.hurry()
        for number in self._signals.received():
            self._home.heed(number)
        for word in self._control.asked(ready):
            self._home.obey(word)
        self._home.bury()
        self._tell.hand_over(lambda word, text: kinship.tell(kinship.desk, word, text))
        self._home.answer_status()
