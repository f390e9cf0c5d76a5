"""
Which sockets are ready: epoll where there is one, ``selectors`` elsewhere, in one shape.

Nothing is opened before ``start``, so that a fork before it shares nothing (contract F2).
"""

from __future__ import annotations

import select
import selectors
from typing import Protocol

READ = 1
WRITE = 4
HANGUP = 8 | 16 | 0x2000
"""
Error, hang-up and half-close as epoll numbers them (EPOLLERR, EPOLLHUP, EPOLLRDHUP); Linux fixes these in its ABI.
"""

HANGUP_ONCE = 0x2000 | (1 << 30)
"""Tell of a half-close once and then nothing more (EPOLLRDHUP, EPOLLONESHOT)."""


class Readiness(Protocol):
    """The few operations the poller needs; ``poll`` answers (fd, mask) pairs with the masks above."""

    def register(self, fd: int, mask: int) -> None: ...
    def modify(self, fd: int, mask: int) -> None: ...
    def unregister(self, fd: int) -> None: ...
    def poll(self, timeout: float, maxevents: int) -> list[tuple[int, int]]: ...
    def close(self) -> None: ...


class SelectorReadiness:
    """
    The same over ``selectors``, for systems without epoll. A client's half-close shows only when its turn to be read
    comes.
    """

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def register(self, fd: int, mask: int) -> None:
        if mask & (READ | WRITE):
            self._selector.register(fd, _to_selectors(mask))

    def modify(self, fd: int, mask: int) -> None:
        self.unregister(fd)
        self.register(fd, mask)

    def unregister(self, fd: int) -> None:
        try:
            self._selector.unregister(fd)
        except KeyError:
            pass

    def poll(self, timeout: float, maxevents: int) -> list[tuple[int, int]]:
        ready = self._selector.select(None if timeout < 0 else timeout)
        return [(key.fd, _from_selectors(events)) for key, events in ready[:maxevents]]

    def close(self) -> None:
        self._selector.close()


def _to_selectors(mask: int) -> int:
    return (selectors.EVENT_READ if mask & READ else 0) | (selectors.EVENT_WRITE if mask & WRITE else 0)


def _from_selectors(events: int) -> int:
    return (READ if events & selectors.EVENT_READ else 0) | (WRITE if events & selectors.EVENT_WRITE else 0)


def open_readiness() -> Readiness:
    """Open the best this system has; close-on-exec."""
    if hasattr(select, "epoll"):
        return select.epoll()
    return SelectorReadiness()
