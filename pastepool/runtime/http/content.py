"""Collect the content of a request while it arrives: in memory while that is allowed, else in a temporary file."""

from __future__ import annotations

import io
import tempfile
from typing import IO, BinaryIO, cast

from pastepool.runtime.http.body_memory import BodyMemory
from pastepool.runtime.http.spool_room import close_spool_file

_LOOSE = 64
"""How many pieces are kept before they are joined. A piece of two bytes takes 40 bytes of memory by itself."""


class Content:
    """
    Collects the content of one request.

    ``received``: how many bytes have come so far. The temporary file has no name; the system deletes it when the last
    reference goes. ``lost``: why the content could not be kept, for example because the disk is full; None if it is kept;
    ``SpoolFull`` if there are too many bytes in temporary files already.
    What still comes is then only counted, so that the client can be answered after its last byte. Runs on: baton; the
    worker that ran the request closes it.
    """

    __slots__ = ("received", "lost", "_memory", "_held", "_pieces", "_loose", "_file", "_spooled", "_closed")

    def __init__(self, memory: BodyMemory) -> None:
        self.received = 0
        self.lost: OSError | None = None
        self._memory = memory
        self._closed = False
        self._held = 0
        self._pieces: list[bytes] = []
        self._loose: list[bytes] = []
        self._file: IO[bytes] | None = None
        self._spooled = 0

    def add(self, piece: bytes) -> None:
        """Append a piece, or set ``lost`` if it cannot be written."""
        self.received += len(piece)
        if self.lost is not None:
            return
        try:
            self._keep(piece)
        except OSError as error:
            self._lose(error)

    def _keep(self, piece: bytes) -> None:
        if self._file is None:
            self._loose.append(piece)
            if self.received <= self._memory.each and self._memory.take(len(piece)):
                self._held += len(piece)
                if len(self._loose) >= _LOOSE:
                    self._pieces.append(b"".join(self._loose))
                    self._loose.clear()
                return
            self._file = tempfile.TemporaryFile(prefix="pastepool-")  # noqa: SIM115  # it outlives this call
            self._memory.spool_room.files.append(None)
            piece = self._taken()
            self._let_go()
        self._memory.spool_room.take_or_raise(len(piece))
        self._spooled += len(piece)
        self._file.write(piece)

    def _lose(self, error: OSError) -> None:
        """Give up what was kept, so that its room is free at once."""
        self.lost = error
        self._taken()
        self.close()

    def _let_go(self) -> None:
        held, self._held = self._held, 0
        if held:
            self._memory.give_back(held)

    def _taken(self) -> bytes:
        """Return what is in memory, and forget it."""
        whole = b"".join(self._pieces + self._loose)
        self._pieces, self._loose = [], []
        return whole

    def file(self) -> BinaryIO:
        """Return the whole content as a file, positioned at its beginning. If it cannot be kept, set ``lost``."""
        if self._file is None or self._closed:
            return io.BytesIO(self._taken())
        try:
            self._file.seek(0)  # this writes what is still buffered
        except OSError as error:
            self._lose(error)
        return cast(BinaryIO, self._file)

    def in_child(self) -> None:
        """
        Close this process's copy of the temporary file: the process is a child of the one that serves.

        Nothing is flushed. The bytes in the buffer are the parent's, and both processes write to the same place.
        """
        if self._file is not None:
            getattr(self._file, "raw", self._file).close()

    def close(self) -> None:
        """Close the temporary file, if there is one, and give the memory back. May be called twice."""
        self._let_go()
        if self._file is not None and not self._closed:
            self._closed = True
            self._memory.spool_room.files.pop()
            self._memory.spool_room.give_back(self._spooled)
            close_spool_file(self._file, self._spooled)


class WholeContent:
    """
    Content that was complete, and in memory, before anything had to collect it. It only gives its memory back.

    Made once for each small upload, so it has nothing of what ``Content`` needs to collect. ``lost``: None, because
    it is in memory.
    """

    __slots__ = ("lost", "_memory", "_held")

    def __init__(self, memory: BodyMemory, held: int) -> None:
        """``held``: how many bytes were taken of ``memory``."""
        self.lost: OSError | None = None
        self._memory = memory
        self._held = held

    def in_child(self) -> None:
        """Do nothing: it has no file."""

    def close(self) -> None:
        """Give the memory back. May be called twice."""
        held, self._held = self._held, 0
        if held:
            self._memory.give_back(held)
