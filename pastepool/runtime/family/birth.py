"""What the parent gives to a process that it forks, as a value. The child makes of it what it is to be."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from pastepool.runtime.family.board import BoardRow
from pastepool.runtime.family.lane import Lane
from pastepool.runtime.family.wire import Wire
from pastepool.runtime.sockets.listener import Listener
from pastepool.settings.values import Settings

READY = "ready"
FAILED = "failed"
CONDEMNED = "condemned"
"""What a child says: it serves; it cannot, and why; it is to be replaced, and why."""

RETIRE = "retire"
DESK = "desk"
"""What a child is told: to finish its requests within so many seconds, and end; its end of the link to the desk."""

WORKER = "worker"
MAIL = "mail"
NOTE = "note"
"""
What the desk is told: the end of a worker's link and the file with its stacks, with its serial; an error, which it mails;
what happened otherwise.
"""


TASKS_OF_ONE = 10**9
"""
How many tasks one worker process may number. So a kill that an operator asks for on the page of one process, and that
reaches another one, finds no such task there.
"""


@dataclass(frozen=True)
class Birth:
    """
    One child of the parent, just forked.

    ``serial``: its number; none is used twice. ``slot``, ``generation``: as in ``core.generations``; the desk has the slot
    0. ``row``: where it shows how it is. ``dump``: the descriptor to which SIGUSR2 is to write its stacks, in C. ``lane``:
    the way of what is broadcast. ``mold``: where this child hears which others it is to fork, if it is to load the
    application for them; None if not. ``preloaded``: it was forked from one that has.
    """

    serial: int
    slot: int
    generation: int
    settings: Settings
    listeners: tuple[Listener, ...]
    admin_listeners: tuple[Listener, ...]
    wire: Wire
    row: BoardRow
    dump: int
    lane: Lane
    mold: socket.socket | None = None
    preloaded: bool = False

    @property
    def is_desk(self) -> bool:
        """Whether this child is the desk."""
        return self.slot == 0
