"""
Send the bytes of a response: at once as far as the socket takes them, the rest through the poller.

A client that reads slowly makes a worker wait only when the bytes that wait for it are too many for memory and for the
temporary files.
"""

from __future__ import annotations

import tempfile
from abc import abstractmethod
from typing import TYPE_CHECKING

from pastepool.errors import ClientGone
from pastepool.runtime.http.client_wait import ClientWait
from pastepool.runtime.http.connection import Connection
from pastepool.runtime.http.file_part import FilePart
from pastepool.runtime.http.joining import Joining
from pastepool.runtime.http.output import Output
from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.sockets.held_io import held_send
from pastepool.runtime.system.loggers import own_logger
from pastepool.types import Seconds
from pastepool.wsgi.call import Call
from pastepool.wsgi.plain_file import PlainFile

if TYPE_CHECKING:
    from pastepool.runtime.http.shared import Shared

_log = own_logger("pastepool.app")
_spool_log = scribbled("pastepool.http")  # the baton's holder must not wait for the log

SPOOL_REMEDY = "Make room there, or set the environment variable TMPDIR to a directory that has room"

_GONE_AFTER: Seconds = 1.0
"""
A client that has closed its sending side is taken for gone when for this long there was nothing to send it. It may be
one that closed only that side and still reads (docs/adr/0010): an application that yields empty pieces for a moment,
and then content, still answers it.
"""

_LOOK_FOR_ROOM_EVERY: Seconds = 1.0
"""
How often a worker that waits for its client looks whether there is room for its output on the disk: other responses may
have ended.
"""

_SENDING_AFTER: Seconds = 0.02
"""
After this time a worker that waits for its client is *sending*, and is replaced. For a client that reads fast, each wait
is shorter, and the supervisor is not nudged for each of them.
"""


class TransmittingCall(Call):
    """
    A response on its way to its client: what ``Call`` leaves to a subclass.

    ``client_wait``: how its worker has waited for its client, if it has. ``_holds_more``: whether it has something that few
    requests have and that must be dropped at its end. Runs on: the worker that has the request.
    """

    connection: Connection
    shared: Shared
    client_wait: ClientWait | None = None

    _joining: Joining | None = None
    _holds_more: bool
    _seen_gone_at: Seconds | None = None
    _unspooled = False

    @abstractmethod
    def title(self) -> str:
        """Name the request in a line of the log."""

    def transmit(self, data: bytes) -> None:
        connection = self.connection
        size = len(data)
        sent = 0
        if connection.output is None and size <= self.shared.whole_held_at_most:
            sent = held_send(connection.sock, data)
        if sent == size:
            return
        if sent:
            self._queue(memoryview(data)[sent:])
        else:
            self._transmit_any(data)

    def _transmit_any(self, data: bytes) -> None:
        """Do the work of ``transmit`` where its usual case has sent nothing."""
        connection = self.connection
        output = connection.output
        if output is not None and not output.flushed:
            self._queue(memoryview(data))
            return
        connection.output = None
        try:
            sent = connection.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            raise ClientGone("The client has gone.") from error
        if sent != len(data):
            self._queue(memoryview(data)[sent:])

    def transmit_more(self, data: bytes) -> None:
        joining = self._joining
        if joining is None:
            shared = self.shared
            joining = self._joining = Joining(self.connection, self._send_joined, shared.sender, shared.clock)
            self._holds_more = True
        joining.add(data)

    def transmit_last(self, data: bytes) -> None:
        if self._joining is not None:
            self._joining.end(data)
        elif data:
            self._send_joined(data)

    def _send_joined(self, data: bytes) -> None:
        """Do the work of ``transmit`` without releasing the GIL, if the socket takes all of it (``held_io``)."""
        connection = self.connection
        if connection.output is None and len(data) <= self.shared.held_at_most:
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
        """
        Leave a part to the poller, which sends it later. Blocks first if too many bytes wait already, in memory and on
        the disk.
        """
        connection = self.connection
        output = connection.output
        if output is not None and output.held > self.shared.watermark and self._spooled_after_wait(output, part):
            return
        if output is None or not output.add(part):
            output = Output(self.shared.clock.now())
            output.add(part)
            connection.output = output
            if connection.closed:
                # The supervisor has just closed it, before it could see this output. So a worker that waits for the
                # output would never be woken.
                output.break_off()
            self.shared.returning.flush_soon(connection)

    def _spooled_after_wait(self, output: Output, part: memoryview | FilePart | None) -> bool:
        """
        Write a part to the temporary file, or block until there is room in memory. Returns whether it was written.

        ``part``: only bytes are written to the file. Raises: ClientGone.
        """
        watermark = self.shared.watermark
        wait: ClientWait | None = None
        try:
            while output.held > watermark:
                if isinstance(part, memoryview) and self._spooled(output, part):
                    return True
                output.wait_for_room(watermark // 2, _SENDING_AFTER if wait is None else _LOOK_FOR_ROOM_EVERY)
                if wait is None and output.held > watermark:
                    wait = self._begin_wait()
            return False
        finally:
            if wait is not None:
                wait.end()

    def _begin_wait(self) -> ClientWait:
        """Note that the worker does nothing any more but wait for its client."""
        wait = self.client_wait
        if wait is None:
            wait = self.client_wait = ClientWait(self.connection, self.shared.clock, self.shared.nudge)
        wait.begin()
        return wait

    def _spooled(self, output: Output, piece: memoryview) -> bool:
        """Write a piece to the temporary file. Returns False if that is not possible. Raises: ClientGone."""
        shared = self.shared
        if self._unspooled or not shared.output_spool:
            return False
        try:
            return output.spool(piece, shared.open_spool)
        except ClientGone:
            raise
        except OSError as error:
            self._unspooled = True
            if shared.spool_room.is_news(shared.clock.now()):
                _spool_log.error(
                    "%s: its response cannot be kept in %s: %s; its worker waits until the client has read more. %s",
                    *(self.title(), spool_folder(), error, SPOOL_REMEDY),
                )
            return False

    def transmit_file(self, head: bytes, file: PlainFile, length: int) -> None:
        self.transmit(head)
        part = FilePart(file.fd, file.position, length)
        connection = self.connection
        try:
            while part.left and connection.output is None:
                part.send(connection.sock)
        except (BlockingIOError, InterruptedError):
            pass
        if not part.left:
            return
        if connection.output is not None:
            # Not later: if the client goes meanwhile, nothing would close a duplicate of the descriptor.
            self._spooled_after_wait(connection.output, None)
        try:
            part.keep()
        except OSError:
            self._transmit_read(part)  # this process has as many open files as it may have
        else:
            self._queue(part)

    def _transmit_read(self, part: FilePart) -> None:
        """Send the rest of a file as bytes, while the worker still has the file open."""
        while part.left:
            block = part.read()
            self.transmit(block)
            part.skip(len(block))

    def cut_off(self) -> None:
        _log.warning(
            "%s: the application yields more than its Content-Length; the rest is not sent",
            self.title(),
        )

    def abandoned(self) -> bool:
        if self.connection.closed:
            return True
        if not self.connection.gone:
            return False
        now = self.shared.clock.now()
        if self._seen_gone_at is None:
            self._seen_gone_at = now
        return now >= self._seen_gone_at + _GONE_AFTER


def spool_folder() -> str:
    """Name the directory of temporary files, for an error."""
    return tempfile.tempdir or "a temporary directory"
