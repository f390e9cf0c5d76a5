"""
Keep the output of one response in a temporary file, until its client has read it.

The file has no name: the system deletes it when it is closed. The worker only appends, and the baton's holder sends the
bytes in order. When all bytes in the file were sent, it is closed; if the client falls behind again, there is a new one.
"""

from __future__ import annotations

import os
import tempfile
from typing import IO

from pastepool.runtime.http.file_part import FilePart
from pastepool.runtime.http.spool_room import SpoolRoom, close_spool_file


class SpooledPart(FilePart):
    """Bytes of a response in its temporary file. The file belongs to the ``Spool``, which closes it."""

    __slots__ = ()

    what = "temporary file of this response"

    def close(self) -> None:
        """Do nothing: further bytes of the response may be in the file."""


class Spool:
    """
    The temporary file of one response.

    ``most``: how many bytes it may hold. ``room``: what all temporary files together may hold. Takes no lock: ``Output``
    calls one method at a time.
    """

    __slots__ = ("_most", "_room", "_file", "_end")

    def __init__(self, most: int, room: SpoolRoom) -> None:
        """Open the file. Raises: OSError: there is no directory for it, or no descriptor is left."""
        self._most = most
        self._room = room
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="pastepool-", buffering=0)  # noqa: SIM115  # see close
        self._end = 0
        room.files.append(None)

    def append(self, piece: memoryview) -> SpooledPart | None:
        """
        Write a piece behind all others. Returns where it is; None if there is no room for it.

        Raises: OSError: the disk is full, for example. Then the piece is not in the file. Runs on: worker.
        """
        size = len(piece)
        if self._end + size > self._most or not self._room.take(size):
            return None
        fd = self._file.fileno()
        try:
            written = 0
            while written < size:
                written += os.pwrite(fd, piece[written:], self._end + written)
        except OSError:
            self._room.give_back(size)
            raise
        part = SpooledPart(fd, self._end, size)
        self._end += size
        return part

    def close(self) -> None:
        """Give the room back and close the file, a large one in a thread of its own. Call it once. Runs on: any thread."""
        self._room.give_back(self._end)
        self._room.files.pop()
        close_spool_file(self._file, self._end)

    def in_child(self) -> None:
        """Close this process's copy of the file: the process is a child of the one that serves."""
        self._file.close()
