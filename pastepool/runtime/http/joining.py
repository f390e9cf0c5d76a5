"""
Join the small pieces that an iterable yields without a pause, so that one system call sends many of them.

PEP 3333 forbids to delay a piece, unless another thread sends it on "while the application is producing its next block".
Nobody can know whether the next piece comes in a microsecond or in an hour: one has to ask the iterable for it. So:

1. A piece is kept back only if it came right behind the one before it. What is kept back leaves together with what comes
   next: when there is enough of it, at the first pause, and at the end of the response. So the pieces of a slow iterable
   leave at once, each by itself.
2. What was yielded without a pause before a long one is sent by a thread of its own (``sender``), a millisecond later.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from pastepool.errors import ClientGone
from pastepool.runtime.sockets.held_io import HELD_AT_MOST
from pastepool.types import Clock, Seconds

if TYPE_CHECKING:
    from pastepool.runtime.http.connection import Connection

NO_PAUSE: Seconds = 0.0001
"""
A piece that comes within this time after the one before it came without a pause. To send a piece by itself takes some 5
microseconds, so more than a tenth of the time is lost in it below 50; the rest is for a busy machine.
"""

_MOST = HELD_AT_MOST
"""The most bytes that are kept back. So many are sent without releasing the GIL."""

_LARGE = _MOST // 2
"""A piece with more bytes than this is neither kept back nor copied behind those that were."""

KEPT_AT_MOST: Seconds = 0.001
"""How long a piece is kept back. A client does not notice a millisecond, and a thread that looks so often costs little."""


class LooksAfter(Protocol):
    """Sends what is overdue: see ``sender.Sender``. Both are called with the lock of the ``Joining``."""

    def watch(self, joining: Joining) -> bool: ...
    def forget(self, joining: Joining) -> None: ...


class Joining:
    """
    The pieces of one response that are kept back.

    ``send``: sends bytes, or queues what the socket does not take. Pieces are kept back only while nothing is queued.
    Then ``send`` does not wait for the client. ``_lock``: the worker and the sender's thread send in turn, and all other
    fields are written under it. The sender's thread does not wait for it.
    """

    __slots__ = (
        "_connection",
        "_send",
        "_sender",
        "_now",
        "_lock",
        "_pieces",
        "_size",
        "_since",
        "_handed_at",
        "_failed",
    )

    def __init__(self, connection: Connection, send: Callable[[bytes], None], sender: LooksAfter, clock: Clock) -> None:
        self._connection = connection
        self._send = send
        self._sender = sender
        self._now = clock.now
        self._lock = threading.Lock()
        self._pieces: list[bytes] = []
        self._size = 0
        self._since: Seconds = 0.0
        self._handed_at: Seconds = -math.inf
        self._failed = False

    def add(self, piece: bytes) -> None:
        """Send a piece, or keep it back. Raises: ClientGone. Runs on: worker."""
        if self._connection.closed or self._failed:
            raise _gone()
        now = self._now()
        with self._lock:
            if now <= self._handed_at + NO_PAUSE:
                size = self._size + len(piece)
                if (self._pieces and size <= _MOST) or self._may_keep(len(piece)):
                    if not self._pieces:
                        self._since = now
                        size = len(piece)
                    self._pieces.append(piece)
                    self._size = size
                    self._handed_at = now
                    return
            self._send_all(piece)
        self._handed_at = self._now()

    def end(self, piece: bytes = b"") -> None:
        """Send the last piece, and what was kept back before it. Raises: ClientGone. Runs on: worker."""
        if self._connection.closed or self._failed:
            raise _gone()
        with self._lock:
            self._send_all(piece)
            self._sender.forget(self)

    def send_overdue(self, now: Seconds) -> None:
        """Send what has been kept back for too long. If the client has gone, its worker is told. Runs on: sender."""
        if not self._lock.acquire(blocking=False):
            return  # the worker is sending it
        try:
            if self._pieces and now >= self._since + KEPT_AT_MOST:
                self._send_all(b"")
            if not self._pieces:
                self._sender.forget(self)
        except ClientGone:
            self._failed = True
            self._sender.forget(self)
        finally:
            self._lock.release()

    def _may_keep(self, size: int) -> bool:
        """Say whether the first piece of some may be kept back. Those before it are sent."""
        if size > _LARGE:
            return False
        self._send_all(b"")
        return self._connection.output is None and self._sender.watch(self)

    def _send_all(self, piece: bytes) -> None:
        if self._pieces:
            pieces, self._pieces = self._pieces, []
            self._size = 0
            if len(piece) <= _LARGE:
                pieces.append(piece)
                piece = b""
            self._send(b"".join(pieces))
        if piece:
            self._send(piece)


def _gone() -> ClientGone:
    """Nothing can be sent any more. In the child of a fork this is asked before the lock, which nobody might release."""
    return ClientGone("The client has gone.")
