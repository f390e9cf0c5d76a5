"""
The control socket: how ``pastepool reload``, ``status`` and ``stop`` reach the parent of a file.

It is a unix socket with an abstract name, which Linux forgets with its process: so there is no path, and nothing stale.
The name has the file, its section and the user in it. Both sides ask the kernel who the other one is, because anybody
may bind such a name.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

_AT_MOST = 64
"""How many commands may wait for an answer at once: more reloads than a script starts while one of them hangs."""

_LONGEST = 64


def names_for(config_file: str, section: str, user: int) -> list[str]:
    """
    Return the abstract names for the parent that one user runs with a section of a file.

    The first has the path in it as it was given: a link in it, such as that to the newest release, may lead elsewhere
    later. The second one, if it is different, has the path without links.

    Such a name has a limit, so a path is in it as two sums. They need not be safe from people who look for another path
    with the same sums: both sides ask who the other one is. ``hashlib`` would cost the parent 3.6 MB.
    """
    names = []
    for path in dict.fromkeys((os.path.abspath(config_file), os.path.realpath(config_file))):
        about = f"{path}\0{section}".encode("utf-8", "surrogateescape")
        names.append(f"\0pastepool-{zlib.crc32(about):08x}{zlib.crc32(about[::-1]):08x}-{user}")
    return names


def user_of(sock: socket.socket) -> int:
    """Return the user that runs the process at the other end. Raises: OSError."""
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])


def names_there(config_file: str, section: str) -> list[str]:
    """Return the names that parents of a section have at present: our own user's first, then those of others."""
    own = names_for(config_file, section, os.geteuid())
    starts = tuple("@" + name[1:].rpartition("-")[0] + "-" for name in own)
    try:
        lines = Path("/proc/net/unix").read_text().splitlines()
    except OSError:
        return own
    found = {"\0" + word[1:] for line in lines for word in line.split()[-1:] if word.startswith(starts)}
    return sorted(found, key=lambda name: (own.index(name) if name in own else len(own), name))


class Control:
    """The parent's side. Commands that cannot be answered at once are kept here. Runs on: the only thread."""

    def __init__(self, names: Iterable[str]) -> None:
        self._listening: dict[int, socket.socket] = {}
        self._clients: dict[int, tuple[socket.socket, str]] = {}
        for name in names:
            sock = socket.socket(socket.AF_UNIX)
            try:
                sock.bind(name)
                sock.listen(_AT_MOST)
                sock.setblocking(False)
            except OSError:  # another parent of the same section has it, or this is not Linux
                sock.close()
            else:
                self._listening[sock.fileno()] = sock

    def descriptors(self) -> Iterable[int]:
        """Return what is to be polled for reading."""
        unread = [descriptor for descriptor, (_, word) in self._clients.items() if not word]
        return [*self._listening, *unread]

    def asked(self, ready: Iterable[int]) -> list[str]:
        """Accept and read what is ready. Returns the commands that have come."""
        words = []
        for descriptor in ready:
            if descriptor in self._listening:
                self._accept(self._listening[descriptor])
            elif descriptor in self._clients:
                client, _ = self._clients[descriptor]
                try:
                    word = client.recv(_LONGEST).decode("ascii", "replace").strip()
                except OSError:
                    word = ""
                if word:
                    words.append(word)
                    self._clients[descriptor] = client, word
                else:
                    self._forget(descriptor)
        return words

    def _accept(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            client, _ = listening.accept()
            client.setblocking(False)
            if len(self._clients) < _AT_MOST and user_of(client) in (0, os.geteuid()):
                self._clients[client.fileno()] = client, ""
            else:
                client.close()

    def waits_for(self, word: str) -> bool:
        """Say whether somebody waits for the answer to a command."""
        return any(asked == word for _, asked in self._clients.values())

    def answer(self, word: str, answer: Mapping[str, object]) -> None:
        """Answer all that have asked with one command. One that does not read gets a part, or nothing."""
        for descriptor in [each for each, (_, asked) in self._clients.items() if asked == word]:
            with contextlib.suppress(OSError):
                self._clients[descriptor][0].send(json.dumps(answer).encode())
            self._forget(descriptor)

    def _forget(self, descriptor: int) -> None:
        self._clients.pop(descriptor)[0].close()

    def close(self) -> None:
        """Close all. In a child of a fork this closes its copies. May be called twice."""
        for sock in self._listening.values():
            sock.close()
        self._listening = {}
        for descriptor in list(self._clients):
            self._forget(descriptor)
