"""Request content on its way in: in memory up to a size, then in a temporary file."""

from __future__ import annotations

import io
import tempfile
from typing import IO, BinaryIO, cast


class Content:
    """
    Collects one request's content.

    ``received``: bytes so far. Runs on: baton. A temporary file has no name and goes with its last reference.
    """

    __slots__ = ("received", "_memory_limit", "_pieces", "_file")

    def __init__(self, memory_limit: int) -> None:
        self.received = 0
        self._memory_limit = memory_limit
        self._pieces: list[bytes] = []
        self._file: IO[bytes] | None = None

    def add(self, pieces: list[bytes]) -> None:
        """Keep these. Raises: OSError if the temporary file cannot be written (disk full)."""
        self.received += sum(map(len, pieces))
        if self._file is None:
            self._pieces += pieces
            if self.received <= self._memory_limit:
                return
            self._file = tempfile.TemporaryFile(prefix="pastepool-")  # noqa: SIM115  # it outlives this call
            pieces, self._pieces = self._pieces, []
        self._file.writelines(pieces)

    def file(self) -> BinaryIO:
        """The whole content as a file at its beginning, which ends where the content ends."""
        if self._file is None:
            return io.BytesIO(b"".join(self._pieces))
        self._file.seek(0)
        return cast(BinaryIO, self._file)

    def close(self) -> None:
        """Let go of an unfinished upload."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError:
                pass  # what is still buffered does not fit on the disk any more, and is not wanted
