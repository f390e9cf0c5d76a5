"""
Take the extensions out of the size lines of chunked content, and judge them.

llhttp refuses blanks around the ``;`` of an extension, though RFC 9112 7.1.1 asks to take them, and ignores an extension
without a name or a value. No extension means anything here. So they are judged here, and the parser is fed a line without
those that it might refuse. The parser alone decides about the framing: it is fed every digit of a size and every line
break. What is computed here only says where to look for the next line, and the parser must find as much content as was
counted here (``chunked``).
"""

from __future__ import annotations

import re

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
_QUOTED = rb'"[\t !\x23-\x5b\x5d-\x7e\x80-\xff]*(?:\\[\t -\x7e\x80-\xff][\t !\x23-\x5b\x5d-\x7e\x80-\xff]*)*"'

_EXTENSIONS = re.compile(rb"(?:[ \t]*;[ \t]*%b+(?:[ \t]*=[ \t]*(?:%b+|%b))?)+" % (_TOKEN, _TOKEN, _QUOTED))
"""RFC 9112 7.1.1: ``*( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )``, but not none."""

_USUAL_LINE = re.compile(
    rb"([0-9A-Fa-f]{1,16})(?:;%b{1,64}(?:=(?:%b{1,256}|\"[ !\x23-\x5b\x5d-\x7e]{0,256}\"))?)?\r\n" % (_TOKEN, _TOKEN)
)
"""A whole line that the parser takes as it is. Most have no extension, and others a short one."""

_DIGITS = re.compile(rb"[0-9A-Fa-f]+")
_BEFORE_EXTENSION = (b";", b" ", b"\t")
_LINE_BREAK = re.compile(rb"[\r\n]")

_LARGEST = 1 << 64
"""The parser knows no chunk of this size."""

LONGEST_EXTENSION = 2048
"""How long the extensions of one chunk may be together. A longer line would cost too much to judge."""

_COST_AT_FIRST = 128
_BYTES_PER_COST = 128
_LINE_COST = 1
_EXTENSION_COST = 8
_BYTES_OF_EXTENSION_PER_COST = 16
"""
To follow a line costs half a microsecond, which is much for a chunk of one byte. So it has a limit: 128 lines, and one more
for each 128 bytes. Extensions that are taken out count as eight lines, and one more for each 16 bytes. Beyond the limit no
line is followed any more.
"""


class ChunkLines:
    """
    Follows the size lines of the content of one message.

    ``refused``: why an extension is refused; empty if none is. ``content``: how many bytes of content have come; None once
    the lines are not followed any more. Then the parser judges alone: behind a line that it refuses, and where small chunks
    have used up the limit.
    """

    __slots__ = (
        "refused", "content",
        "_chunk", "_cost", "_extension", "_left", "_over", "_seen", "_size", "_total", "_within",
    )  # fmt: skip

    def __init__(self) -> None:
        self.refused = ""
        self.content: int | None = 0
        self._over = False  # no line is looked for any more
        self._total = 0  # the sizes of all chunks so far
        self._chunk = 0  # the size of the present one
        self._size = -1  # what the digits of the present line say so far; -1 before the first
        self._extension = bytearray()
        self._within = False  # an extension
        self._left = 0  # bytes until the next line
        self._seen = 0
        self._cost = 0

    def without_extensions(self, data: bytes) -> bytes:
        """
        Return the next bytes of the content, without extensions that the parser might refuse.

        Up to one that is refused, if there is one. The bytes behind the content are returned too.
        """
        size = len(data)
        here, begin = self._left, 0
        kept: list[bytes] = []
        while here < size and not self._over:
            if self._size < 0 and (usual := _USUAL_LINE.match(data, here)):
                self._size = int(usual[1], 16)
                here = self._next_line(usual.end() - 2, _LINE_COST)
            elif self._within:
                found = _LINE_BREAK.search(data, here)
                end = found.start() if found else size
                kept.append(data[begin:here])
                self._extension += data[here:end]
                here = begin = end
                self._judge(bool(found))
                if self.refused:
                    return b"".join(kept)
                if found:
                    here = self._next_line(end, _EXTENSION_COST + len(self._extension) // _BYTES_OF_EXTENSION_PER_COST)
                    self._extension.clear()
                    self._within = False
            elif digits := _DIGITS.match(data, here):
                self._size = max(self._size, 0) << 4 * len(digits[0]) | int(digits[0], 16)
                here = digits.end()
            elif not 0 <= self._size < _LARGEST:
                self._lose()
            elif data.startswith(_BEFORE_EXTENSION, here):
                self._within = True
            elif data.startswith(b"\r", here):
                here = self._next_line(here, _LINE_COST)
            else:
                self._lose()
        self._left = max(0, here - size)
        self._seen += size
        if self.content is not None:
            self.content = self._total - min(self._chunk, max(0, self._left - 2))
        if not kept:
            return data
        kept.append(data[begin:])
        return b"".join(kept)

    def _judge(self, ended: bool) -> None:
        if len(self._extension) > LONGEST_EXTENSION:
            self.refused = f"The extensions of a chunk are longer than {LONGEST_EXTENSION} bytes."
        elif ended and not _EXTENSIONS.fullmatch(self._extension):
            self.refused = "What follows the size of a chunk is no chunk extension."

    def _lose(self) -> None:
        self._over = True
        self.content = None

    def _next_line(self, end: int, cost: int) -> int:
        """Return where the line behind the present one begins. ``end``: where the present one has its line break."""
        self._chunk = size = self._size
        self._size = -1
        self._total += size
        self._cost += cost
        if not size:
            self._over = True
        elif self._cost > _COST_AT_FIRST + (self._seen + end) // _BYTES_PER_COST:
            self._lose()
        return end + size + 4  # with the line breaks of the line and of the chunk
