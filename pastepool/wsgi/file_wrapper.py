"""``wsgi.file_wrapper`` (PEP 3333, "Optional Platform-Specific File Handling")."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pastepool.core.ownership import calls_application


class FileWrapper:
    """
    Wrap a file as an iterable of blocks.

    The server sends a regular file without reading it; it iterates over any other file-like object.

    ``filelike``: needs ``read``. If it has ``close``, this is called at the end of the response.
    """

    def __init__(self, filelike: Any, block_size: int = 65536) -> None:
        self.filelike = filelike
        self.block_size = block_size
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._block, b"")

    @calls_application
    def _block(self) -> bytes:
        block: bytes = self.filelike.read(self.block_size)
        return block
