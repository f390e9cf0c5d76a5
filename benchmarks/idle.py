"""
Open many connections, send one request on each, and keep them open: ``python -m benchmarks.idle PORT COUNT``.

This runs in a separate process, because the number of open files of one process is limited. When all connections are
open, the process prints ``held N``. Then it waits for a line on stdin, prints ``held N`` again (now without those that
the server has closed) and ends.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.app import HELLO
from benchmarks.errors import ServerFailed
from benchmarks.servers import HOST, ROOT

PER_ADDRESS = 5_000
"""
Connections from one source address. The kernel has 28,000 ports for each address, and other loads use some of them.
"""
PATIENCE = 5.0
OPEN_WITHIN = 180.0
"""Seconds in which all connections must be open. Those that are open by then count as what the server can hold."""
REQUEST = b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"


def source_address(number: int) -> str:
    """Return the source address of a connection. Many loopback addresses are used, because one has too few ports."""
    return f"127.0.1.{1 + number // PER_ADDRESS}"


def open_one(port: int, number: int) -> socket.socket | None:
    """Open one connection and send one request on it. Returns None if the server does not accept or answer it."""
    connection = socket.socket()
    connection.settimeout(PATIENCE)
    try:
        connection.bind((source_address(number), 0))
        connection.connect((HOST, port))
        connection.sendall(REQUEST)
        answer = b""
        while not answer.endswith(HELLO):
            part = connection.recv(4096)
            if not part:
                raise ConnectionError
            answer += part
    except OSError:
        connection.close()
        return None
    connection.setblocking(False)
    return connection


def open_all(port: int, count: int) -> list[socket.socket]:
    """Open ``count`` connections. Stop at the first that fails, or after OPEN_WITHIN seconds."""
    held: list[socket.socket] = []
    give_up_at = time.monotonic() + OPEN_WITHIN
    for number in range(count):
        connection = open_one(port, number)
        if connection is None or time.monotonic() >= give_up_at:
            break
        held.append(connection)
    return held


def still_open(connection: socket.socket) -> bool:
    """Say whether the server has kept its end open. If it has closed it, ``recv`` returns at once."""
    try:
        connection.recv(1)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


class Holder:
    """The process that holds the connections, as the measuring process sees it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def held(self) -> int:
        """
        Wait for the next ``held N``, and return N.

        Raises:
            ServerFailed: the process ended and printed nothing. Then nothing can be measured.
        """
        assert self._process.stdout is not None
        word, _, number = self._process.stdout.readline().partition(" ")
        if word != "held":
            raise ServerFailed("the process that holds the idle connections ended before it held any")
        return int(number)

    def let_go(self) -> int:
        """Let the process count and close its connections. Returns how many the server had kept open until now."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        kept = self.held()
        self._process.wait(PATIENCE)
        return kept


@contextmanager
def holding(port: int, count: int) -> Iterator[Holder]:
    """Run the process that holds the connections while the block runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.idle", str(port), str(count)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield Holder(process)
        finally:
            process.kill()


def main(port: int, count: int) -> None:
    """Run as the process that holds the connections."""
    held = open_all(port, count)
    sys.stdout.write(f"held {len(held)}\n")
    sys.stdout.flush()
    sys.stdin.readline()
    sys.stdout.write(f"held {sum(map(still_open, held))}\n")
    sys.stdout.flush()
    for connection in held:
        with contextlib.suppress(OSError):
            connection.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
