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


@dataclass(frozen=True)
class Offer:
    """``listeners``: by the place in the settings that they belong to."""

    settings: Settings
    listeners: Mapping[Endpoint, Sequence[Listener]]

    @property
    def policy(self) -> ProcessPolicy:
        """Return the numbers for the plans."""
        return replace(self.settings.processes, shutdown=self.settings.timeouts.shutdown)

    @property
    def sockets(self) -> tuple[Listener, ...]:
        """All listeners, in the order of the settings."""
        return tuple(listener for each in self.listeners.values() for listener in each)

    def for_worker(self) -> tuple[Listener, ...]:
        """The same listeners as a worker has them: they belong to others too, and so does the file of a unix socket."""
        return tuple(replace(listener, inherited=True, file=None) for listener in self.sockets)

    def close_all_but(self, other: Offer | None) -> None:
        """Close the sockets that another offer does not have. ``other``: None to close all."""
        kept = [] if other is None else [id(listener) for listener in other.sockets]
        for listener in self.sockets:
            if id(listener) not in kept:
                listener.close()


def offer(
    settings: Settings, before: Offer | None, passed: Mapping[Endpoint, Sequence[Listener]] | None = None
) -> Offer:
    """
    Open what the settings ask for and is not open yet.

    ``before``: what the workers have until now. ``passed``: sockets of systemd. Raises: StartError: a socket cannot be
    opened; none stays open that was not open before.
    """
    there: dict[Endpoint, Sequence[Listener]] = {**(passed or {}), **(before.listeners if before else {})}
    opened: dict[Endpoint, Sequence[Listener]] = {}
    try:
        for endpoint, bound in zip(settings.listen, without_overlap(settings.listen), strict=True):
            if endpoint in there or not endpoint.systemd:
                opened[endpoint] = there.get(endpoint) or open_listeners(bound, settings.listen_backlog)
    except BaseException:
        Offer(settings, {place: each for place, each in opened.items() if place not in there}).close_all_but(None)
        raise
    return Offer(settings, opened)


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
