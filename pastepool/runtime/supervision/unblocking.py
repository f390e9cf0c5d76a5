"""
Wake a thread that is to be killed and is blocked on a connection of its own: a database's, another server's.

Knows which calls wait on one socket and how to shut that socket down. Does not know who deserves it: the kill ladder
asks, and only with ``kill_unblocks_sockets = true``. Linux only; elsewhere no thread is ever found blocked.

What may go wrong, and what is done about it. Between looking and shutting down

1. the application may close the socket, and its number be given to another file: the number is duplicated first, and
   only the duplicate, which is one open file for good, is compared and shut down;
2. the thread may leave the call, and its connection go back to a pool where somebody else takes it: the thread's
   system call is read again last, and must be the same in every word, stack pointer included.

What remains of the second are the microseconds between that reading and the shutdown. The thread is being killed then,
so its connection was about to break within the very call anyway.

Runs on: supervisor.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

from pastepool.runtime.inspection.descriptors import SOCKET
from pastepool.runtime.inspection.procfs import SystemCall, descriptor_link
from pastepool.runtime.inspection.waits import is_still_in, wait_of

_UNBLOCKED_BY_SHUTDOWN = frozenset(
    {"connect", "poll", "ppoll", "pselect6", "read", "readv", "recvfrom", "recvmmsg", "recvmsg", "select", "sendfile"}
    | {"sendmmsg", "sendmsg", "sendto", "write", "writev"}
)
"""Not ``accept``: a listening socket belongs to everybody. Not ``epoll_wait``: an event loop serves more than one."""


@dataclass(frozen=True)
class BlockedSocket:
    """
    The one socket a thread is blocked on.

    ``native_id``: the thread. ``descriptor``: its number for the socket. ``link``: what identifies the socket,
    ``socket:[inode]``. ``call``: what the thread was in.
    """

    native_id: int
    descriptor: int
    link: str
    call: SystemCall


def socket_blocked_on(native_id: int) -> BlockedSocket | None:
    """
    Say which socket a thread is blocked on.

    Returns:
        None unless it is in a call that waits on exactly one descriptor, and that is a socket.
    """
    wait = wait_of(native_id)
    if wait is None or wait.name not in _UNBLOCKED_BY_SHUTDOWN or len(wait.descriptors) != 1:
        return None
    descriptor = wait.descriptors[0]
    link = descriptor_link(descriptor)
    return BlockedSocket(native_id, descriptor, link, wait.call) if link.startswith(SOCKET) else None


def shut_down(blocked: BlockedSocket) -> bool:
    """
    Shut a socket down in both directions, so that the thread blocked on it wakes.

    To the application it looks as if the other side had hung up; it still owns the descriptor and closes it.

    Returns:
        False when it is no longer the same socket or the thread is no longer in the same call: nothing was done.
    """
    try:
        duplicate = os.dup(blocked.descriptor)
    except OSError:
        return False
    if descriptor_link(duplicate) != blocked.link or not is_still_in(blocked.native_id, blocked.call):
        os.close(duplicate)
        return False
    with socket.socket(fileno=duplicate) as connection:
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return False  # disconnected meanwhile: whoever was blocked on it wakes without us
    return True
