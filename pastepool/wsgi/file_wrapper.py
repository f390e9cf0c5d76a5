"""``wsgi.file_wrapper`` (PEP 3333, "Optional Platform-Specific File Handling")."""

from __future__ import annotations

from typing import Any

from pastepool.core.ownership import calls_application

_BLOCK_SIZE = 65536


class FileWrapper:
    """
    Wrap a file-like object as an iterator over its blocks.

    The server sends a plain regular file without reading it (see ``plain_file``). It iterates over any other object.

    ``filelike``: needs ``read``. If it has ``close``, this is called at the end of the response. ``left``: how many bytes
    the iteration may still yield; None for all.

    Frameworks move the file before they return the wrapper, so that a range of a large file costs no reading. For this
    the wrapper is its own iterator, and has ``seek``, ``tell`` and ``close`` if the object has them. ``seekable`` and
    ``seek`` serve Werkzeug; ``app_iter_range`` serves WebOb and Pyramid.
    """

    def __init__(self, filelike: Any, block_size: int = _BLOCK_SIZE) -> None:
        self.filelike = filelike
        self.block_size = block_size or _BLOCK_SIZE
        self.left: int | None = None
        for name in ("close", "seek", "tell"):
            if hasattr(filelike, name):
                setattr(self, name, getattr(filelike, name))

    def __iter__(self) -> FileWrapper:
        return self

    @calls_application
    def __next__(self) -> bytes:
        left = self.left
        if left == 0:
            raise StopIteration
        block = self.filelike.read(self.block_size if left is None else _at_most(self.block_size, left))
        if block == b"":  # and not ``not block``: None and "" are mistakes, which the server reports
            raise StopIteration
        if left is not None and block is not None:
            block = block[:left]
            self.left = left - len(block)
        return block  # type: ignore[no-any-return]  # the server checks the type of each piece

    @calls_application
    def seekable(self) -> bool:
        """Say whether ``seek`` works."""
        if hasattr(self.filelike, "seekable"):
            return bool(self.filelike.seekable())
        return hasattr(self.filelike, "seek")

    def end_after(self, size: int | None) -> None:
        """Yield at most ``size`` further bytes, and do not read any more than that; None changes nothing."""
        if size is not None:
            self.left = size if self.left is None else min(self.left, size)

    @calls_application
    def app_iter_range(self, start: int, stop: int | None) -> FileWrapper:
        """
        Return an iterator over the bytes from ``start`` up to ``stop`` (None: the end), counted from where the file is
        now.

        Source: WebOb calls the method of this name for a request with a Range field.
        """
        if self.seekable():
            self.filelike.seek(self.filelike.tell() + start)
        else:
            to_skip = start
            while to_skip > 0:
                skipped = self.filelike.read(_at_most(self.block_size, to_skip))
                if not skipped:
                    break
                to_skip -= len(skipped)
        if stop is not None:
            self.end_after(max(0, stop - start))
        return self


def _at_most(block_size: int, left: int) -> int:
    """Return the size of the next read. A negative block size means the whole rest, as for ``read``."""
    return left if block_size < 0 else min(block_size, left)
