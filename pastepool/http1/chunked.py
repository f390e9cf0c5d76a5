"""
Collect and limit the chunked content of one request: its size, and the bytes of framing that come with it.

Bytes are only collected and counted here; their meaning is the matter of ``chunk_lines`` and of the parser.
"""

from __future__ import annotations

import io

from pastepool.errors import InternalError, PeerError
from pastepool.http1.chunk_lines import ChunkLines
from pastepool.http1.content_end import ContentEnd

_FRAMING_ALLOWANCE = 65536
_FRAMING_RATIO = 8
"""
The bytes of chunk framing in a request are limited to the allowance plus this ratio times its bytes of content. Chunks
of one byte have five bytes of framing each and must pass; endless chunk extensions must not.
"""


class ChunkedContent:
    """
    Collects the chunked content of one request, and counts its bytes.

    ``end``: guesses where the content ends. ``collect``: takes the content of a chunk, or a part of it; the parser calls it.
    All is collected in one buffer, because many small pieces take far more memory than their bytes.
    """

    __slots__ = (
        "end", "collect", "_buffer", "_collected", "_lines", "_limit", "_received", "_decoded", "_barren", "_removed",
    )  # fmt: skip

    def __init__(self, limit: int) -> None:
        """``limit``: the most bytes of content; 0 for no limit."""
        self.end = ContentEnd()
        self._buffer = io.BytesIO()
        self.collect = self._buffer.write
        self._collected = 0  # as many bytes as the buffer had at the last count
        self._limit = limit
        self._received = 0
        self._decoded = 0
        self._barren = 0
        self._lines = ChunkLines()
        self._removed = 0

    @property
    def holds_content(self) -> bool:
        """Say whether content was collected that was not taken yet."""
        return self._buffer.tell() > 0

    def take(self) -> bytes:
        """Return the content collected so far, and forget it."""
        buffer = self._buffer
        content = buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
        self._collected = 0
        return content

    def cleaned(self, data: bytes) -> bytes:
        """Return the next bytes without chunk extensions. When the parser was fed them, ``settle`` has to be called."""
        found = self._lines.without_extensions(data)
        self._removed = len(data) - len(found)
        return found

    def settle(self) -> None:
        """
        Count the bytes that ``cleaned`` has removed. They are few (``chunk_lines``).

        Raises: PeerError: an extension is refused.
        """
        lines, removed = self._lines, self._removed
        if lines.refused:
            raise PeerError(400, lines.refused)
        if not removed:
            return
        if lines.content != self._decoded and lines.content is not None:
            raise InternalError(f"{self._decoded} bytes of content came where the chunks have {lines.content}.")
        self._received += removed

    def count(self, size: int) -> None:
        """
        Count ``size`` bytes that the parser was fed, and the content that it has found in them.

        ``_barren`` counts the bytes since the last content. It limits the trailer, which the parser keeps in memory,
        even if much content came before it.

        Raises: PeerError: the content exceeds a limit.
        """
        collected = self._buffer.tell()
        fresh = collected - self._collected
        self._collected = collected
        self._decoded += fresh
        self._received += size
        self._barren = 0 if fresh else self._barren + size
        decoded, limit = self._decoded, self._limit
        if limit and decoded > limit:
            raise PeerError(413, f"The request's content is larger than {limit} bytes.")
        framing = self._received - decoded
        if framing > _FRAMING_ALLOWANCE + _FRAMING_RATIO * decoded or self._barren > _FRAMING_ALLOWANCE:
            raise PeerError(400, "The request's chunks carry far more framing than content.")
