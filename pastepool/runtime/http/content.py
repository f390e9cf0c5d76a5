"""Collect the content of a request while it arrives: in memory up to a size, then in a temporary file."""

from __future__ import annotations

import io
import tempfile
from typing import IO, BinaryIO, cast


class Content:
    """
    Collects the content of one request.

    ``received``: how many bytes have come so far. The temporary file has no name; the system deletes it when the last
    reference goes. Runs on: baton.
    """

    __slots__ = ("received", "_memory_limit", "_pieces", "_file")

    def __init__(self, memory_limit: int) -> None:
        self.received = 0
        self._memory_limit = memory_limit
        self._pieces: list[bytes] = []
        self._file: IO[bytes] | None = None

    def add(self, pieces: list[bytes]) -> None:
        """Append pieces. Raises: OSError: the temporary file cannot be written, for example if the disk is full."""
        self.received += sum(map(len, pieces))
        if self._file is None:
            self._pieces += pieces
            if self.received <= self._memory_limit:
                return
            self._file = tempfile.TemporaryFile(prefix="pastepool-")  # noqa: SIM115  # it outlives this call
            pieces, self._pieces = self._pieces, []
        self._file.writelines(pieces)

    def file(self) -> BinaryIO:
        """Return the whole content as a file, positioned at its beginning."""
        if self._file is None:
            return io.BytesIO(b"".join(self._pieces))
        self._file.seek(0)
        return cast(BinaryIO, self._file)

    def close(self) -> None:
        """Close the temporary file, if there is one."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError:
                pass  # buffered bytes do not fit on the disk; they are not needed any more
