"""Write the Date and Server fields, once a second at most."""

from __future__ import annotations

import time
from email.utils import formatdate


class DateHeader:
    """
    Keeps the two fields that every response has (RFC 9110 6.6.1, 10.2.4).

    Runs on: any thread. If two threads refresh at once, both write the same value.
    """

    __slots__ = ("_server", "_fields", "_until")

    def __init__(self, server_header: str) -> None:
        self._server = b"Server: %b\r\n" % server_header.encode("latin-1") if server_header else b""
        self._until = 0.0
        self._fields = (b"", self._server, self._server)

    def current(self) -> tuple[bytes, bytes, bytes]:
        """Return Date, Server, and both together. Each is one or more whole lines, or empty."""
        if time.monotonic() >= self._until:
            self._refresh()
        return self._fields

    def joined(self) -> bytes:
        """Return both fields together, for responses that the server makes itself."""
        return self.current()[2]

    def _refresh(self) -> None:
        wall = time.time()  # the wall clock, because the client is told the time of day
        # The fields are valid until this second of the wall clock is over, so two responses of one second say the same.
        date = b"Date: %b\r\n" % formatdate(wall, usegmt=True).encode("ascii")
        self._fields = (date, self._server, date + self._server)
        self._until = time.monotonic() + 1.0 - wall % 1.0
