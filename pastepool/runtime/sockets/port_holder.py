"""
Find out which process listens on a TCP port, so that the error "address already in use" can name it.

This module knows the Linux files /proc/net/tcp, /proc/net/tcp6 and /proc/PID/fd. On other systems, and where /proc does
not tell (another network namespace, a process of another user), it returns less or nothing. It raises nothing.

Runs on: the thread that opens listeners, once, before it reports the error.
"""

from __future__ import annotations

import ipaddress
import itertools
import os
import pwd
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pastepool.runtime.inspection.descriptors import table_address

_LISTENING = "0A"
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_MOST_LINES = 200_000
_MOST_DESCRIPTORS = 500_000
"""The most lines and descriptors of /proc that are searched. Searching so many takes about a second."""

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class _Row:
    """A listening socket as the kernel lists it."""

    address: IPAddress
    port: int
    user: int
    inode: str


def describe_holder(host: str, port: int) -> str:
    """
    Say which process already listens on ``host:port``.

    Args:
        host: a numeric address, the one whose bind failed.

    Returns:
        ``process 4711 (nginx)``; ``a process of user www-data`` where the descriptors of the process may not be read;
        ``""`` where nothing is known.
    """
    row = _find(host, port)
    if row is None:
        return ""
    process = _process_of(row.inode)
    if process:
        return f"process {process} ({name_of(process)})"
    return f"a process of user {_user_name(row.user)}"


def _find(host: str, port: int) -> _Row | None:
    """Find the listening socket that prevents the bind: first on exactly that address, then on all addresses."""
    wanted = ipaddress.ip_address(host.partition("%")[0])
    rows = [row for row in _listening() if row.port == port]
    same = [row for row in rows if row.address == wanted]
    overlapping = [row for row in rows if row.address.is_unspecified or wanted.is_unspecified]
    return next(iter(same + overlapping), None)


def _listening() -> Iterator[_Row]:
    for table in _TABLES:
        try:
            with open(table, encoding="ascii") as lines:
                for line in itertools.islice(lines, 1, _MOST_LINES):
                    words = line.split()
                    if words[3] == _LISTENING:
                        address, port = table_address(words[1])
                        yield _Row(ipaddress.ip_address(address), port, int(words[7]), words[9])
        except OSError:
            continue


def _process_of(inode: str) -> int:
    """Find a process that has that socket open. Returns 0 where none can be seen."""
    link = f"socket:[{inode}]"
    for entry in itertools.islice(_descriptors(), _MOST_DESCRIPTORS):
        try:
            if os.readlink(entry) == link:
                return int(entry.split("/")[2])
        except OSError:
            continue
    return 0


def _descriptors() -> Iterator[str]:
    for process in _entries("/proc"):
        if process.isdigit():
            folder = f"/proc/{process}/fd"
            for descriptor in _entries(folder):
                yield f"{folder}/{descriptor}"


def _entries(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def name_of(process: int) -> str:
    """Return the name of a process, without characters that cannot be printed: it is shown on a terminal."""
    try:
        name = Path(f"/proc/{process}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "unknown"
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def _user_name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
