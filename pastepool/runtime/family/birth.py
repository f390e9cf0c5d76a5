"""What the parent gives to a process that it forks, as a value. The child makes of it what it is to be."""

from __future__ import annotations

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
MAIL = "mail"
"""What a child is told: to finish its requests within so many seconds, and end; to mail a text of the parent."""


@dataclass(frozen=True)
class Birth:
    """
    One child of the parent, just forked.

    ``serial``: its number; none is used twice. ``slot``, ``generation``: as in ``core.generations``. ``row``: where it
    shows how it is. ``dump``: the descriptor to which SIGUSR2 is to write its stacks, in C. ``lane``: the way of
    what is broadcast.
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
