"""
The server's ears: whoever holds the baton runs ``next_task`` here, and nobody else does.

It waits for readiness, accepts, reads, feeds the engines, flushes, keeps deadlines, and answers what needs no worker.
It returns when a request is complete, or when its caller should look around (``wake``). What remains of a batch of
events stays here for the next holder, so passing the baton costs no second look at the kernel.

Other threads use only ``give_back``, ``flush_soon``, ``close_soon``, ``close_now``, ``wake`` and ``ask``; each is one
atomic step on a deque or a dict.
"""

from __future__ import annotations

import itertools
import math
import os
import socket
from bisect import bisect
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from pastepool.core.deadlines import deadline, transfer_deadline
from pastepool.core.looks import look_is_due
from pastepool.core.overload import accept
from pastepool.core.telling.histogram import BOUNDS
from pastepool.errors import PeerError
from pastepool.http1.engine import Request
from pastepool.http1.response import CONTINUE, healthy_answer, short_answer
from pastepool.runtime.http.connection import BODY, HEAD, LINGER, NEVER, NEXT, READER, WORKER, Connection
from pastepool.runtime.http.content import Content
from pastepool.runtime.http.exchange import Exchange
from pastepool.runtime.http.open_connections import OpenConnections
from pastepool.runtime.http.shared import Shared
from pastepool.runtime.http.sweeper import Sweeper
from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.sockets.acceptor import Acceptor
from pastepool.runtime.sockets.held_io import HELD_AT_MOST, held_receiver
from pastepool.runtime.sockets.readiness import HANGUP, HANGUP_ONCE, READ, WRITE, Readiness, open_readiness
from pastepool.settings.values import Settings
from pastepool.types import Clock, Seconds
from pastepool.wsgi.environ import complete_environ, connection_prototype

_log = scribbled("pastepool.http")

_LONGEST_POLL: Seconds = 86400.0
"""epoll counts milliseconds in an int; a day is well within."""

_BATCH = 64
"""Events taken from the kernel at once: fewer system calls under load; more would only lengthen a holder's list."""

_READ_SIZE = HELD_AT_MOST
_READ_SIZE_CONTENT = 262144
"""Bytes per read: small where a client could send many requests, large where we know that content comes. Measured."""

_READS = (HEAD, BODY, NEXT)
"""What a connection waits for while the next thing to do is to read from it."""

_LINGER_FOR: Seconds = 2.0
_LINGER_BYTES = 1048576
"""
How long and how much a closing connection is still read, so that a reset does not overtake our answer (RFC 9112 9.6).
"""


class Poller:
    """
    Connections and what they wait for.

    All fields are touched only by the baton's holder, except the deques ``_returned`` and ``_asked`` and the dict
    ``connections``, whose single operations are atomic.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._open = OpenConnections()
        self.connections = self._open.by_fd
        self.close_now = self._open.close
        self.when_empty = self._open.when_empty
        self.shared: Shared
        self.serials = itertools.count(1)
        self._now = clock.now
        self._timeouts = settings.timeouts
        self._limits = settings.limits
        self._overload = settings.overload
        self._body_memory = settings.body_memory
        self._own_paths = frozenset({b"*", settings.health_path.encode("latin-1")})
        self._old_protocol = settings.protocol_version == "HTTP/1.0"
        self._policy = settings.pool
        self._check_at: float = settings.pool.check_every or math.inf
        self._checked = (0, 0.0)
        self._readiness: Readiness
        self._acceptor: Acceptor
        self._waker: tuple[int, int] = (-1, -1)
        self._batch: Iterator[tuple[int, int]] = iter(())
        self._returned: deque[tuple[Callable[[Connection], Exchange | None], Connection]] = deque()
        self._asked: deque[Callable[[], None]] = deque()
        self._sweeper = Sweeper(settings.timeouts, self._open, self._trouble)
        self._on_hangup: Callable[[Any], None] = lambda exchange: None
        self.on_turned_away: Callable[[str, float], None] = lambda fate, now: None
        self._interrupted = False
        self._held_receive = held_receiver()

    def start(self, shared: Shared, acceptor: Acceptor, on_hangup: Callable[[Any], None]) -> None:
        """
        Open what polling needs, in the process that will serve. ``on_hangup``: told of exchanges whose client has
        gone.
        """
        self.shared = shared
        self._acceptor = acceptor
        self._on_hangup = on_hangup
        self._readiness = open_readiness()
        self._open.start(self._readiness)
        self._waker = os.pipe()
        for end in self._waker:
            os.set_blocking(end, False)
        self._readiness.register(self._waker[0], READ)
        acceptor.start(self._readiness)

    def close(self) -> None:
        """Close everything that is still open, if it was ever opened. Runs on: baton, as its last act."""
        if self._waker[0] < 0:
            return
        self._acceptor.close()
        self._open.close_all()
        self._readiness.close()
        ends, self._waker = self._waker, (-1, -1)  # a wake from now on must not reach who gets these numbers next
        for end in ends:
            os.close(end)

    # For any thread.

    def wake(self) -> None:
        """Have the holder return from ``next_task`` soon, with or without a task. Safe in a signal handler."""
        try:
            os.write(self._waker[1], b"\0")
        except BlockingIOError:
            pass  # it is full of wake-ups already
        except OSError:
            pass  # closed: nobody polls any more

    def ask(self, what: Callable[[], None]) -> None:
        """Have ``what`` run by the baton's holder."""
        self._asked.append(what)
        self.wake()

    def give_back(self, connection: Connection) -> None:
        """A worker has done with a connection that was masked or has more requests in its buffer."""
        self._returned.append((self._resume, connection))

    def rearm(self, connection: Connection) -> None:
        """A worker has done with a connection, which was masked at that very moment."""
        self._returned.append((self._rearm, connection))

    def flush_soon(self, connection: Connection) -> None:
        """A worker left output behind."""
        self._returned.append((self._begin_flush, connection))
        self.wake()

    def close_soon(self, connection: Connection) -> None:
        """Close a connection after its response; at once, unless the client may still be sending."""
        if connection.engine.rest or connection.engine.request is not None:
            self._returned.append((self._linger, connection))
            self.wake()
        else:
            self.close_now(connection)

    def wake_for_returned(self) -> None:
        """A worker without the baton has ended a request: wake the holder if a connection came back that needs it."""
        if self._returned:
            self.wake()

    # For the baton's holder.

    def next_task(self, until: Seconds = math.inf) -> Exchange | None:
        """
        Poll until a request is complete, a wake-up comes or ``until`` is reached.

        Answers the exchange to be run, which the caller now owns, or None.
        """
        while True:
            while self._returned:
                step, returned = self._returned.popleft()
                task = self._guarded(step, returned)
                if task is not None:
                    return task
            task = self._from_batch()
            if task is not None:
                return task
            if self._interrupted:
                self._interrupted = False
                return None
            if not self._poll(until):
                return None

    def ready_tasks(self, most: int) -> list[Exchange]:
        """
        Answer up to ``most`` more exchanges that are complete among the events fetched already; the kernel is not
        asked.
        """
        tasks: list[Exchange] = []
        held_receive = self._held_receive
        while len(tasks) < most:
            task = self._from_batch(held_receive)
            if task is None:
                break
            tasks.append(task)
        return tasks

    def _from_batch(self, held_receive: Callable[[socket.socket], bytes] | None = None) -> Exchange | None:
        """
        Go on with the batch until a request is complete; None at its end. ``held_receive``: tried first, where the
        interpreter's lock is in demand.
        """
        find = self.connections.get
        for fd, mask in self._batch:
            connection = find(fd)
            if connection is None:
                self._other_event(fd)
                continue
            waiting = connection.waiting
            if mask != READ or (waiting is not NEXT and waiting is not HEAD):
                task = self._guarded(self._event, connection, mask)
                if task is not None:
                    return task
                continue
            # The common case of ``_event``: a client that may send a request does.
            try:
                if held_receive is None:
                    data = connection.recv(_READ_SIZE)
                else:
                    data = held_receive(connection.sock) or connection.recv(_READ_SIZE)
                engine = connection.engine
                if data:
                    engine.feed(data)
                    if engine.complete:
                        task = self._exchange(connection)
                        if task is not None:
                            return task
                    else:
                        self._await_more(connection)
                else:
                    self.close_now(connection)
            except BlockingIOError:
                pass
            except Exception as error:
                self._trouble(connection, error)
        return None

    def _poll(self, until: Seconds) -> bool:
        """Fetch the next batch. Answers False when ``until`` is reached."""
        now = self._now()
        if now >= self._sweeper.next_at:
            self._acceptor.resume(now)
            self._sweeper.sweep(now, self._acceptor.paused)
        wait_until = min(until, self._sweeper.next_at)
        # Nothing to sweep and nobody waiting: sleep until something happens.
        timeout = -1.0 if wait_until == math.inf else min(max(0.0, wait_until - now), _LONGEST_POLL)
        batch = self._readiness.poll(timeout, _BATCH)
        self._batch = iter(batch)
        return bool(batch) or self._now() < until

    def _other_event(self, fd: int) -> None:
        """Readiness of something that is not a client: our own waker, a listener, or a client that is gone by now."""
        if fd == self._waker[0]:
            self._woken()
        elif fd in self._acceptor.fds:
            for sock, address, prototype in self._acceptor.accept(fd):
                self._welcome(sock, address, prototype)
            if self._acceptor.paused:
                self._sweeper.soon(self._now())  # which ends the pause

    def _woken(self) -> None:
        try:
            os.read(self._waker[0], 4096)
        except BlockingIOError:
            pass
        self._interrupted = True
        while self._asked:
            self._asked.popleft()()

    def _welcome(self, sock: socket.socket, address: Any, prototype: dict[str, Any]) -> None:
        """Make a connection of an accepted socket, or refuse it if there are too many."""
        if not accept(len(self.connections), self._overload) and not self._open.close_one_waiting():
            self._refuse_socket(sock)
            return
        peer, port = (address[0], address[1]) if address else ("", 0)
        connection = Connection(sock, peer, port, self._limits, connection_prototype(prototype, peer, port))
        now = self._now()
        connection.began_at = now
        connection.deadline = deadline(now, self._timeouts.header)
        self.connections[connection.fd] = connection
        self._readiness.register(connection.fd, READ)
        if self._sweeper.next_at == math.inf:
            self._sweeper.soon(now)

    def _refuse_socket(self, sock: socket.socket) -> None:
        self.on_turned_away("turned_away", self._now())
        text = f"The server has its limit of {self._overload.connection_limit} connections."
        answer = short_answer(503, text, self.shared.date_header.joined(), retry_after=self._overload.retry_after)
        try:
            sock.send(answer)
        except OSError:
            pass  # it has gone already
        sock.close()

    def _guarded(self, step: Callable[..., Exchange | None], connection: Connection, *more: Any) -> Exchange | None:
        """Run one step for one connection; whatever goes wrong in it costs that connection and no other."""
        if connection.closed:
            return None
        try:
            return step(connection, *more)
        except Exception as error:
            self._trouble(connection, error)
        return None

    def _trouble(self, connection: Connection, error: Exception) -> None:
        """Answer or close, depending on whose fault it is."""
        if isinstance(error, PeerError):
            self._refuse(connection, error)
            return
        if connection.closed:
            return  # its worker or the supervisor has closed it meanwhile, and that is what went wrong
        if isinstance(error, OSError) and not isinstance(error, (ConnectionError, TimeoutError, BlockingIOError)):
            _log.error("%s: the connection is closed because of %s", connection.peer, error)
        elif not isinstance(error, OSError):
            _log.error(
                "Internal error; the connection of %s is closed; please report this", connection.peer, exc_info=error
            )
        self.close_now(connection)

    def _event(self, connection: Connection, mask: int) -> Exchange | None:
        waiting = connection.waiting
        if waiting is WORKER:
            self._owned_event(connection, mask)
            return None
        if waiting is READER:
            return self._writable(connection)
        try:
            data = connection.recv(_READ_SIZE_CONTENT)
        except (BlockingIOError, InterruptedError):
            return None
        if waiting is LINGER:
            self._discard(connection, len(data))
            return None
        if not data:
            self.close_now(connection)
            return None
        return self._feed(connection, data)

    def _feed(self, connection: Connection, data: bytes) -> Exchange | None:
        engine = connection.engine
        engine.feed(data)
        if engine.complete:
            return self._exchange(connection)
        self._await_more(connection)
        return None

    def _await_more(self, connection: Connection) -> None:
        """A request has begun and is not complete: set its deadline, keep its content, say 100 if it asks."""
        engine = connection.engine
        request = engine.request
        timeouts = self._timeouts
        if request is None:
            if connection.waiting is NEXT:
                connection.waiting = HEAD
                connection.began_at = self._now()
                connection.deadline = deadline(connection.began_at, timeouts.header)
            return
        content = connection.content
        if content is None:
            content = connection.content = Content(self._body_memory)
            connection.waiting = BODY
            connection.began_at = self._now()
            if request.expects_continue and not engine.body:
                connection.send(CONTINUE)
        content.add(engine.take_body())
        connection.deadline = transfer_deadline(connection.began_at, timeouts.body, content.received)

    def _exchange(self, connection: Connection) -> Exchange | None:
        """The request is complete: make it a task, or answer it here if it needs no application."""
        engine = connection.engine
        content = connection.content
        pieces = engine.take_body() if engine.body else None
        request = engine.next_request()
        if request.path in self._own_paths:
            if content is not None:
                content.close()
                connection.content = None
            self._answer_here(connection, request)
            return None
        if content is None and pieces is None:
            environ = complete_environ(request, None, 0)
        else:
            if content is None:
                content = Content(self._body_memory)
            content.add(pieces or [])
            connection.content = None
            environ = complete_environ(request, content.file(), content.received)
        connection.waiting = WORKER
        connection.deadline = NEVER
        serial = next(self.serials)
        exchange = Exchange(request, environ, serial, connection, self.shared)
        if content is not None:
            exchange.upload = content
        if self._old_protocol:
            exchange.old_protocol = True
        connection.owner = exchange
        if serial >= self._check_at:  # not ``==``: background tasks take serials too
            self._check(serial)
        return exchange

    def _check(self, serial: int) -> None:
        """Have the supervisor look, if it is time."""
        now = self._now()
        checked, checked_at = self._checked
        if look_is_due(serial - checked, now - checked_at, self._policy):
            self._checked = (serial, now)
            self.shared.nudge()
        self._check_at = serial + self._policy.check_every

    def _answer_here(self, connection: Connection, request: Request) -> None:
        """Answer ``health_path`` or ``OPTIONS *`` (RFC 9110 9.3.7) without a worker."""
        draining = self.shared.draining
        about_server = request.path == b"*"
        stamp = self.shared.date_header.joined()
        if draining and not about_server:
            self._answer_and_close(connection, short_answer(503, "The server is stopping.", stamp))
            return
        keep = request.keep_alive and not draining and not self.shared.old_protocol
        answer = healthy_answer(stamp, keep, request, b"" if about_server else b"ok\n")
        if connection.send(answer) != len(answer) or not keep:
            self._linger(connection)
            return
        connection.waiting = NEXT
        connection.deadline = deadline(self._now(), self._timeouts.keep_alive)
        if connection.engine.rest:
            self.give_back(connection)

    def _refuse(self, connection: Connection, error: PeerError) -> None:
        """Answer a client that broke HTTP or a limit, and close."""
        _log.info("%s: refused with %d: %s", connection.peer, error.status, error.reason)
        self._answer_and_close(connection, short_answer(error.status, error.reason, self.shared.date_header.joined()))

    def _answer_and_close(self, connection: Connection, answer: bytes) -> None:
        try:
            connection.send(answer)
        except OSError:
            self.close_now(connection)
            return
        self._linger(connection)

    def _linger(self, connection: Connection) -> None:
        """
        Close our side, then read for a while what the client still sends.

        Closing with unread input makes the kernel send a reset, which may destroy our answer on its way (RFC 9112 9.6).
        """
        try:
            connection.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close_now(connection)
            return
        connection.owner = None
        connection.waiting = LINGER
        connection.deadline = self._now() + _LINGER_FOR
        if connection.content is not None:
            connection.content.close()
            connection.content = None
        self._watch(connection, READ)

    def _discard(self, connection: Connection, size: int) -> None:
        connection.lingered += size
        if size == 0 or connection.lingered > _LINGER_BYTES:
            self.close_now(connection)

    # Connections that a worker has, or has given back.

    def _owned_event(self, connection: Connection, mask: int) -> None:
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
            connection.watched = 0
            self._readiness.unregister(connection.fd)
            if connection.owner is not None:
                self._on_hangup(connection.owner)
        else:
            self._watch(connection, HANGUP_ONCE)
        if connection.waiting is NEXT:
            self._rearm(connection)

    def _resume(self, connection: Connection) -> Exchange | None:
        """Take back a connection from its worker: serve what is in its buffer, or listen to it again."""
        connection.waiting = NEXT
        connection.deadline = deadline(self._now(), self._timeouts.keep_alive)
        task = self._feed(connection, b"") if connection.engine.rest else None
        self._rearm(connection)
        return task

    def _rearm(self, connection: Connection) -> None:
        """Listen to a connection again, unless a worker has it: then that worker will ask for it."""
        if connection.waiting in _READS and not connection.closed:
            self._watch(connection, READ)

    def _begin_flush(self, connection: Connection) -> None:
        output = connection.output
        if output is None or output.flushed:
            return
        connection.waiting = READER
        connection.deadline = transfer_deadline(output.began_at, self._timeouts.send, output.moved)
        self._watch(connection, WRITE)

    def _writable(self, connection: Connection) -> Exchange | None:
        output = connection.output
        if output is None or output.flushed:
            return None
        if not output.flush(connection.sock):
            connection.deadline = transfer_deadline(output.began_at, self._timeouts.send, output.moved)
            return None
        if not output.finished:
            connection.waiting = WORKER
            connection.deadline = NEVER
            self._watch(connection, HANGUP_ONCE)
            return None
        tally = self.shared.tally
        written_in = self._now() - output.began_at
        tally.writes[bisect(BOUNDS, written_in)] += 1
        tally.note_longest("writes", written_in)
        connection.output = None
        connection.owner = None
        if not connection.keep_alive:
            self._linger(connection)
            return None
        return self._resume(connection)

    def _watch(self, connection: Connection, mask: int) -> None:
        before = connection.watched
        connection.watched = mask
        if before == 0:
            self._readiness.register(connection.fd, mask)  # a half-closed client, which may still want its answer
        elif before != mask:
            self._readiness.modify(connection.fd, mask)

    # Drain.

    def drain(self, until: Seconds) -> None:
        """
        Take no new clients and close the unused ones, now and as they become unused. ``until``: when those that only
        send or read slowly have had their time; requests that workers run are left alone.
        """
        self._sweeper.drain(until)
        self.stop_accepting()
        self._open.close_unused()

    def stop_accepting(self) -> None:
        """Take what the kernel has accepted already, then close the listeners."""
        for fd in list(self._acceptor.fds):
            for sock, address, prototype in self._acceptor.accept(fd, everything=True):
                self._welcome(sock, address, prototype)
        self._acceptor.close()
