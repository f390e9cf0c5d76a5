"""What a server asks of the process that has forked it, if it is one of several that serve on the same sockets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pastepool.runtime.sockets.listener import Listener
from pastepool.runtime.sockets.siblings import Siblings
from pastepool.runtime.watching.server_view import ServerView
from pastepool.types import Seconds


class Membership(Protocol):
    """The place of a server among several. Only the parent decides when such a server ends."""

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Return the sockets, which the parent has opened."""

    @property
    def siblings(self) -> Siblings | None:
        """Return the other processes, as far as this one sees them; None if it sees nothing of them."""

    @property
    def first_task(self) -> int:
        """Return the serial number of its first task. No other process has tasks with the same numbers."""

    @property
    def preloaded(self) -> bool:
        """Return whether the process was forked from one that has claimed the files of the application already."""

    def serving(
        self,
        retire: Callable[[Seconds], None],
        figures: Callable[[], tuple[int, int]],
        view: ServerView,
        hear: Callable[[bytes, int], None],
    ) -> None:
        """
        Say that the server takes requests.

        ``figures``: returns how many requests there were, and how many run. Called every 0.4 s on a thread.
        ``view``: what the page may see of the server. ``hear``: takes a message that one of the processes has broadcast,
        and how many were lost before it.

        ``retire``: begins the end, with the time there is for it. It is called on another thread, when the parent wants
        it or has gone.
        """

    def ending(self, figures: tuple[int, int]) -> None:
        """Say that all requests have ended, and how many there were."""

    def failed(self, text: str) -> None:
        """Say why this process cannot serve."""

    def condemned(self, why: str) -> None:
        """Ask to be replaced by another process, after which the parent retires this one. Safe in a signal handler."""

    def broadcast(self, data: bytes) -> None:
        """Send a message to all processes, this one included. Raises: BroadcastError: that is not possible now."""
