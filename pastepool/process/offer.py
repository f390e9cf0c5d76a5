"""
What a generation of workers is given: the settings of one reading of the file, and the sockets that they listen on.

The parent opens the sockets, and the workers inherit them. A reload keeps those whose place is still in ``listen``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pastepool.core.policy import ProcessPolicy
from pastepool.runtime.sockets.listener import Listener, open_listeners, without_overlap
from pastepool.settings.endpoint import Endpoint
from pastepool.settings.values import Settings

_ADMIN_BACKLOG = 16
"""The kernel's backlog of the admin listener."""

Places = Mapping[Endpoint, Sequence[Listener]]


@dataclass(frozen=True)
class Offer:
    """``listeners``, ``admin``: by the place in ``listen`` and ``admin_listen`` that they belong to."""

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
        kept = [] if other is None else [id(listener) for listener in (*other.sockets, *other.admin_sockets)]
        for listener in (*self.sockets, *self.admin_sockets):
            if id(listener) not in kept:
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
    there: Places = {**(passed or {}), **(before.listeners if before else {})}
    opened = _opened(settings.listen, settings.listen_backlog, there)
    try:
        admin = _opened(settings.admin.listen, _ADMIN_BACKLOG, before.admin if before else {})
    except BaseException:
        Offer(settings, opened, {}).close_all_but(before)
        raise
    return Offer(settings, opened, admin)


def _opened(endpoints: Sequence[Endpoint], backlog: int, there: Places) -> Places:
    """Open each place that is not ``there``. Raises: StartError: one cannot be opened; no other stays open for it."""
    opened: dict[Endpoint, Sequence[Listener]] = {}
    try:
        for endpoint, bound in zip(endpoints, without_overlap(endpoints), strict=True):
            if endpoint in there or not endpoint.systemd:
                opened[endpoint] = there.get(endpoint) or open_listeners(bound, backlog)
    except BaseException:
        for listener in (listener for place, each in opened.items() if place not in there for listener in each):
            listener.close()
        raise
    return opened


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

    def adopt(self) -> None:
        """The candidate is ready: what was tried serves from now on. Close the sockets that it does not have."""
        if self.tried is not None:
            before, self.given, self.tried = self.given, self.tried, None
            before.close_all_but(self.given)

    def drop(self) -> bool:
        """Close what was only opened for a candidate. Returns whether there was one."""
        dropped, self.tried = self.tried, None
        if dropped is not None:
            dropped.close_all_but(self.given)
        return dropped is not None
