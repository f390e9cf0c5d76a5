"""
What a generation of workers is given: the settings of one reading of the file, and the sockets that they listen on.

The parent opens the sockets, and the workers inherit them. A reload keeps those whose place is still in ``listen``,
whatever words stand after it: so their queues are kept too, and no client in one of them is lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pastepool.core.policy import ProcessPolicy
from pastepool.errors import StartError
from pastepool.runtime.sockets.listener import Listener, open_listeners, without_overlap
from pastepool.settings.endpoint import Endpoint, overlap
from pastepool.settings.values import Settings

_ADMIN_BACKLOG = 16
"""The kernel's backlog of the admin listener."""

Places = Mapping[Endpoint, Sequence[Listener]]


@dataclass(frozen=True)
class Offer:
    """``listeners``, ``admin``: by what of ``listen`` and ``admin_listen`` they belong to."""

    settings: Settings
    listeners: Places
    admin: Places

    @property
    def policy(self) -> ProcessPolicy:
        """Return the numbers for the plans."""
        return replace(self.settings.processes, shutdown=self.settings.timeouts.shutdown)

    @property
    def sockets(self) -> tuple[Listener, ...]:
        """The listeners for clients, in the order of the settings."""
        return tuple(listener for each in self.listeners.values() for listener in each)

    @property
    def admin_sockets(self) -> tuple[Listener, ...]:
        """The listeners for the operator."""
        return tuple(listener for each in self.admin.values() for listener in each)

    def close_all_but(self, other: Offer | None) -> None:
        """Close the sockets that another offer does not have. ``other``: None to close all."""
        kept = [] if other is None else [listener.fileno() for listener in (*other.sockets, *other.admin_sockets)]
        for listener in (*self.sockets, *self.admin_sockets):
            if listener.fileno() not in kept:
                listener.close()


def shared(listeners: Sequence[Listener]) -> tuple[Listener, ...]:
    """Return listeners as a worker has them: they belong to others too, and so does the file of a unix socket."""
    return tuple(replace(listener, inherited=True, file=None) for listener in listeners)


def offer(settings: Settings, before: Offer | None, passed: Places | None = None) -> Offer:
    """
    Open what the settings ask for and is not open yet.

    ``before``: what the workers have until now. ``passed``: sockets of systemd. Raises: StartError: a socket cannot be
    opened; none stays open that was not open before.
    """
    there, admin_there = (before.listeners, before.admin) if before else (passed or {}, {})
    held = [listener.endpoint for each in (*there.values(), *admin_there.values()) for listener in each]
    opened = _opened(settings.listen, settings.listen_backlog, there, held)
    try:
        admin = _opened(settings.admin.listen, _ADMIN_BACKLOG, admin_there, held)
    except BaseException:
        Offer(settings, opened, {}).close_all_but(before)
        raise
    return Offer(settings, opened, admin)


def _opened(wanted: Sequence[Endpoint], backlog: int, there: Places, held: Sequence[Endpoint]) -> Places:
    """
    Open each place that is not ``there``.

    ``held``: all addresses on which the server listens. Raises: StartError: one cannot be opened; no other stays open for it.
    """
    endpoints = without_overlap(wanted)
    offered = _kept(endpoints, there)
    opened: list[Listener] = []
    try:
        for endpoint in endpoints:
            if endpoint not in offered:
                _refuse_what_needs_a_restart(endpoint, held)
                offered[endpoint] = open_listeners(endpoint, backlog)
                opened += offered[endpoint]
    except BaseException:
        for listener in opened:
            listener.close()
        raise
    return {endpoint: offered[endpoint] for endpoint in endpoints}


def _kept(endpoints: Sequence[Endpoint], there: Places) -> dict[Endpoint, Sequence[Listener]]:
    """
    Return the listeners that stay, with the words that stand in the settings now.

    The words do not count for what stays. First come those without a change: port 0 may be there twice.
    """
    left = dict(there)
    kept = {endpoint: left.pop(endpoint) for endpoint in endpoints if endpoint in left}
    for endpoint in endpoints:
        before = next((one for one in left if one.place == endpoint.place), None)
        if endpoint not in kept and before is not None:
            kept[endpoint] = [listener.like(endpoint) for listener in left[before]]
            for listener in left.pop(before):
                listener.rehearse(endpoint)
    return kept


def _refuse_what_needs_a_restart(endpoint: Endpoint, held: Sequence[Endpoint]) -> None:
    """Raises: StartError: a place cannot be opened while the server serves."""
    if endpoint.systemd:
        raise StartError(
            f"cannot listen on {endpoint}: systemd passes sockets at the start only, so that needs a restart."
        )
    for before in held:
        if overlap(before, endpoint):
            raise StartError(
                f"cannot listen on {endpoint}: this server listens on {before} until the reload has succeeded, and both"
                " have the same port; set another port, or restart the server."
            )


class Offers:
    """
    What workers are given, and what a reload wants to give them.

    ``given``: serves. ``tried``: the same of a reload whose candidate is not ready yet; None without one.
    """

    def __init__(self, given: Offer) -> None:
        self.given = given
        self.tried: Offer | None = None

    def newest(self, reloading: bool) -> Offer:
        """Return what the next worker is given."""
        return self.tried if reloading and self.tried is not None else self.given

    def try_with(self, settings: Settings) -> None:
        """Open what new settings ask for. Raises: StartError: a socket cannot be opened; nothing is changed."""
        self.drop()
        self.tried = offer(settings, self.given)

    def adopt(self) -> list[str]:
        """
        The candidate is ready: what was tried serves from now on. Close the sockets that it does not have.

        Returns: a sentence for each socket whose rights could not be changed.
        """
        if self.tried is None:
            return []
        before, self.given, self.tried = self.given, self.tried, None
        before.close_all_but(self.given)
        return _retuned(before, self.given)

    def drop(self) -> bool:
        """Close what was only opened for a candidate. Returns whether there was one."""
        dropped, self.tried = self.tried, None
        if dropped is not None:
            dropped.close_all_but(self.given)
        return dropped is not None


def _retuned(before: Offer, given: Offer) -> list[str]:
    """Give the sockets that stay their new queue and rights. Returns a sentence for each that is not changed."""
    now = {listener.fileno(): listener.endpoint for listener in given.sockets}
    failures = []
    for listener in before.sockets:
        if wanted := now.get(listener.fileno()):
            try:
                listener.retune(wanted, given.settings.listen_backlog)
            except OSError as error:
                failures.append(f"the rights of {wanted} cannot be changed ({error.strerror}); that needs a restart")
    return failures
