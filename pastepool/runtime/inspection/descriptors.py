"""
Say in words what a file descriptor of this process leads to: a socket's other end, a file, a pipe.

This module knows socket addresses as Linux keeps them in memory and as Linux prints them in /proc/net. It only asks
about a descriptor of the application: it never reads from it, duplicates it, closes it, or wraps it in a socket object
(that may change its blocking mode). Where there is no /proc, the functions return less and raise nothing.

Runs on: any thread.
"""

from __future__ import annotations

import ctypes
import functools
import socket
import struct
import sys
from collections.abc import Callable, Iterable

from pastepool.core.addresses import client_address
from pastepool.core.wording import host_and_port
from pastepool.runtime.inspection.procfs import descriptor_link

SOCKET = "socket:["
"""A link in /proc/self/fd begins with this text for a socket. The inode number and a closing bracket follow."""

_ADDRESS_SIZE = 128
_NET_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_NET_ROWS = 100_000
"""
The most rows that are read of the kernel's table of connections. On a busy proxy the table is long, and the supervisor
must not wait for all of it.
"""

_LISTENING = "0A"


def describe(descriptor: int, link: str = "") -> str:
    """
    Say what a descriptor leads to, in a few words for a person.

    Args:
        link: the result of ``descriptor_link`` for this descriptor, if the caller has it already.

    Returns:
        an address (``10.0.0.5:5432``, ``[::1]:6379``, the path of a unix socket), a path, "a pipe" or "a socket". An
        empty text when the descriptor is not open.
    """
    link = link or descriptor_link(descriptor)
    if link.startswith(SOCKET):
        return peer_of(descriptor, link) or "a socket"
    if link.startswith("pipe:["):
        return "a pipe"
    return link.removeprefix("anon_inode:")


def peer_of(descriptor: int, link: str) -> str:
    """
    Return the address at the other end of a socket.

    This function first calls ``getpeername`` of the C library with the number of the descriptor: measured at 2 us. The
    kernel takes 3 to 9 ms to print its table of connections. But only the table has the address of a socket that is
    still connecting, so it is read second.

    Returns:
        an empty text when the other end has no address.
    """
    return _peer_by_call(descriptor) or _peer_by_table(link.removeprefix(SOCKET).rstrip("]"))


def _peer_by_call(descriptor: int) -> str:
    getpeername = _getpeername()
    if getpeername is None:
        return ""
    address = ctypes.create_string_buffer(_ADDRESS_SIZE)
    size = ctypes.c_uint(_ADDRESS_SIZE)
    if getpeername(descriptor, address, ctypes.byref(size)) != 0:
        return ""
    return address_in_words(address.raw[: size.value])


def address_in_words(address: bytes) -> str:
    """
    Turn a socket address in the memory layout of the C library into the text a person would write.

    Returns:
        an empty text for an address without a name (a socket pair) and for an address family this module does not know.

    Source: ip(7), ipv6(7), unix(7).
    """
    if len(address) < 2:
        return ""
    (family,) = struct.unpack_from("=H", address)
    write = _WRITERS.get(family)
    return write(address) if write else ""


def _inet(address: bytes) -> str:
    return _internet(socket.inet_ntop(socket.AF_INET, address[4:8]), int.from_bytes(address[2:4], "big"))


def _inet6(address: bytes) -> str:
    return _internet(socket.inet_ntop(socket.AF_INET6, address[8:24]), int.from_bytes(address[2:4], "big"))


def _unix(address: bytes) -> str:
    path = address[2:]
    if path.startswith(b"\0"):
        return "@" + path[1:].decode(errors="replace") if path.strip(b"\0") else ""
    return path.rstrip(b"\0").decode(errors="replace")


_WRITERS: dict[int, Callable[[bytes], str]] = {int(socket.AF_INET): _inet, int(socket.AF_INET6): _inet6}
if hasattr(socket, "AF_UNIX"):
    _WRITERS[int(socket.AF_UNIX)] = _unix


def _internet(host: str, port: int) -> str:
    """Write an address; an IPv4 address inside an IPv6 one is shown as itself."""
    return host_and_port(client_address(host), port)


def _peer_by_table(inode: str) -> str:
    for path in _NET_TABLES:
        try:
            with open(path, encoding="ascii") as rows:
                found = peer_in_table(rows, inode)
        except OSError:
            continue
        if found:
            return found
    return ""


def peer_in_table(rows: Iterable[str], inode: str) -> str:
    """
    Find a socket in the kernel's table of TCP connections, by its inode number.

    Returns:
        the address of the other end. A listening socket has no other end: its own address is returned. An empty text
        when the table does not have the socket.

    Source: proc(5), ``/proc/net/tcp``: columns 1 to 3 are local address, remote address and state, 9 the inode.
    """
    for _, row in zip(range(_NET_ROWS), rows, strict=False):
        columns = row.split()
        if len(columns) > 9 and columns[9] == inode:
            return _internet(*table_address(columns[1] if columns[3] == _LISTENING else columns[2]))
    return ""


def table_address(text: str) -> tuple[str, int]:
    """
    Read an address of the kernel's table: ``0100007F:1538`` is ``("127.0.0.1", 5432)``.

    Source: proc(5). The host is 32-bit words in the byte order of the machine; the port is a plain number.
    """
    host, _, port = text.partition(":")
    words = [int(host[start : start + 8], 16) for start in range(0, len(host), 8)]
    packed = b"".join(struct.pack("=I", word) for word in words)
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
    return socket.inet_ntop(family, packed), int(port, 16)


@functools.cache
def _getpeername() -> Callable[..., int] | None:
    """
    Look up ``getpeername`` in the C library.

    Returns: None where the C library does not have it, and on systems other than Linux, whose addresses have another
    layout.
    """
    if sys.platform != "linux":
        return None
    try:
        found = ctypes.CDLL(None, use_errno=True).getpeername
    except (OSError, AttributeError):
        return None
    found.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    found.restype = ctypes.c_int
    return found
