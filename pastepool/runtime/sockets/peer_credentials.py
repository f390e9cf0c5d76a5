"""Ask the kernel which process is at the other end of a unix socket."""

from __future__ import annotations

import socket
import struct

_CREDENTIALS = struct.Struct("3i")


def credentials_of(sock: socket.socket) -> tuple[int, int, int] | None:
    """
    Return the process, the user and the group that opened the other end (SO_PEERCRED of unix(7)).

    None if the kernel does not tell: the socket is closed, or the system is not Linux.
    """
    try:
        data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except (AttributeError, OSError):
        return None
    pid, uid, gid = _CREDENTIALS.unpack(data)
    return pid, uid, gid
