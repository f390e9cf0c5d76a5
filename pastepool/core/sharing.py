"""
Decide which of several processes takes a new client.

They wait on the same listening sockets, and the kernel tells all of them of each client. Without a rule chance decides:
one process takes three clients and can serve two at once, and the third waits although another process has free workers.
"""

from __future__ import annotations

from pastepool.types import Seconds

AT_ONCE = 64
"""The most clients accepted per event. Without a limit, a flood of new clients would delay those already connected."""

LONGEST_WAIT: Seconds = 0.02
"""How long new clients wait for a process with room, if none has any. A worker is free long before that."""


def room_for_clients(free: int, awaited: int) -> int:
    """
    Say for how many more clients a process has free workers; 0 or less for none.

    Args:
        free: how many workers could begin a request now, less the requests that wait for one.
        awaited: of how many clients the first request has not come yet. Each of them will need a worker.
    """
    return free - awaited


def clients_to_take(room: int, room_elsewhere: bool, waited: bool) -> int:
    """
    Say how many new clients a process takes at one look.

    With room it takes one, and looks at its room again before the next. Without room it leaves them to the others. If
    nobody has room for ``LONGEST_WAIT``, each takes all: so they are answered 503 in time, as with one process. Not
    earlier: a client that has just got its response may come again before the worker that sent it is free.

    Args:
        room: of this process, see ``room_for_clients``.
        room_elsewhere: whether another process has room, and has lately shown that it is not stuck.
        waited: whether the clients have been left to the others for ``LONGEST_WAIT``.
    """
    if room > 0:
        return 1
    return AT_ONCE if waited and not room_elsewhere else 0
