"""The route that sends a file of any size through ``wsgi.file_wrapper``."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import IO

from webob import Request, Response

from pastepool.demo.numbers import parameter
from pastepool.demo.route import Route

MEBIBYTE = 1024 * 1024
CHUNK = 65536
"""How many bytes are read at a time where the server has no file wrapper."""


class Chunks:
    """A file wrapper as PEP 3333 describes it, for servers that have none."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._size = size

    def __iter__(self) -> Iterator[bytes]:
        """Yield the file in pieces of ``size`` bytes."""
        while piece := self._file.read(self._size):
            yield piece

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def big_file(request: Request, hang_limit: float) -> Response:
    """Send ``?mebibytes=`` MiB of zeros. They come from a sparse temporary file, which takes no room on the disk."""
    size = int(parameter(request, "mebibytes", 64, 0, 4096) * MEBIBYTE)
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the server closes it, through the wrapper's close()
    file.truncate(size)
    wrapper = request.environ.get("wsgi.file_wrapper", Chunks)
    answer = Response(app_iter=wrapper(file, CHUNK), content_type="application/octet-stream")
    answer.content_length = size
    answer.content_disposition = 'attachment; filename="zeros.bin"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


ROUTES = (
    Route(
        "/big-file",
        "Big file",
        "Zeros through wsgi.file_wrapper: the kernel copies, Python does not.",
        big_file,
        (("1 MiB", "mebibytes=1"), ("64 MiB", "mebibytes=64"), ("1 GiB", "mebibytes=1024")),
    ),
)
