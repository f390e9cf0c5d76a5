"""The values and functions that all exchanges of one server share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pastepool.runtime.http.date_header import DateHeader
from pastepool.runtime.http.sender import Sender
from pastepool.runtime.http.spool import Spool
from pastepool.runtime.http.spool_room import SpoolRoom
from pastepool.runtime.pool.tally import Tally
from pastepool.runtime.sockets.held_io import held_at_most, whole_held_at_most
from pastepool.types import Clock, Seconds
from pastepool.wsgi.serving import Serving

if TYPE_CHECKING:
    from pastepool.runtime.http.connection import Connection


class TakesBack(Protocol):
    """What a worker can do with a connection after a request: see ``returning.Returning``. Runs on: any thread."""

    def give_back(self, connection: Connection) -> None: ...
    def rearm(self, connection: Connection) -> None: ...
    def flush_soon(self, connection: Connection) -> None: ...
    def close_soon(self, connection: Connection) -> None: ...
    def close_now(self, connection: Connection) -> None: ...


@dataclass(kw_only=True)
class Shared(Serving):
    """
    What all requests of one server share.

    Large because each request has one reference to all of it.

    ``keep_alive_for``: seconds; infinity for no limit. ``watermark``: bytes of unsent output in memory, above which a
    temporary file takes what follows. ``output_spool``: bytes that this file may hold; 0 for none. ``spool_room``:
    bounds all temporary files together. ``access``: ``access_line``, or None without an access log. ``nudge``: makes
    the supervisor look. ``returning``: takes connections back. ``sender``: sends what responses keep back for too long.
    ``retry_after``: seconds after which a refused client may come back. ``expose_tracebacks``: whether the client gets the
    traceback when the application fails. ``held_at_most``, ``whole_held_at_most``: how many bytes of a piece, and of a
    whole response, are sent without releasing the GIL (``held_io``). ``draining``: whether the server serves only the
    clients that it has, to the end of their present requests.
    """

    date_header: DateHeader
    clock: Clock
    keep_alive_for: Seconds
    watermark: int
    output_spool: int
    spool_room: SpoolRoom
    access: Callable[..., Callable[[], None]] | None
    nudge: Callable[[], Any]
    returning: TakesBack
    tally: Tally
    sender: Sender
    retry_after: int
    expose_tracebacks: bool = False
    held_at_most: int = field(default_factory=held_at_most)
    whole_held_at_most: int = field(default_factory=whole_held_at_most)
    draining: bool = False

    def open_spool(self) -> Spool:
        """Make a temporary file for the output of one response. Raises: OSError."""
        return Spool(self.output_spool, self.spool_room)

    def in_child(self) -> None:
        """Nudge nobody any more: this process is a child of the one that serves, and has no supervisor."""
        self.nudge = _nobody

    def drain(self) -> None:
        """Make every response close its connection from now on. Runs on: baton."""
        self.draining = self.closing = True


def _nobody() -> None:
    """Do nothing."""
