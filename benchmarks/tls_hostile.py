"""
Clients that do not finish a handshake of TLS: ``python -m benchmarks.tls_hostile PORT COUNT_OF_EACH_KIND``.

A third say nothing, a third send a byte a second, a third speak plain HTTP.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.errors import ServerFailed
from benchmarks.servers import HOST, ROOT

COME_WITHIN = 30.0
PATIENCE = 10.0
IN_PLAIN = b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"
STARTED = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)
"""The begin of a client's first message of TLS. The hostile clients that are slow send it byte by byte."""


class Hostile:
    """Clients that do not finish a handshake. One that the server has closed comes again within a second."""

    def __init__(self, port: int, of_each_kind: int) -> None:
        self._port = port
        self._selector = selectors.DefaultSelector()
        self._sent: dict[socket.socket, tuple[bytes, int]] = {}
        self._closed: list[bytes] = []
        for text in [b"", STARTED, IN_PLAIN] * of_each_kind:
            self._come(text)

    def _come(self, text: bytes) -> None:
        sock = socket.create_connection((HOST, self._port), PATIENCE)
        sock.setblocking(False)
        self._selector.register(sock, selectors.EVENT_READ)
        self._sent[sock] = (text, 0)
        if text is IN_PLAIN:
            sock.send(text)

    def run(self) -> None:
        """Go on until the process is killed."""
        at = time.monotonic() + 1
        while True:
            for key, _ in self._selector.select(max(at - time.monotonic(), 0)):
                assert isinstance(key.fileobj, socket.socket)
                self._read(key.fileobj)
            if time.monotonic() >= at:
                at += 1
                self._act()

    def _read(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if sock.recv(4096):
                return
        self._selector.unregister(sock)
        sock.close()
        self._closed.append(self._sent.pop(sock)[0])

    def _act(self) -> None:
        while self._closed:
            self._come(self._closed.pop())
        for sock, (text, count) in list(self._sent.items()):
            if text is STARTED:
                with contextlib.suppress(OSError):
                    sock.send(text[count : count + 1])
                    self._sent[sock] = (text, count + 1)


@contextmanager
def hostile_clients(port: int, of_each_kind: int) -> Iterator[None]:
    """Let them come, in a process of their own, and go at the end of the block."""
    words = [sys.executable, "-m", "benchmarks.tls_hostile", str(port), str(of_each_kind)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        timer = threading.Timer(COME_WITHIN, process.kill)
        timer.start()
        try:
            if process.stdout.readline() != "there\n":
                raise ServerFailed(f"the hostile clients could not connect within {COME_WITHIN:g} s")
            timer.cancel()
            yield
        finally:
            timer.cancel()
            process.kill()


def main() -> None:
    """Come, say so on a line, and stay."""
    hostile = Hostile(*map(int, sys.argv[1:]))
    sys.stdout.write("there\n")
    sys.stdout.flush()
    hostile.run()


if __name__ == "__main__":
    main()
