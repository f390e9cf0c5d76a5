"""
Open many connections, use each once, and hold them: ``python -m benchmarks.idle PORT COUNT``.

A process of its own, because a process may open only so many files. It says ``held N`` once all are open, waits for a
line on stdin, says ``held N`` again (those the server has not closed) and ends.
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
"""Connections from one source address: well below the kernel's 28,000 ports, some of which other loads use up."""
PATIENCE = 5.0
OPEN_WITHIN = 180.0
"""Seconds all the connections together may take to open; what is open by then is what the server can hold."""
REQUEST = b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"


def source_address(number: int) -> str:
    """Spread connections over loopback's addresses, so that the ports of one are enough."""
    return f"127.0.1.{1 + number // PER_ADDRESS}"


def open_one(port: int, number: int) -> socket.socket | None:
    """Open one connection and have one request answered on it; None when the server does not take or answer it."""
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
    """Open ``count`` connections; stops at the first that is refused, and when OPEN_WITHIN has passed."""
    held: list[socket.socket] = []
    give_up_at = time.monotonic() + OPEN_WITHIN
    for number in range(count):
        connection = open_one(port, number)
        if connection is None or time.monotonic() >= give_up_at:
            break
        held.append(connection)
    return held


def still_open(connection: socket.socket) -> bool:
    """Say whether the server has kept its end open: then there is nothing to read, not even an end."""
    try:
        connection.recv(1)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


class Holder:
    """The process that holds the connections, seen from the one that measures."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def held(self) -> int:
        """
        Wait for the next ``held N``.

        Raises:
            ServerFailed: the process ended without a word; no measurement can be made.
        """
        assert self._process.stdout is not None
        word, _, number = self._process.stdout.readline().partition(" ")
        if word != "held":
            raise ServerFailed("the process that holds the idle connections ended before it held any")
        return int(number)

    def let_go(self) -> int:
        """Have the connections counted and closed; returns how many the server had kept until now."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        kept = self.held()
        self._process.wait(PATIENCE)
        return kept


@contextmanager
def holding(port: int, count: int) -> Iterator[Holder]:
    """Run the holding process beside the block."""
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
    """What the holding process does."""
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
