"""What all exchanges of one server share. Filled in by the server before the first connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pastepool.runtime.stamp import Stamp
from pastepool.runtime.tally import Tally
from pastepool.types import Clock, Seconds
from pastepool.wsgi.call import Application

if TYPE_CHECKING:
    from pastepool.runtime.poller import Poller


@dataclass
class Site:
    """
    ``access``: ``access_line`` or None. ``nudge``: has the supervisor look. ``old_protocol``:
    answer in HTTP/1.0 and close. ``draining``: written once, by the
    server; from then on every response closes its connection.
    """

    application: Application
    stamp: Stamp
    clock: Clock
    keep_alive_for: Seconds
    watermark: int
    access: Callable[..., Callable[[], None]] | None
    nudge: Callable[[], Any]
    poller: Poller
    tally: Tally
    old_protocol: bool = False
    current_stamp: Callable[[], tuple[bytes, bytes, bytes]] = field(init=False)
    draining: bool = False

    def __post_init__(self) -> None:
        self.current_stamp = self.stamp.current  # bound once: a request would bind it again
