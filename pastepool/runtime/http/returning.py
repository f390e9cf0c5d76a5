"""
The way back of a connection: from the worker that ran its request to the poller, and into the poll again.

``Returning`` is what a worker sees, on any thread: it queues connections, and each of its steps is one atomic operation
of a deque. ``Rearming`` is what the baton's holder does with connections that a worker has or has given back: it watches
them again, flushes what their workers left, and notices clients that hang up.
"""

from __future__ import annotations

import enum
from bisect import bisect
from collections import deque
from collections.abc import Callable
from typing import Any

from pastepool.core.deadlines import deadline, transfer_deadline
from pastepool.core.policy import Timeouts
from pastepool.core.telling.histogram import BOUNDS
from pastepool.runtime.http.connection import BODY, HEAD, NEVER, NEXT, READER, WORKER, Connection
from pastepool.runtime.http.open_connections import OpenConnections
from pastepool.runtime.pool.tally import Tally
from pastepool.runtime.sockets.readiness import HANGUP, HANGUP_ONCE, READ, WRITE
from pastepool.types import Clock

_READS = (HEAD, BODY, NEXT)
"""What a connection waits for while the next thing to do is to read from it."""


class Step(enum.IntEnum):
    """What the baton's holder does with a connection that came back."""

    RESUME = 0  # serve what is in its buffer, or listen to it again
    REARM = 1  # listen to it again
    FLUSH = 2  # send what its worker left
    LINGER = 3  # close it, and read for a while what its client still sends


RESUME, REARM, FLUSH, LINGER = Step


class Returning:
    """
    Takes connections back from workers (``shared.TakesBack``).

    ``queue``: what came back and what is to be done with it, in the order it came; emptied by the baton's holder. Runs
    on: any thread.
    """

    def __init__(self, connections: OpenConnections, wake: Callable[[], None]) -> None:
        self.queue: deque[tuple[Step, Connection]] = deque()
        self.close_now = connections.close
        self._wake = wake

    def give_back(self, connection: Connection) -> None:
        """A worker has done with a connection that was masked or has more requests in its buffer."""
        self.queue.append((RESUME, connection))

    def rearm(self, connection: Connection) -> None:
        """A worker has done with a connection, which was masked at that very moment."""
        self.queue.append((REARM, connection))

    def flush_soon(self, connection: Connection) -> None:
        """A worker left output behind."""
        self.queue.append((FLUSH, connection))
        self._wake()

    def close_soon(self, connection: Connection) -> None:
        """Close a connection after its response; at once, unless the client may still be sending."""
        if connection.engine.rest or connection.engine.request is not None:
            self.queue.append((LINGER, connection))
            self._wake()
        else:
            self.close_now(connection)

    def wake_for_returned(self) -> None:
        """A worker without the baton has ended a request: wake the holder if a connection came back that needs it."""
        if self.queue:
            self._wake()


class Rearming:
    """
    Watches connections that a worker has, or has given back.

    ``on_hangup``: told of exchanges whose client has gone. ``linger``: ends a connection whose response is out
    (``answering``). Runs on: baton.
    """

    def __init__(
        self,
        connections: OpenConnections,
        timeouts: Timeouts,
        clock: Clock,
        tally: Tally,
        on_hangup: Callable[[Any], None],
        linger: Callable[[Connection], None],
    ) -> None:
        self._connections = connections
        self._timeouts = timeouts
        self._now = clock.now
        self._tally = tally
        self._on_hangup = on_hangup
        self._linger = linger

    def owned_event(self, connection: Connection, mask: int) -> None:
        """
        Something happened on a connection while a worker has it: more input, or the client hung up.

        The mask is changed here and not when the worker took the connection, because most clients are silent
        meanwhile and a system call for each request would be wasted. Against losing the connection:
        1. the worker sets ``waiting`` to NEXT, then looks at ``watched``;
        2. we set ``watched``, then look at ``waiting``.
        Whichever comes second sees the other's write, and re-arms. Both may; that is harmless.
        """
        if mask & HANGUP:
            connection.gone = True
            self._connections.unwatch(connection)
            if connection.owner is not None:
                self._on_hangup(connection.owner)
        else:
            self._connections.watch(connection, HANGUP_ONCE)
        if connection.waiting is NEXT:
            self.rearm(connection)

    def take_back(self, connection: Connection) -> None:
        """Take back a connection from its worker: from now on its client has to ask again in time."""
        connection.waiting = NEXT
        connection.deadline = deadline(self._now(), self._timeouts.keep_alive)

    def rearm(self, connection: Connection) -> None:
        """Listen to a connection again, unless a worker has it: then that worker will ask for it."""
        if connection.waiting in _READS and not connection.closed:
            self._connections.watch(connection, READ)

    def begin_flush(self, connection: Connection) -> None:
        """Have the poll say when the socket takes more of what its worker left."""
        output = connection.output
        if output is None or output.flushed:
            return
        connection.waiting = READER
        connection.deadline = transfer_deadline(output.began_at, self._timeouts.send, output.moved)
        self._connections.watch(connection, WRITE)

    def flush(self, connection: Connection) -> bool:
        """
        Send what the socket takes. Answers whether the response is out and the connection is to be resumed.

        Raises: OSError, ClientGone.
        """
        output = connection.output
        if output is None or output.flushed:
            return False
        if not output.flush(connection.sock):
            connection.deadline = transfer_deadline(output.began_at, self._timeouts.send, output.moved)
            return False
        if not output.finished:
            connection.waiting = WORKER
            connection.deadline = NEVER
            self._connections.watch(connection, HANGUP_ONCE)
            return False
        written_in = self._now() - output.began_at
        self._tally.writes[bisect(BOUNDS, written_in)] += 1
        self._tally.note_longest("writes", written_in)
        connection.output = None
        connection.owner = None
        if not connection.keep_alive:
            self._linger(connection)
        return connection.keep_alive
