"""Write the Date and Server fields, once a second at most."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate

from pastepool.types import Seconds


def wall_clock() -> Seconds:
    """Return the time of day, in seconds. A program may replace the function of ``time`` while a server runs."""
    return time.time()


class DateHeader:
    """
    Keeps the two fields that every response has (RFC 9110 6.6.1, 10.2.4).

    ``now``: returns monotonic seconds. ``wall``: returns those of the wall clock, because the client is told the time of
    day. ``fields``: Date, Server, and both together, as they are before the instant ``until``. Each is one or more whole
    lines, or empty.

    Runs on: any thread. If two threads refresh at once, both write the same value.
    """

    __slots__ = ("now", "fields", "until", "_wall", "_server")

    def __init__(
        self,
        server_header: str,
        now: Callable[[], Seconds] = time.monotonic,
        wall: Callable[[], Seconds] = wall_clock,
    ) -> None:
        self.now = now
        self._wall = wall
        self._server = b"Server: %b\r\n" % server_header.encode("latin-1") if server_header else b""
        self.until = 0.0
        self.fields = (b"", self._server, self._server)

    def fields_at(self, now: Seconds) -> tuple[bytes, bytes, bytes]:
        """Return ``fields`` for this instant."""
        if now >= self.until:
            self._refresh(now)
        return self.fields

    def joined(self) -> bytes:
        """Return both fields together, for responses that the server makes itself."""
        return self.fields_at(self.now())[2]

    def _refresh(self, now: Seconds) -> None:
        wall = self._wall()
        # The fields are valid until this second of the wall clock is over, so two responses of one second say the same.
        date = b"Date: %b\r\n" % formatdate(wall, usegmt=True).encode("ascii")
        self.fields = (date, self._server, date + self._server)
        self.until = now + 1.0 - wall % 1.0  # last: a thread that reads it finds the fields changed
