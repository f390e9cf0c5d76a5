"""
Poll the connections and find complete requests. The baton's holder runs this: one thread at a time.

``Poller.next_task`` waits for events, reads, feeds the engines and acts on deadlines. It returns when a request is
complete, or when its thread is woken (``Waker``). The rest of a batch of events stays here for the next holder, so it
costs no second system call to pass the baton.

Other modules do what most requests do not need: new clients (``welcoming``), responses without a worker and the end of
a connection (``answering``), connections that workers give back (``returning``), deadlines (``sweeper``).
"""

from __future__ import annotations

import io
import itertools
import math
import ssl
from collections.abc import Callable, Iterator
from typing import Any

from pastepool.core.deadlines import deadline, transfer_deadline
from pastepool.http1.request import Request
from pastepool.runtime.http.answering import Answering
from pastepool.runtime.http.body_memory import BodyMemory
from pastepool.runtime.http.connection import (
    BODY,
    HEAD,
    LINGER,
    NEVER,
    NEXT,
    READ_SIZE,
    READER,
    WORKER,
    Connection,
)
from pastepool.runtime.http.content import Content, WholeContent
from pastepool.runtime.http.encrypting import Encrypting
from pastepool.runtime.http.exchange import Exchange
from pastepool.runtime.http.open_connections import OpenConnections
from pastepool.runtime.http.request_looks import RequestLooks
from pastepool.runtime.http.returning import Rearming, Returning
from pastepool.runtime.http.shared import Shared
from pastepool.runtime.http.sharing import Sharing, Workers
from pastepool.runtime.http.sweeper import Sweeper
from pastepool.runtime.http.welcoming import Welcoming
from pastepool.runtime.sockets.acceptor import Acceptor
from pastepool.runtime.sockets.held_io import HeldReceive, held_receiver, holding_is_always_cheaper
from pastepool.runtime.sockets.readiness import READ, Readiness, open_readiness
from pastepool.runtime.sockets.siblings import Siblings
from pastepool.runtime.sockets.waker import Waker
from pastepool.settings.values import Settings
from pastepool.types import Seconds
from pastepool.wsgi.environ import complete_environ

_LONGEST_POLL: Seconds = 86400.0
"""The longest timeout of one poll: a day. epoll takes milliseconds as a C int, which can hold 24 days."""

_BATCH = 64
"""
How many events are taken from the kernel at once. A batch saves system calls under load; a larger one saves few more.
"""

_READ_SIZE_CONTENT = 65536
"""
How many bytes one read takes if content is expected. Not more than half of what ``malloc`` takes from its heap (128 KiB):
above it, each read has new pages from the kernel, and gives them back. Measured: with 256 KiB an upload of 64 KB cost a
third more.
"""

_READS_OF_CONTENT = 4
"""How often content is read at once. After that, other clients have their turn."""


class Poller:
    """
    Polls the connections, and makes an exchange of each complete request.

    Large because it is the path of every request: what a request needs is bound here once, where an object more would
    cost each of them a look-up or a call.

    ``connections``: the open connections by descriptor; each single operation on it is atomic. ``serials``: yields the
    serial numbers of tasks. ``workers``: says how many are free (``sharing``). ``on_hangup``: called with each exchange
    whose client has gone. ``on_turned_away``: called for each client for which there is no room. ``context_for``:
    returns that of TLS for the host that a client asks for. Runs on: baton.
    """

    def __init__(
        self,
        settings: Settings,
        shared: Shared,
        connections: OpenConnections,
        returning: Returning,
        waker: Waker,
        serials: itertools.count[int],
        *,
        workers: Workers,
        on_hangup: Callable[[Any], None],
        on_turned_away: Callable[[str, Seconds], None],
        context_for: Callable[[str], ssl.SSLContext],
    ) -> None:
        clock, timeouts, overload = shared.clock, settings.timeouts, settings.overload
        self.connections = connections.by_fd
        self.serials = serials
        self._shared = shared
        self._workers = workers
        self._sharing: Sharing | None = None
        self._connections = connections
        self._now = clock.now
        self._timeouts = timeouts
        self._body_memory = BodyMemory(settings.body_memory, settings.body_memory_total, shared.spool_room)
        self._own_paths = frozenset({b"*", settings.health_path.encode("latin-1")})
        self._looks = RequestLooks(settings.pool, clock, shared.nudge)
        self._check_at = self._looks.first_at
        self._readiness: Readiness
        self._waker = waker
        self._batch: Iterator[tuple[int, int]] = iter(())
        self._interrupted = False
        self._held_receive = held_receiver()
        self._usual_receive = self._held_receive if holding_is_always_cheaper() else None
        self._answering = Answering(connections, shared, timeouts, overload, on_turned_away)
        self._rearming = Rearming(
            connections, timeouts, clock, shared.tally, on_hangup=on_hangup, linger=self._answering.linger
        )
        self._sweeper = Sweeper(timeouts, connections, self._answering.end, self._rearming.reader_is_late)
        self._welcoming = Welcoming(
            connections, self._answering, self._sweeper, clock,
            limits=settings.limits, timeouts=timeouts, spool_files=shared.spool_room.files,
            proxy_headers=settings.proxy_headers,
            encrypting=Encrypting(settings.limits, context_for, lambda: self._batch),
        )  # fmt: skip
        self._returned = returning.queue
        self._steps: tuple[Callable[[Connection], Exchange | None], ...] = (
            self._resume,
            self._rearming.rearm,
            self._rearming.begin_flush,
            self._answering.linger,
        )
        """The function for each ``returning.Step``."""

    @property
    def proxy_refused(self) -> dict[str, int]:
        """For each listener with ``proxy``: how many connections were closed because their header was not right."""
        return {each.listener: each.refused for each in self._welcoming.proxy_headers.values()}

    def start(self, acceptor: Acceptor, siblings: Siblings | None = None) -> None:
        """
        Open what polling needs, such as the epoll descriptor. Call this in the process that will serve.

        ``siblings``: the other processes that serve on the same sockets; None if there are none.
        """
        self._readiness = open_readiness()
        self._connections.start(self._readiness)
        self._readiness.register(self._waker.open(), READ)
        if siblings is not None:
            self._sharing = Sharing(siblings, acceptor, self._workers, self._shared.clock)
        self._welcoming.start(acceptor, self._readiness, self._sharing)

    def close(self) -> None:
        """Close everything that ``start`` and polling opened. Does nothing before ``start``. Runs on: baton, last."""
        if self._waker.fd < 0:
            return
        self._welcoming.close()
        self._connections.close_all()
        self._readiness.close()
        self._waker.close()

    def in_child(self, forked_by: object | None) -> None:
        """
        Close this process's copies of all that ``start`` and polling opened, the listeners excepted.

        The process is a child of the one that serves, and shares with it what is in epoll: so nothing is unregistered.
        ``forked_by``: the request in which the application forked. Takes no lock. Runs on: the only thread of the child.
        """
        if self._waker.fd < 0:
            return
        self._readiness.close()
        self._waker.close()
        self._connections.in_child(forked_by)

    def drain(self, until: Seconds, everything: bool = True) -> None:
        """
        Take no new clients, and close each connection on which no request begins within ``idle_grace``.

        ``until``: when all connections that no worker has are closed, also those of clients that send or read slowly.
        Requests that workers run go on. ``everything``: the connections that the kernel has ready are accepted first,
        because no other process will.
        """
        self._sweeper.drain(until)
        self._welcoming.stop_accepting(everything)
        self._sweeper.sweep(self._now(), more=False)

    def next_task(self, until: Seconds = math.inf) -> Exchange | None:
        """
        Poll until a request is complete, a wake-up comes or ``until`` is reached.

        Returns: the exchange to run, which the caller now owns; None in the last two cases.
        """
        while True:
            while self._returned:
                step, returned = self._returned.popleft()
                task = self._guarded(self._steps[step], returned)
                if task is not None:
                    return task
            task = self._from_batch(self._usual_receive)
            if task is not None:
                return task
            if self._interrupted:
                self._interrupted = False
                return None
            if not self._poll(until):
                return None

    def rest(self, seconds: Seconds) -> None:
        """Wait for a wake-up, at most for ``seconds``. What clients send meanwhile is read by the next poll."""
        self._waker.wait(seconds)

    def ready_tasks(self, most: int) -> list[Exchange]:
        """
        Return up to ``most`` further exchanges that are complete, from the batch of events that was fetched already.

        This does not poll the kernel.
        """
        tasks: list[Exchange] = []
        held_receive = self._held_receive
        while len(tasks) < most:
            task = self._from_batch(held_receive)
            if task is None:
                break
            tasks.append(task)
        return tasks

    def _from_batch(self, held_receive: HeldReceive | None) -> Exchange | None:
        """
        Handle the events of the batch until a request is complete. Returns None at the end of the batch.

        ``held_receive``: reads without releasing the GIL. If given, it is tried first.
        """
        connections = self.connections
        for fd, mask in self._batch:
            connection = connections.get(fd)
            if connection is None:
                self._other_event(fd)
                continue
            waiting = connection.waiting
            if mask != READ or (waiting is not NEXT and waiting is not HEAD):
                task = self._guarded(self._event, connection, mask)
                if task is not None:
                    return task
                continue
            # The common case of ``_event``: a client sends a request.
            size = connection.read_size
            try:
                data = None if held_receive is None else held_receive(connection.sock, size)
                if data is None:
                    data = connection.recv(size)
                engine = connection.engine
                if data:
                    engine.feed(data)
                    if len(data) == size and not engine.complete:
                        self._read_on(connection)
                    if engine.complete:
                        task = self._exchange(connection)
                        if task is not None:
                            return task
                    else:
                        self._await_more(connection)
                else:
                    self._connections.close(connection)
            except BlockingIOError:
                pass
            except Exception as error:
                self._answering.end(connection, error)
        return None

    def _poll(self, until: Seconds) -> bool:
        """Fetch the next batch of events, and act on deadlines first. Returns False when ``until`` is reached."""
        now = self._now()
        if now >= self._sweeper.next_at:
            self._sweeper.sweep(now, self._welcoming.resume(now))
        wait_until = min(until, self._sweeper.next_at)
        if self._sharing is not None:
            wait_until = min(wait_until, self._sharing.look(now))
        # Without a deadline to sweep and without ``until``, sleep until something happens.
        timeout = -1.0 if wait_until == math.inf else min(max(0.0, wait_until - now), _LONGEST_POLL)
        batch = self._readiness.poll(timeout, _BATCH)
        self._batch = iter(batch)
        return bool(batch) or self._now() < until

    def _other_event(self, fd: int) -> None:
        """Handle an event of the waker, of a listener, or of a client whose connection is closed by now."""
        if fd == self._waker.fd:
            self._interrupted = True
            self._waker.answer()
        else:
            self._welcoming.accept(fd)

    def _guarded(self, step: Callable[..., Exchange | None], connection: Connection, *more: Any) -> Exchange | None:
        """Run one step for one connection. An error in the step ends that connection and no other."""
        if connection.closed:
            return None
        try:
            return step(connection, *more)
        except Exception as error:
            self._answering.end(connection, error)
        return None

    def _event(self, connection: Connection, mask: int) -> Exchange | None:
        waiting = connection.waiting
        if waiting is WORKER:
            self._rearming.owned_event(connection, mask)
            return None
        if waiting is READER:
            return self._resume(connection) if self._rearming.flush(connection) else None
        if waiting is BODY:
            return self._read_content(connection)
        try:
            data = connection.recv(_READ_SIZE_CONTENT)
        except (BlockingIOError, InterruptedError):
            return None
        if waiting is LINGER:
            self._answering.discard(connection, len(data))
            return None
        if not data:
            self._connections.close(connection)
            return None
        return self._feed(connection, data)

    def _read_on(self, connection: Connection) -> None:
        """Read what stands behind a full read, the rest of a head or content: it is mostly there."""
        left = connection.engine.remaining
        if not left:
            connection.read_size = READ_SIZE  # this head is longer than the one before, or content comes in chunks
        try:
            data = connection.recv(min(max(left, READ_SIZE), _READ_SIZE_CONTENT))
        except (BlockingIOError, InterruptedError):
            return
        if data:  # the end of the client is found by the next read
            connection.engine.feed(data)

    def _read_content(self, connection: Connection) -> Exchange | None:
        """Read content as long as more of it is there: what follows a full read is mostly there too."""
        engine = connection.engine
        for _ in range(_READS_OF_CONTENT):
            size = min(max(engine.remaining, READ_SIZE), _READ_SIZE_CONTENT)
            try:
                data = connection.recv(size)
            except (BlockingIOError, InterruptedError):
                return None
            if not data:
                self._connections.close(connection)
                return None
            task = self._feed(connection, data)
            if task is not None or len(data) < size or connection.waiting is not BODY or connection.closed:
                return task
        return None

    def _resume(self, connection: Connection) -> Exchange | None:
        """Take a connection back from its worker: serve the next request in its buffer, or watch it for input again."""
        if connection.content is not None:
            # Its client could not be told to go on until now.
            connection.waiting = BODY
            connection.began_at = self._now()
            self._await_more(connection)
            self._rearming.rearm(connection)
            return None
        self._rearming.take_back(connection)
        task = self._feed(connection, b"") if connection.engine.rest else None
        self._rearming.rearm(connection)
        return task

    def _feed(self, connection: Connection, data: bytes) -> Exchange | None:
        engine = connection.engine
        engine.feed(data)
        if engine.complete:
            return self._exchange(connection)
        self._await_more(connection)
        return None

    def _await_more(self, connection: Connection) -> None:
        """
        Wait for the rest of a request: set its deadline, keep its content, and send 100 Continue if the client expects
        it.
        """
        engine = connection.engine
        request = engine.request
        timeouts = self._timeouts
        if request is None:
            connection.read_size = READ_SIZE
            if connection.waiting is NEXT:
                connection.waiting = HEAD
                connection.began_at = self._now()
                connection.deadline = deadline(connection.began_at, timeouts.header)
            return
        now = self._now()
        content = connection.content
        if content is None:
            content = connection.content = Content(self._body_memory)
            connection.waiting = BODY
            connection.began_at = now
            if request.expects_continue and not engine.has_content:
                self._answering.tell_to_continue(connection)
        files = len(self._shared.spool_room.files)
        content.add(engine.take_body())
        connection.deadline = transfer_deadline(connection.began_at, timeouts.body, content.received, now)
        if len(self._shared.spool_room.files) > files:
            self._welcoming.keep_room()

    def _exchange(self, connection: Connection) -> Exchange | None:
        """Make a task of a complete request. Returns None if it needs no application: it is answered here."""
        exchange = connection.engine.next_request()
        if exchange.path in self._own_paths:
            self._forget_content(connection)
            self._answering.answer_here(connection, exchange)
            return None
        content: Content | WholeContent | None = None
        if exchange.announces_content:
            content = self._with_content(connection, exchange)
        else:
            complete_environ(exchange, None, 0)
        connection.waiting = WORKER
        connection.deadline = NEVER
        serial = next(self.serials)
        exchange.begin_at(connection, content, serial, self._shared)
        connection.owner = exchange  # last: if another thread forks, the child asks the owner for its content
        if serial >= self._check_at:  # not ``==``: background tasks take serials too
            self._check_at = self._looks.note(serial)
        if content is not None and content.lost is not None:
            exchange.content_lost(content.lost)
            return None
        return exchange

    def _with_content(self, connection: Connection, request: Request) -> Content | WholeContent | None:
        """Return the content of a complete request, and complete its environ, from which the application reads it."""
        memory = self._body_memory
        engine = connection.engine
        piece = engine.take_body()
        content, connection.content = connection.content, None
        if content is None:
            size = len(piece)
            if not size:
                complete_environ(request, None, 0)
                return None
            connection.read_size = READ_SIZE
            if size >= READ_SIZE > engine.head_size and connection.sock is connection.bare:
                connection.read_size = engine.head_size
            if size <= memory.each and memory.take(size):
                complete_environ(request, io.BytesIO(piece), size)
                return WholeContent(memory, size)
            content = Content(memory)
        content.add(piece)
        complete_environ(request, content.file(), content.received)
        return content

    @staticmethod
    def _forget_content(connection: Connection) -> None:
        """Drop the content of a complete request that nobody reads."""
        connection.engine.take_body()
        content, connection.content = connection.content, None
        if content is not None:
            content.close()
