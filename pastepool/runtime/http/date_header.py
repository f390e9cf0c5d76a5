"""The Date and Server fields, rendered once a second."""

from __future__ import annotations

import time
from email.utils import formatdate


class DateHeader:
    """
    The two fields every response carries (RFC 9110 6.6.1, 10.2.4).

    Runs on: any thread; two threads that refresh at once write the same.
    """

    __slots__ = ("_server", "_fields", "_until")

    def __init__(self, server_header: str) -> None:
        self._server = b"Server: %b\r\n" % server_header.encode("latin-1") if server_header else b""
        self._until = 0.0
        self._fields = (b"", self._server, self._server)

    def current(self) -> tuple[bytes, bytes, bytes]:
        """Date, Server and both, each whole lines or empty."""
        if time.monotonic() >= self._until:
            self._refresh()
        return self._fields

    def joined(self) -> bytes:
        """Both in one piece, for responses of the server's own."""
        return self.current()[2]

    def _refresh(self) -> None:
        wall = time.time()  # the one place that tells the time of day, because the client is told it
        # Until the wall clock's second is over, so that two responses of one second say the same.
        date = b"Date: %b\r\n" % formatdate(wall, usegmt=True).encode("ascii")
        self._fields = (date, self._server, date + self._server)
        self._until = time.monotonic() + 1.0 - wall % 1.0
