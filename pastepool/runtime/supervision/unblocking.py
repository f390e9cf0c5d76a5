"""
Wake a thread that is being killed and is blocked on a connection of the application, for example to a database.

This module knows which system calls wait on one socket, and how to shut that socket down. It does not decide which
thread to wake: the kill ladder asks it, and only with ``kill_unblocks_sockets = true``. It works on Linux only;
elsewhere it finds no thread blocked.

Two things may go wrong between the look and the shutdown:

1. The application may close the socket, and the kernel may give its number to another file. So the descriptor is
   duplicated first. The duplicate always means the same open file, and only the duplicate is compared and shut down.
2. The thread may leave the call and put its connection back into a pool, where another thread takes it. So the thread's
   system call is read again last. It must be the same in every word, including the stack pointer.

In the second case a gap of microseconds remains between that reading and the shutdown. But the thread is being killed
then, so its connection was about to break within that call anyway.

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
"""
``accept`` is not here, because several threads or processes may share a listening socket. ``epoll_wait`` is not here,
because an event loop serves several connections.
"""


@dataclass(frozen=True)
class BlockedSocket:
    """
    The one socket on which a thread is blocked.

    ``native_id``: the thread. ``descriptor``: the number of the socket. ``link``: identifies the socket:
    ``socket:[inode]``. ``call``: the system call in which the thread was.
    """

    native_id: int
    descriptor: int
    link: str
    call: SystemCall


def socket_blocked_on(native_id: int) -> BlockedSocket | None:
    """
    Find the socket on which a thread is blocked.

    Returns:
        None unless the thread is in a call that waits on exactly one descriptor, and the descriptor is a socket.
    """
    wait = wait_of(native_id)
    if wait is None or wait.name not in _UNBLOCKED_BY_SHUTDOWN or len(wait.descriptors) != 1:
        return None
    descriptor = wait.descriptors[0]
    link = descriptor_link(descriptor)
    return BlockedSocket(native_id, descriptor, link, wait.call) if link.startswith(SOCKET) else None


def shut_down(blocked: BlockedSocket) -> bool:
    """
    Shut a socket down in both directions, so that the thread that is blocked on it wakes.

    The application sees the same as if the other side had hung up. It still owns the descriptor, and must close it.

    Returns:
        False if nothing was done: it is no longer the same socket, the thread is no longer in the same call, or the
        socket is disconnected already.
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
            return False  # it was disconnected meanwhile, so a thread that is blocked on it wakes without us
    return True
