"""
Send a range of a file by ``os.sendfile``, and by reading where the file system or the kernel refuses that.

Runs on: the worker of the response, then the baton's holder; never both at once.
"""

from __future__ import annotations

import os

from pastepool.errors import AppError, ClientGone
from pastepool.runtime.sockets.tls_socket import ClientSocket

_STRETCH = 1048576
"""The most bytes that one ``send`` asks the kernel to send."""

_READ_SIZE = 65536
"""How many bytes are read at once where ``sendfile`` is refused."""


class FilePart:
    """
    A range of an open file that is still to be sent.

    ``fd``: its descriptor. ``offset``: of the next byte. ``left``: how many bytes are still to be sent. ``what``: names
    the file in errors.
    """

    __slots__ = ("fd", "offset", "left", "_refused")

    what = "file"

    def __init__(self, fd: int, offset: int, left: int) -> None:
        self.fd = fd
        self.offset = offset
        self.left = left
        self._refused = False

    def keep(self) -> None:
        """Change to a duplicate of the descriptor, which ``close`` closes. Raises: OSError: no descriptor is left."""
        self.fd = os.dup(self.fd)

    def send(self, sock: ClientSocket) -> int:
        """
        Send some bytes, and return how many.

        Raises: BlockingIOError; ClientGone; AppError: the file cannot be read, or it ended before ``left`` bytes.
        """
        sent = 0 if self._refused else self._send_by_kernel(sock)
        if sent == 0:
            # Not every file system can do it; and on one with false sizes the kernel may see the end where ``read``
            # does not.
            self._refused = True
            sent = _send(sock, self.read())
        self.skip(sent)
        return sent

    def _send_by_kernel(self, sock: ClientSocket) -> int:
        """
        Return how many bytes the kernel sent: 0 at the end of the file, and where it refuses to send the file.

        It refuses with TLS too, whose sockets have no descriptor to send to.
        """
        try:
            return os.sendfile(sock.fileno(), self.fd, self.offset, min(self.left, _STRETCH))
        except (BlockingIOError, InterruptedError):
            raise
        except ConnectionError as error:
            raise ClientGone("The client has gone.") from error
        except OSError:
            return 0  # the file or the socket failed: reading or sending the next block shows which

    def read(self) -> bytes:
        """Read the next block. Raises: AppError, as ``send``."""
        try:
            block = os.pread(self.fd, min(self.left, _READ_SIZE), self.offset)
        except OSError as error:
            raise AppError(f"The {self.what} cannot be read at byte {self.offset}: {error}.") from error
        if not block:
            raise AppError(f"The {self.what} became shorter while it was sent: {self.left} bytes are missing.")
        return block

    def skip(self, size: int) -> None:
        """Count ``size`` bytes as sent."""
        self.offset += size
        self.left -= size

    def close(self) -> None:
        """Close the descriptor. Only after ``keep``."""
        os.close(self.fd)


def _send(sock: ClientSocket, block: bytes) -> int:
    try:
        return sock.send(block)
    except (BlockingIOError, InterruptedError):
        raise
    except OSError as error:
        raise ClientGone("The client has gone.") from error
