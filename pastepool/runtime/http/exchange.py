"""
One request on its way through the server: a task of the pool that belongs to a connection.

The baton's holder makes it when a request is complete. One worker runs and ends it, unless the holder refuses it or the
supervisor kills it first.
"""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pastepool.core.telling.beginnings import beginning
from pastepool.core.telling.masking import masked_path, request_facts
from pastepool.core.wording import printable
from pastepool.errors import ClientGone, WorkerKilled
from pastepool.http1.response import short_answer
from pastepool.runtime.http.connection import NEXT, Connection
from pastepool.runtime.http.spool_room import SpoolFull
from pastepool.runtime.http.transmitting import SPOOL_REMEDY, TransmittingCall, spool_folder
from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.pool.task import ShedReason, TaskOutcome
from pastepool.runtime.sockets.readiness import READ
from pastepool.runtime.system.loggers import own_logger
from pastepool.types import Seconds

if TYPE_CHECKING:
    from pastepool.runtime.http.content import Content, WholeContent
    from pastepool.runtime.http.shared import Shared

_log = own_logger("pastepool.app")
_spool_log = scribbled("pastepool.http")  # the baton's holder must not wait for the log

_TITLE_LIMIT = 300
"""The most characters that the title of a request may have."""

_FAILED = "The application failed; its log has the details."

_SHED: Mapping[ShedReason, tuple[str, str]] = {
    ShedReason.QUEUE_FULL: ("refused", "All workers are busy and enough requests wait."),
    ShedReason.WAITED_TOO_LONG: ("expired", "All workers are busy; the request waited too long."),
    ShedReason.STOPPING: ("stopping", "The server is stopping."),
}
"""
For a request that was not run: its fate in the access log, and the text for its client (503, RFC 9110 15.6.4).
"""


class Exchange(TransmittingCall):
    """
    A request and its response.

    Large because one object is made for each request: it is the task of the pool, and it has the callables for the
    application; another object for either would cost every request.

    ``arrived_at``: when it began to wait for a worker; 0.0 if it never waited. ``started_at``: when a worker took it.
    ``fate``: how it ended, for the access log: empty, "killed", "client gone" or a word of ``_SHED``. ``code_sent``:
    the status of a response that the server sent in the application's place; 0 for none. ``recorded``: its access line
    was written, or is about to be. ``upload``: its content, if it has any.
    """

    fate = ""
    recorded = False
    code_sent = 0
    kill_after: Seconds | None = None
    cancellations: list[Callable[[], Any]] | None = None
    look_at_file = staticmethod(os.fstat)

    arrived_at: Seconds
    started_at: Seconds
    worker_name: str

    def begin_at(
        self, connection: Connection, upload: Content | WholeContent | None, serial: int, shared: Shared
    ) -> None:
        """
        Do the same as ``begin``, for a request with this content (None: it has none) that came on this connection.

        The lines of ``Call.begin`` are repeated instead of called, because this runs for every request. Runs on: baton.
        """
        self.serial = serial
        self.shared = shared
        self.began = False
        self.content_sent = 0
        self._head = self._left = None
        self.connection = connection
        self.upload = upload
        self._holds_more = upload is not None
        self.arrived_at = self.started_at = 0.0
        self.worker_name = ""
        environ = self.fields
        environ["pastepool.kill_after"] = self.set_kill_after
        environ["pastepool.on_cancel"] = self.on_cancel

    # For the application, through its environ.

    def set_kill_after(self, seconds: float) -> None:
        """
        Set the kill limit of this request, in seconds from its start; 0 means never.

        Raises: ValueError: the application gave a negative number or NaN.
        """
        seconds = float(seconds)
        if not seconds >= 0.0:
            raise ValueError(f"environ['pastepool.kill_after']({seconds}): seconds must be 0 (never) or more")
        self.kill_after = seconds
        self.shared.nudge()

    def on_cancel(self, callback: Callable[[], Any]) -> None:
        """
        Have ``callback()`` called if this request is killed, for example to cancel a query or end a child process.

        It runs on another thread. Raises: TypeError: the application gave something that cannot be called.
        """
        if not callable(callback):
            raise TypeError(f"environ['pastepool.on_cancel']({callback!r}): it takes a callable without arguments")
        if self.cancellations is None:
            self.cancellations = []
            self._holds_more = True
        self.cancellations.append(callback)

    # For the pool.

    @property
    def kind(self) -> bytes:
        """Return the path: requests of the same path are tasks of the same kind."""
        return self.path

    @property
    def peer(self) -> str:
        """Return the client's address, as the socket has it."""
        return self.connection.peer

    def described(self) -> Mapping[str, str]:
        """Return the facts about the request that an operator may read; nothing once it has ended."""
        environ: Mapping[str, object] | None = self.environ
        return dict(request_facts(environ)) if environ else {}

    def outcome(self) -> TaskOutcome:
        """Return the status of the response, from the application or in its place, and the fate."""
        return TaskOutcome(self.code_sent or self.code, self.fate)

    def title(self) -> str:
        """
        Name the request by its method and path. The query is left out, because it may contain secrets.

        The path is as the client sent it, percent-encoded: a decoded path could contain a line break. It does not come
        from the environ, which the application may change.
        """
        path = beginning(self.path.decode("latin-1"), _TITLE_LIMIT)
        return printable(f"{self.method} {masked_path(path)}", _TITLE_LIMIT)

    def failed(self, error: BaseException) -> None:
        """
        End a request whose call raised: send 500 if nothing was sent yet, or cut the connection. If the client gets the
        whole response, the error is only logged.

        The window is shut. The worker has the claim, except if ``fate`` is set: then the supervisor has it.
        """
        whole = self.whole and not self.fate and not isinstance(error, (ClientGone, WorkerKilled))
        if whole:
            _log.error(
                "%s: the application failed after its whole response; the client has it", self.title(), exc_info=error
            )
            return
        if isinstance(error, ClientGone):
            self.keep_alive = False
            wait = self.client_wait
            self.fate = self.fate or ("too slow" if wait is not None and wait.was_cut else "client gone")
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
            self.keep_alive = False
            self._send_kept_back()
            self._cut()
        else:
            text = _traceback_of(error) if self.shared.expose_tracebacks else _FAILED
            self.answer(500, text, keep=not isinstance(error, WorkerKilled))

    def answer(self, status: int, text: str, retry_after: int = 0, *, keep: bool = False) -> None:
        """
        Send a response in the application's place. Only the thread that has the claim may call this.

        ``keep``: whether the connection stays open afterwards if the client wants it. All content was read before.
        """
        self.began = True
        self.code_sent = status
        self.keep_alive = keep and self.keep_alive and not self.shared.closing
        data = short_answer(
            status,
            text,
            self.shared.date_header.joined(),
            retry_after=retry_after,
            head_only=self.method == "HEAD",
            kept_by=self.version if self.keep_alive else "",
        )
        try:
            self.transmit(data)
        except ClientGone:
            self.keep_alive = False
            self._cut()

    def conclude(self, now: Seconds) -> None:
        """Give the connection back or close it, then write the access line. The worker's last act on a request."""
        connection = self.connection
        shared = self.shared
        if shared.access is not None and not self.recorded:
            # The line is written last: a log that hangs must not keep the client from its next request.
            self.recorded = True
            write = shared.access(self, now)
            self.conclude(now)
            write()
            return
        self.fields = None  # type: ignore[assignment]  # breaks the cycle of references through the methods in it
        if self._holds_more:
            self._drop_more()
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

    def _drop_more(self) -> None:
        """
        Drop what few requests have.

        The callables of the application, and ``Joining``, may hold this object: a cycle of references.
        """
        self.cancellations = None
        self._joining = None
        if self.upload is not None:
            self.upload.close()

    def killed(self, now: Seconds) -> None:
        """
        End the response of a request that is killed: send 504 if nothing was sent, cut the connection, and write the
        access line.

        Runs on: supervisor, which has won the claim.
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
        Cut the connection if the worker waits for a slow reader; this ends the wait. Called if a kill found the window
        shut.

        Returns whether it cut the connection. If not, the call has just returned and its response is being sent. Runs
        on: supervisor.
        """
        output = self.connection.output
        if output is None or output.flushed:
            return False
        self.fate = "killed"
        if not self._ends_with_connection():
            self.connection.shutdown()
        output.break_off()
        return True

    def refused(self, reason: ShedReason) -> None:
        """Send 503 with a Retry-After (RFC 9110 10.2.3), and end the request."""
        now = self.shared.clock.now()
        self.fate, text = _SHED[reason]
        self.answer(503, text, self.shared.retry_after)
        self._record_aside(now)
        self.conclude(now)

    def content_lost(self, error: OSError) -> None:
        """Answer a request whose content could not be kept, and end it. Its content was read to the end."""
        now = self.shared.clock.now()
        self.fate = "no room"
        text = "The server has no room for the content of this request."
        size = self.environ["CONTENT_LENGTH"]
        if isinstance(error, SpoolFull):
            _spool_log.error(
                "%s: its content of %s bytes is not kept: %s; the client is told 503. If the disk has room, raise "
                "spool_total",
                *(self.title(), size, error),
            )
            self.answer(503, text, self.shared.retry_after, keep=True)
        else:
            _spool_log.error(
                "%s: its content of %s bytes cannot be kept in %s: %s; the client is told 507. %s",
                *(self.title(), size, spool_folder(), error, SPOOL_REMEDY),
            )
            self.answer(507, text, keep=True)
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

    def in_child(self) -> None:
        """Close this process's copy of the content: the process is a child of the one that serves."""
        if self.upload is not None:
            self.upload.in_child()

    def _send_kept_back(self) -> None:
        """Send what the application has yielded before it failed, as far as the client takes it."""
        if self._joining is not None:
            with contextlib.suppress(ClientGone):
                self._joining.end()

    def _record_aside(self, now: Seconds) -> None:
        """Have the access line written by another thread, because this one must not wait for the log."""
        self.recorded = True
        access = self.shared.access
        if access is not None:
            access(self, now, aside=True)()

    def _cut(self) -> None:
        """Close the connection in a way that shows the client that the response is incomplete."""
        if self._ends_with_connection():
            self.connection.reset_at_close()
        self.shared.returning.close_now(self.connection)

    def _ends_with_connection(self) -> bool:
        """
        Return whether the response has begun and only the end of the connection ends it.

        A normal close would then make an incomplete response look complete.
        """
        if not self.began or self.code_sent or self._chunked or self._left is not None:
            return False
        return not self._bare()


def _traceback_of(error: BaseException) -> str:
    """Return the traceback of a failure as text for a client (``expose_tracebacks``)."""
    return "".join(traceback.format_exception(error)).rstrip()
