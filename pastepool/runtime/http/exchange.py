"""
One request on its way through the server: the pool's task, with a connection behind it.

Made by the baton's holder when a request is complete; run, and ended, by one worker, unless the holder refuses it or
the supervisor kills it first.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pastepool.core.telling.masking import masked_path, request_facts
from pastepool.core.wording import printable
from pastepool.errors import ClientGone, WorkerKilled
from pastepool.http1.engine import Request
from pastepool.http1.response import NO_CONTENT, short_answer
from pastepool.runtime.http.connection import NEXT, Connection
from pastepool.runtime.http.output import FilePart, Output
from pastepool.runtime.pool.task import Outcome, ShedReason
from pastepool.runtime.sockets.held_io import HELD_AT_MOST, held_send
from pastepool.runtime.sockets.readiness import READ
from pastepool.types import CallWindow, Seconds
from pastepool.wsgi.call import Call

if TYPE_CHECKING:
    from pastepool.runtime.http.content import Content
    from pastepool.runtime.http.shared import Shared

_log = logging.getLogger("pastepool.app")

_TITLE_LIMIT = 300
"""Characters of a request's title; nothing derives it."""

_SHED: Mapping[ShedReason, tuple[str, str]] = {
    ShedReason.QUEUE_FULL: ("refused", "All workers are busy and enough requests wait."),
    ShedReason.WAITED_TOO_LONG: ("expired", "All workers are busy; the request waited too long."),
    ShedReason.STOPPING: ("stopping", "The server is stopping."),
}
"""What the access log and the client are told of a request that was not run (RFC 9110 15.6.4)."""


class Exchange(Call):
    """
    A request and its answer.

    Large because one object is made for each request: it is the task of the pool, the application's callables and the way of
    the bytes, and an object more for any of these would cost every request.

    ``arrived_at``: when it began to wait for a worker; 0.0 if it never had to. ``started_at``: when a worker took it.
    ``fate``: how it ended, for the access log: empty, "killed", "client gone" or a word of ``_SHED``.
    """

    fate = ""
    worker_name = ""
    recorded = False
    code_sent = 0
    kill_after: Seconds | None = None
    cancellations: list[Callable[[], Any]] | None = None
    upload: Content | None = None

    arrived_at: Seconds = 0.0
    started_at: Seconds = 0.0

    def __init__(
        self, request: Request, environ: dict[str, Any], serial: int, connection: Connection, shared: Shared
    ) -> None:
        # Call.__init__ is repeated here rather than called: this runs for every request.
        self.request = request
        self.environ = environ
        self.serial = serial
        self.keep_alive = request.keep_alive
        self._date_and_server = shared.date_and_server
        self.connection = connection
        self.shared = shared
        environ["pastepool.client_gone"] = self.client_gone
        environ["pastepool.kill_after"] = self.set_kill_after
        environ["pastepool.on_cancel"] = self.on_cancel

    # For the application, through its environ.

    def client_gone(self) -> bool:
        """
        Say whether the client has hung up.

        True also for a client that only closed its sending side and still reads; TCP shows no difference until
        something is sent. Known some milliseconds after the fact.
        """
        return self.connection.gone or self.connection.closed

    def set_kill_after(self, seconds: float) -> None:
        """Give this request a kill limit of its own, counted from its start; 0 means never."""
        seconds = float(seconds)
        if not seconds >= 0.0:
            raise ValueError(f"environ['pastepool.kill_after']({seconds}): seconds must be 0 (never) or more")
        self.kill_after = seconds
        self.shared.nudge()

    def on_cancel(self, callback: Callable[[], Any]) -> None:
        """
        Have ``callback()`` run, on another thread, if this request is killed: to cancel a query, to end a child
        process.
        """
        if not callable(callback):
            raise TypeError(f"environ['pastepool.on_cancel']({callback!r}): it takes a callable without arguments")
        if self.cancellations is None:
            self.cancellations = []
        self.cancellations.append(callback)

    # For the pool.

    @property
    def kind(self) -> bytes:
        """Its path."""
        return self.request.path

    @property
    def peer(self) -> str:
        """Its client's address."""
        return self.connection.peer

    def described(self) -> Mapping[str, str]:
        """What an operator may read of it; nothing once it has ended."""
        environ: Mapping[str, object] | None = self.environ
        return dict(request_facts(environ)) if environ else {}

    def outcome(self) -> Outcome:
        """The status that was sent, by the application or in its place, and its fate."""
        return Outcome(self.code_sent or self.code, self.fate)

    def run(self, window: CallWindow) -> None:
        """Call the application and answer. Raises whatever ended it early; the window may still be open then."""
        self.respond(self.shared.application, window)

    def title(self) -> str:
        """
        The request in a few words, without its query, which may hold secrets.

        As it came, percent-encoded: decoded it could break a line of the log, and the application may change its
        environ.
        """
        return printable(f"{self.request.method} {masked_path(self.request.path.decode('latin-1'))}", _TITLE_LIMIT)

    def failed(self, error: BaseException) -> None:
        """The call ended early. The window is shut and the claim is ours unless ``fate`` says otherwise."""
        self.keep_alive = False
        if isinstance(error, ClientGone):
            self.fate = self.fate or "client gone"
            self._cut()
            return
        if not isinstance(error, WorkerKilled):
            _log.error(
                "%s: the application failed%s",
                self.title(),
                " after its response had begun; the connection is cut" if self.began else "; the client is told 500",
                exc_info=error,
            )
        if self.began or self.fate:
            self._cut()
        else:
            self.answer(500, "The application failed; its log has the details.")

    def answer(self, status: int, text: str, retry_after: int = 0) -> None:
        """Answer in the application's place. Only for whoever has the claim; the connection closes after it."""
        self.began = True
        self.code_sent = status
        self.keep_alive = False
        data = short_answer(
            status,
            text,
            self.shared.date_header.joined(),
            retry_after=retry_after,
            head_only=self.request.method == "HEAD",
        )
        try:
            self.transmit(data)
        except ClientGone:
            self._cut()

    def conclude(self, now: Seconds) -> None:
        """Give the connection back, or close it, and write the access line. The worker's last act on a request."""
        connection = self.connection
        shared = self.shared
        if shared.access is not None and not self.recorded:
            # The line last: a log that hangs must not keep the client from its next request.
            self.recorded = True
            write = shared.access(self, now)
            self.conclude(now)
            write()
            return
        self.environ = None  # type: ignore[assignment]  # ends the cycle through the callables in it
        self.cancellations = None
        if self.upload is not None:
            self.upload.close()
        if connection.closed:
            return
        output = connection.output
        if output is not None:
            connection.keep_alive = self.keep_alive
            if output.finish():
                return
            connection.output = None
        if not self.keep_alive:
            shared.returning.close_soon(connection)
            return
        connection.owner = None
        connection.deadline = now + shared.keep_alive_for
        if connection.engine.rest or connection.watched != READ:
            shared.returning.give_back(connection)
            return
        connection.waiting = NEXT  # from here on the poller may read; see Rearming.owned_event
        if connection.watched != READ:
            shared.returning.rearm(connection)

    def killed(self, now: Seconds) -> None:
        """
        The claim was won for a kill: answer 504 if nothing was sent, cut the connection, write the access line.

        Runs on: supervisor.
        """
        self.fate = "killed"
        if not self.began:
            self.answer(504, "The request took too long and was ended by the server.")
        self._record_aside(now)
        if not self._ends_with_connection():
            self.connection.shutdown()
        self._cut()

    def cut_if_waiting(self) -> bool:
        """
        A kill found the window shut. If that is because the worker waits for a slow reader, cut the connection, which
        ends the wait; otherwise the call has just returned, and its answer is on its way.

        Runs on: supervisor.
        """
        output = self.connection.output
        if output is None or output.flushed:
            return False
        self.fate = "killed"
        output.break_off()
        self.connection.shutdown()
        return True

    def refused(self, reason: ShedReason) -> None:
        """Answer 503 and say when to come back (RFC 9110 10.2.3)."""
        now = self.shared.clock.now()
        self.fate, text = _SHED[reason]
        self.answer(503, text, self.shared.retry_after)
        self._record_aside(now)
        self.conclude(now)

    def dropped(self) -> None:
        """End a waiting request whose client has hung up."""
        now = self.shared.clock.now()
        self.fate = "client gone"
        self.keep_alive = False
        self._cut()
        self._record_aside(now)
        self.conclude(now)

    def _record_aside(self, now: Seconds) -> None:
        """Write the access line on a thread that must not wait for the log."""
        self.recorded = True
        access = self.shared.access
        if access is not None:
            access(self, now, aside=True)()

    def _cut(self) -> None:
        """Close so that the client can tell the response is not whole."""
        if self._ends_with_connection():
            self.connection.reset_at_close()
        self.shared.returning.close_now(self.connection)

    def _ends_with_connection(self) -> bool:
        """
        Whether the response has begun and only its end tells the client how long it is: a plain close would look
        whole.
        """
        head = self._head
        if head is None or not self.began or self.code_sent or self._chunked or self._left is not None:
            return False
        return self.request.method != "HEAD" and head.code not in NO_CONTENT

    # For Call: where the bytes go.

    def transmit(self, data: bytes) -> None:
        connection = self.connection
        output = connection.output
        if output is not None and output.flushed:
            output = connection.output = None
        if output is None:
            try:
                sent = connection.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError as error:
                raise ClientGone("The client has gone.") from error
            if sent != len(data):
                self._queue(memoryview(data)[sent:])
        else:
            self._queue(memoryview(data))

    def transmit_more(self, data: bytes) -> None:
        connection = self.connection
        if connection.output is None and len(data) <= HELD_AT_MOST:
            data = data[held_send(connection.sock, data) :]
            if not data:
                return
        self.transmit(data)

    def transmit_two(self, head: bytes, body: bytes) -> None:
        connection = self.connection
        if connection.output is not None:
            self.transmit(head + body)
            return
        try:
            sent = connection.sock.sendmsg((head, body))
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            raise ClientGone("The client has gone.") from error
        size = len(head)
        if sent < size:
            self._queue(memoryview(head)[sent:])
            sent = size
        if sent < size + len(body):
            self._queue(memoryview(body)[sent - size :])

    def _queue(self, part: memoryview | FilePart) -> None:
        """Leave a part to the poller, waiting first if too much waits already."""
        connection = self.connection
        output = connection.output
        if output is not None and output.size > self.shared.watermark:
            output.wait_below(self.shared.watermark)
        if output is None or not output.add(part):
            output = Output(self.shared.clock.now())
            output.add(part)
            connection.output = output
            if connection.closed:
                # By the supervisor, just now: nobody else would wake who waits for this output.
                output.break_off()
            self.shared.returning.flush_soon(connection)

    def file_length(self, filelike: Any, wanted: int | None) -> int | None:
        try:
            fd = filelike.fileno()
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                return None
            left = max(0, status.st_size - int(filelike.tell()))
        except (AttributeError, OSError, ValueError, TypeError):
            return None  # a file-like object without a file: it is read instead
        return left if wanted is None else min(wanted, left)

    def transmit_file(self, head: bytes, filelike: Any, length: int) -> None:
        self.transmit(head)
        if length == 0:
            return
        part = FilePart(os.dup(filelike.fileno()), filelike.tell(), length)
        connection = self.connection
        try:
            while part.left and connection.output is None:
                part.send(connection.sock)
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            part.close()
            raise ClientGone("The client has gone.") from error
        if part.left:
            self._queue(part)
        else:
            part.close()

    def closing(self) -> bool:
        return self.shared.draining or self.old_protocol
