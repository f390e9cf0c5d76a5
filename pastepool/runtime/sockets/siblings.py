"""What a process asks about the others that serve on the same listening sockets."""

from __future__ import annotations

from typing import Protocol


class Siblings(Protocol):
    """The other processes that serve on the same listening sockets, as one of them sees them."""

    def have_room(self) -> bool:
        """
        Say whether another process has room for a client, and has shown within the last second that it is not stuck.

        Asked before each poll while this process has no room. Must not block. Runs on: baton.
        """

    def note_room(self, room: int) -> None:
        """Let the others see for how many clients this process has room. Called before each poll. Runs on: baton."""

    def go_on(self) -> bool:
        """
        Say whether another process serves on after this one has ended.

        Asked once, when this process begins to drain: it then shows the others that it drains, before it looks at them.
        So in a stop of all processes at least the last one hears that nobody goes on. Runs on: baton.
        """
