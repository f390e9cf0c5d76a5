"""
Tell which sockets are ready: with epoll where the system has it, with ``selectors`` elsewhere. Both have one shape.

``open_readiness`` opens the descriptor, and the poller calls it in ``start``. So a process that is forked before shares
no descriptor with its parent (contract F2).
"""

from __future__ import annotations

import select
import selectors
from typing import Protocol

READ = 1
WRITE = 4
HANGUP = 8 | 16 | 0x2000
"""
Error, hang-up and half-close, with the numbers of epoll (EPOLLERR, EPOLLHUP, EPOLLRDHUP). They are part of the ABI of
Linux, so they never change.
"""

HANGUP_ONCE = 0x2000 | (1 << 30)
"""Report a half-close once, and after that report nothing (EPOLLRDHUP, EPOLLONESHOT)."""


class Readiness(Protocol):
    """The operations that the poller needs. ``poll`` returns pairs of descriptor and mask, with the masks above."""

    def register(self, fd: int, mask: int) -> None: ...
    def modify(self, fd: int, mask: int) -> None: ...
    def unregister(self, fd: int) -> None: ...
    def poll(self, timeout: float, maxevents: int) -> list[tuple[int, int]]: ...
    def close(self) -> None: ...


class SelectorReadiness:
    """
    ``Readiness`` over ``selectors``, for systems without epoll. It does not report a half-close: the server notices it
    when it next reads from the socket.
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


def forgets_what_is_closed(readiness: Readiness) -> bool:
    """Say whether a file that is closed is not reported any more, if no other process has it: epoll's is."""
    return not isinstance(readiness, SelectorReadiness)


def open_readiness() -> Readiness:
    """Open epoll where the system has it, ``selectors`` elsewhere. A child program does not inherit the descriptor."""
    if hasattr(select, "epoll"):
        return select.epoll()
    return SelectorReadiness()
