"""
Prove that a file-like object is a plain regular file at a known position, so that the kernel may send its bytes.

The proof must be strict, because what is sent must equal what ``read`` returns. Any class of its own may transform the
bytes, as ``gzip.GzipFile`` does, and still have a ``fileno``. So only the exact types of ``io`` count. Files of /proc
and /sys are regular files with false sizes: /proc says 0, /sys says 4096.
"""

from __future__ import annotations

import io
import stat
from collections.abc import Callable
from typing import Any, NamedTuple

_BUFFERED = (io.BufferedReader, io.BufferedRandom)

_OVERRIDDEN = ("read", "tell", "fileno")
"""Methods that somebody may have replaced on the object itself. Then the type proves nothing."""


class PlainFile(NamedTuple):
    """
    A regular file, and where its content begins.

    ``fd``: its descriptor. ``position``: of the next byte that ``read`` would return. ``left``: bytes from there to the
    end, as far as the size is true. ``stored``: whether the file has blocks on a disk. A file without any is sparse, or
    the kernel makes its content when it is read; then ``left`` may be false.
    """

    fd: int
    position: int
    left: int
    stored: bool


def plain_file(filelike: Any, look: Callable[[int], Any]) -> PlainFile | None:
    """
    Return what is known of a plain regular file, or None if the object is not proven to be one.

    ``look``: returns the status of a descriptor (``os.fstat``). An object whose size is 0 is not proven to be empty. A
    file that is open for writing is flushed first.
    """
    kind = type(filelike)
    try:
        raw = filelike.raw if kind in _BUFFERED else filelike
        if type(raw) is not io.FileIO or any(name in vars(each) for each in (filelike, raw) for name in _OVERRIDDEN):
            return None
        if kind is io.BufferedRandom:
            filelike.flush()
        fd = filelike.fileno()
        status = look(fd)
        position = filelike.tell()
    except (OSError, ValueError):
        return None  # it is closed, detached or has no position; if that is a mistake, reading it will show it
    left = status.st_size - position
    if left <= 0 or not stat.S_ISREG(status.st_mode):
        return None
    return PlainFile(fd, position, left, status.st_blocks > 0)


def read_fully(filelike: Any, size: int) -> bytes:
    """Read ``size`` bytes, or fewer if the file ends before. Raises: any error that ``read`` raises."""
    data: bytes = filelike.read(size)
    while len(data) < size:
        more = filelike.read(size - len(data))
        if not more:
            break
        data += more
    return data
