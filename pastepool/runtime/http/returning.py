"""
Take connections back from the workers that ran their requests, and watch them again.

Workers use ``Returning``, on any thread. It queues connections; each of its steps is one atomic operation of a deque.
The baton's holder uses ``Rearming`` for connections that a worker has or has given back: it watches them again, flushes
the output that workers left, and notices clients that hang up.
"""

from __future__ import annotations

import enum
from bisect import bisect
from collections import deque
from collections.abc import Callable
from typing import Any

from pastepool.core.deadlines import deadline, next_check, transfer_deadline
from pastepool.core.policy import Timeouts
from pastepool.core.telling.histogram import BOUNDS
from pastepool.runtime.http.connection import BODY, HEAD, NEVER, NEXT, READER, WORKER, Connection
from pastepool.runtime.http.open_connections import OpenConnections
from pastepool.runtime.http.output import Output
from pastepool.runtime.pool.tally import Tally
from pastepool.runtime.sockets.readiness import HANGUP, HANGUP_ONCE, READ, WRITE
from pastepool.types import Clock, Seconds

_READS = (HEAD, BODY, NEXT)
"""The values of ``waiting`` for which the poller reads from the connection next."""


class Step(enum.IntEnum):
    """What the baton's holder does with a connection that came back."""

    RESUME = 0  # serve what is in its buffer, or listen to it again
    REARM = 1  # listen to it again
    FLUSH = 2  # send what its worker left
    LINGER = 3  # close it, and read for a while what its client still sends


RESUME, REARM, FLUSH, LINGER = Step


class Returning:
    """
    Takes connections back from workers; implements ``shared.TakesBack``.

    ``queue``: the connections that came back, in order, each with the step to take; the baton's holder empties it.

    Runs on: any thread.
    """

    def __init__(self, connections: OpenConnections, wake: Callable[[], None]) -> None:
        self.queue: deque[tuple[Step, Connection]] = deque()
        self.close_now = connections.close
        self._wake = wake

    def give_back(self, connection: Connection) -> None:
        """
        Queue a connection that its worker is done with, because it has more input in its buffer or is not watched for
        input.
        """
        self.queue.append((RESUME, connection))

    def rearm(self, connection: Connection) -> None:
        """
        Queue a connection that its worker is done with. Just before, the poller stopped watching it for input.
        """
        self.queue.append((REARM, connection))

    def flush_soon(self, connection: Connection) -> None:
        """Queue a connection for which a worker left output, and wake the poll."""
        self.queue.append((FLUSH, connection))
        self._wake()

    def close_soon(self, connection: Connection) -> None:
        """Close a connection after its response: at once, or with lingering if the client may still be sending."""
        if connection.engine.rest or connection.engine.request is not None:
            self.queue.append((LINGER, connection))
            self._wake()
        else:
            self.close_now(connection)

    def wake_for_returned(self) -> None:
        """
        Wake the poll if a connection came back that the baton's holder must handle.

        Runs on: a worker without the baton, after a request.
        """
        if self.queue:
            self._wake()


class Rearming:
    """
    Watches connections that a worker has, or has given back.

    ``on_hangup``: called with each exchange whose client has gone. ``linger``: closes a connection whose response was
    sent (``answering``). Runs on: baton.
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
        Handle an event on a connection that a worker has: more input, or the client hung up.

        The mask is changed here and not when the worker takes the connection. Most clients are silent during a request,
        so a change for each request would waste a system call. The connection must not be lost:
        1. the worker sets ``waiting`` to NEXT, then reads ``watched``;
        2. this method sets ``watched``, then reads ``waiting``.
        The later of the two sees the write of the other, and re-arms. It is harmless if both do.
        """
        if mask & HANGUP:
            connection.gone = True
            self._connections.unwatch(connection)
            owner = connection.owner
            if owner is not None:
                self._on_hangup(owner)
        else:
            self._connections.watch(connection, HANGUP_ONCE)
        if connection.waiting is NEXT:
            self.rearm(connection)

    def take_back(self, connection: Connection) -> None:
        """Take a connection back from its worker. Its next request must begin within the keep-alive timeout."""
        connection.waiting = NEXT
        connection.deadline = deadline(self._now(), self._timeouts.keep_alive)

    def rearm(self, connection: Connection) -> None:
        """Watch a connection for input again. If a worker has it, do nothing: the worker gives it back later."""
        if connection.waiting in _READS and not connection.closed:
            self._connections.watch(connection, READ)

    def begin_flush(self, connection: Connection) -> None:
        """Watch a connection until its socket takes more of the output that its worker left."""
        output = connection.output
        if output is None or output.flushed:
            return
        connection.waiting = READER
        output.unacknowledged = connection.unacknowledged()
        self._set_deadline(connection, output, self._now())
        self._connections.watch(connection, WRITE)

    def reader_is_late(self, connection: Connection, now: Seconds) -> bool:
        """Say whether the client has stopped reading. If not, set a new deadline."""
        output = connection.output
        if output is None or output.flushed:
            return False
        output.note_progress(connection.unacknowledged(), now)
        if now >= self._late_at(output):
            return True
        self._set_deadline(connection, output, now)
        return False

    def _late_at(self, output: Output) -> Seconds:
        return transfer_deadline(output.began_at, self._timeouts.send, output.taken, output.moved_at)

    def _set_deadline(self, connection: Connection, output: Output, now: Seconds) -> None:
        connection.deadline = next_check(self._late_at(output), now, self._timeouts.send)

    def flush(self, connection: Connection) -> bool:
        """
        Send as much of the output as the socket takes.

        Returns whether the whole response was sent and the connection stays open for a next request.

        Raises: OSError, ClientGone.
        """
        output = connection.output
        if output is None or output.flushed:
            return False
        if not output.flush(connection.sock):
            now = self._now()
            output.note_progress(connection.unacknowledged(), now)
            self._set_deadline(connection, output, now)
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
