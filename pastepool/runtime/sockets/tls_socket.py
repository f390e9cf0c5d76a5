"""
Put TLS around the socket of one client: what is received is decrypted, what is sent is encrypted.

A ``TlsSocket`` has the methods of a socket that the server calls, so the rest of the server treats both alike. The bytes
go through two buffers in memory, and OpenSSL never sees the socket. So a read that has to write, or a handshake that
takes several packets, is no special case: the thread that has the connection gives the bytes on.

A client that has sent nothing costs no more than one without TLS: everything is made when its first message is complete.
Then it is known which host it asks for, and so which certificate it gets.

Two rules keep the poller simple. ``recv`` returns all that can be decrypted of what came: nothing readable is left in
here, of which the poller would not be told. And ``send`` counts bytes as sent when the kernel has all of the records that
hold them; until then the caller must send the same bytes again, as it does with those that a socket did not take. So
nothing has to be flushed later that the caller does not know of.

``fileno`` is -1: bytes that go to the descriptor directly would leave this process in plain text.
"""

from __future__ import annotations

import contextlib
import enum
import errno
import socket
import ssl
import threading
from collections.abc import Callable
from typing import NoReturn

from pastepool.core.client_hello import ClientHello
from pastepool.errors import PeerError, TlsFailed
from pastepool.runtime.sockets.unacknowledged import unacknowledged

_RECORD = 16384
"""How many bytes of plain text one record of TLS may hold."""

_BLOCK = 65536
"""How many bytes are encrypted before they are given to the kernel. Fewer cost more calls; more cost memory."""

_STRETCH = 1048576
"""The most bytes that one ``send`` takes, so that a client that reads fast does not keep the baton for itself."""


class Stage(enum.Enum):
    """
    How far a connection is.

    ``NEW``: the client's first message is not complete. ``SHAKING``: the handshake is not over. ``OPEN``: bytes are encrypted.
    ``PLAIN``: the client speaks without TLS, and gets its answer in the same way. ``ENDED``: this side sends nothing more,
    and what still comes is not decrypted.
    """

    NEW = "new"
    SHAKING = "shaking"
    OPEN = "open"
    PLAIN = "plain"
    ENDED = "ended"


NEW, SHAKING, OPEN, PLAIN, ENDED = Stage


class TlsSocket:
    """
    One client's socket with TLS around it.

    Large because it stands for a socket, and because one lock orders all that reads, writes or ends its records.

    ``raw``: the socket itself. ``_unsent``: records that the kernel did not take. ``_unreported``: how many bytes of
    plain text are encrypted that the caller does not take for sent yet. ``_taken``: how many bytes of their records the
    kernel has. ``_lock``: OpenSSL allows one thread at a time, and a kill comes from another one.

    Runs on: the thread that has the connection; but ``shutdown`` and ``close`` on any thread.
    """

    __slots__ = (
        "raw", "_tls", "_incoming", "_outgoing", "_lock", "_stage", "_hello",
        "_unsent", "_unreported", "_taken", "_context_for", "_may_shake", "_on_open",
    )  # fmt: skip

    def __init__(
        self,
        raw: socket.socket,
        context_for: Callable[[str], ssl.SSLContext],
        may_shake: Callable[[], bool],
        on_open: Callable[[ssl.SSLObject, str], None],
    ) -> None:
        """
        Put TLS around a socket; nothing is sent before the client has spoken.

        Args:
            raw: the socket, non-blocking.
            context_for: returns what has the certificate for the host that the client asks for; empty for no host.
            may_shake: says whether a step of the handshake may be taken now. If not, the bytes stay in the kernel.
            on_open: called when the handshake is over, with the name of that host too.
        """
        self.raw = raw
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls: ssl.SSLObject
        self._lock = threading.Lock()
        self._stage = NEW
        self._hello = ClientHello()
        self._unsent: bytes | memoryview = b""
        self._unreported = 0
        self._taken = 0
        self._context_for = context_for
        self._may_shake = may_shake
        self._on_open: Callable[[ssl.SSLObject, str], None] | None = on_open

    def fileno(self) -> int:
        """Return -1, so that nothing is sent or received round this object."""
        return -1

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        """Set an option of the socket."""
        self.raw.setsockopt(level, option, value)

    def unacknowledged(self) -> int:
        """Return how many bytes the kernel has for the client, without those that ``send`` has not counted yet."""
        return unacknowledged(self.raw) - self._taken

    def recv(self, size: int, flags: int = 0) -> bytes:
        """
        Return what the client has sent, or ``b""`` at its end. ``size``: how many bytes are read from the kernel.

        ``flags``: with ``MSG_PEEK``, the bytes are returned as they came, and stay in the kernel.
        Raises: BlockingIOError: nothing can be decrypted yet; PeerError: the client does not speak TLS; TlsFailed.
        """
        if flags:
            return self.raw.recv(size, flags)
        if self._stage in (NEW, SHAKING) and not self._may_shake():
            raise BlockingIOError
        return self.receive(self.raw.recv(size))

    def receive(self, data: bytes) -> bytes:
        """Do the same as ``recv`` with bytes that were read from the socket already."""
        with self._lock:
            stage = self._stage
            if stage is OPEN and data:
                self._incoming.write(data)
                return self._decrypted()
            if stage in (NEW, SHAKING) and data:
                return self._shake(data)
            return data  # the end of the client, or of this side: then the bytes are only counted

    def _shake(self, data: bytes) -> bytes:
        """Take a step of the handshake. Raises: as ``recv``."""
        if self._stage is NEW:
            data = self._greeted(data)
        self._incoming.write(data)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._send_own()
            raise BlockingIOError from None
        except ssl.SSLError as error:
            self._fail(error)
        self._stage = OPEN
        self._send_own()
        on_open, self._on_open = self._on_open, None
        if on_open is not None:
            on_open(self._tls, self._hello.name)
        return self._decrypted()

    def _greeted(self, data: bytes) -> bytes:
        """
        Collect the first message of the client, and return it when it is complete.

        Raises: BlockingIOError: it is not; PeerError: the client does not speak TLS.
        """
        if not self._hello.received and data[:1].isalpha():
            self._stage = PLAIN
            raise PeerError(400, "This port speaks TLS; write https:// before its address, and not http://.")
        if not self._hello.add(data):
            raise BlockingIOError
        self._tls = self._context_for(self._hello.name).wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._stage = SHAKING
        whole, self._hello.received = bytes(self._hello.received), bytearray()
        return whole

    def _decrypted(self) -> bytes:
        """Decrypt all that came. Returns ``b""`` if the client has ended. Raises: BlockingIOError, TlsFailed."""
        read, incoming = self._tls.read, self._incoming
        pieces = []
        try:
            piece = read(_RECORD)
            while piece and incoming.pending:
                pieces.append(piece)
                piece = read(_RECORD)
            pieces.append(piece)
            if not piece:
                self._hear_end()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._fail(error)
        if self._outgoing.pending:
            self._send_own()
        if not pieces:
            raise BlockingIOError
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _hear_end(self) -> None:
        """
        Make the poll report the end, as it does where a client closes its sending side without TLS.

        It stands in the bytes of the client, and so the kernel does not know of it.
        """
        with contextlib.suppress(OSError):
            self.raw.shutdown(socket.SHUT_RD)

    def _fail(self, error: ssl.SSLError) -> NoReturn:
        """Tell the client what is wrong, and end. Raises: TlsFailed."""
        self._stage = ENDED
        self._send_own()
        raise TlsFailed((error.reason or str(error)).replace("_", " ").lower()) from error

    def send(self, data: bytes | memoryview) -> int:
        """
        Send bytes, and return how many the kernel has taken. The next call must begin with the rest.

        Raises: BlockingIOError: none of them; OSError: the client has gone, or this side has ended.
        """
        with self._lock:
            if self._stage is not OPEN:
                return self._send_outside(data)
            if self._unsent or self._unreported:
                if not self._flush():
                    raise BlockingIOError
                if self._unreported:
                    counted = min(self._unreported, len(data))
                    self._unreported -= counted
                    return counted
            if len(data) <= _BLOCK:
                return self._send_block(data)
            return self._send_blocks(memoryview(data))

    def sendmsg(self, pieces: tuple[bytes, bytes]) -> int:
        """Send a head and a body, as ``send`` does. The body is not copied, apart from its beginning."""
        head, body = pieces
        begun = max(0, _BLOCK - len(head))
        sent = self.send(head + body[:begun])
        if sent < len(head) + begun or len(body) <= begun:
            return sent
        try:
            return sent + self.send(memoryview(body)[begun:])
        except (BlockingIOError, InterruptedError):
            return sent

    def _send_outside(self, data: bytes | memoryview) -> int:
        if self._stage is PLAIN:
            return self.raw.send(data)
        raise BrokenPipeError(errno.EPIPE, "TLS has not begun, or has ended")

    def _send_blocks(self, data: memoryview) -> int:
        """Send a long piece block by block, so that the kernel has the first one early."""
        sent = 0
        try:
            while sent < min(len(data), _STRETCH):
                sent += self._send_block(data[sent : sent + _BLOCK])
        except (BlockingIOError, InterruptedError):
            if not sent:
                raise
        return sent

    def _send_block(self, block: bytes | memoryview) -> int:
        """Encrypt a block and send it. Raises: BlockingIOError: the kernel did not take all of it."""
        if not block:
            return 0
        self._tls.write(block)
        records = self._outgoing.read()
        size = len(block)
        try:
            taken = self.raw.send(records)
        except (BlockingIOError, InterruptedError):
            taken = 0
        if taken < len(records):
            self._unsent = memoryview(records)[taken:]
            self._unreported = size
            self._taken = taken
            raise BlockingIOError
        return size

    def _send_own(self) -> None:
        """Send what TLS itself has to say: the handshake, an alert, a change of keys. Raises: OSError."""
        records = self._outgoing.read()
        if len(self._unsent) > _BLOCK:
            self._stage = ENDED
            raise TlsFailed("the client asks again and again for new keys, and does not read the answers")
        if records:
            self._unsent = b"".join((self._unsent, records)) if self._unsent else records
            self._flush()

    def _flush(self) -> bool:
        """Send the records that the kernel did not take. Returns whether none is left. Raises: OSError."""
        while self._unsent:
            try:
                taken = self.raw.send(self._unsent)
            except (BlockingIOError, InterruptedError):
                return False
            self._unsent = self._unsent[taken:]
            if self._unreported:
                self._taken += taken
        self._taken = 0
        return True

    def shutdown(self, how: int) -> None:
        """
        Tell the client that nothing more comes, and shut the socket down. An answer is not waited for.

        Does not wait for a thread that is sending: then the client is told by the socket alone.
        """
        if self._lock.acquire(blocking=False):
            try:
                self._say_end()
            finally:
                self._lock.release()
        self.raw.shutdown(how)

    def _say_end(self) -> None:
        if self._stage is OPEN and not (self._unsent or self._unreported):
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()  # it wants an answer, which is not waited for
            with contextlib.suppress(OSError):
                self.raw.send(self._outgoing.read())
        if self._stage is not PLAIN:
            self._stage = ENDED

    def close(self) -> None:
        """Close the socket and say nothing. May be called twice."""
        self._on_open = None  # it has a reference to the connection, which has one to this object
        self.raw.close()


ClientSocket = socket.socket | TlsSocket
"""What the bytes of one client go through."""
