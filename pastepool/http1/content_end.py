"""
Guess where chunked content ends, without parsing it.

The engine may feed the parser only up to the end of a message. If it stopped at every place where chunked content may
end, a client could make it stop every four bytes. So here a place must look like an end, and the number of wrong
guesses is limited. Bytes are only searched for; their meaning is the parser's matter.
"""

from __future__ import annotations

_BLANK_LINE = b"\r\n\r\n"

_LAST_CHUNK = b"\n0"
"""How the line of the last chunk begins, with the end of the line before it (RFC 9112 7.1)."""

_WRONG_AT_FIRST = 8
_BYTES_PER_WRONG = 4096
"""How many guesses may be wrong: 8, and one more for each 4096 bytes of content and its framing."""


class ContentEnd:
    """
    Finds the places where the chunked content of one message may end: at the first blank line after a line that begins
    with ``0``.

    After too many wrong guesses it says that nothing is an end. The parser may then be fed bytes of the next message
    too. The caller must expect the error that this causes.
    """

    __slots__ = ("_begun", "_guessed", "_seen", "_tail", "_wrong")

    def __init__(self) -> None:
        self._tail = b"\n"
        self._begun = False
        self._guessed = False
        self._wrong = 0
        self._seen = 0

    def until(self, data: bytes, begin: int, size: int) -> int:
        """Return the position in ``data`` up to which the parser may be fed: that of a possible end, or ``size``."""
        self._guessed = False
        if self._wrong >= _WRONG_AT_FIRST + self._seen // _BYTES_PER_WRONG:
            return size
        tail = self._tail
        if self._begun:
            found = (tail + data[begin : begin + 3]).find(_BLANK_LINE) - len(tail)
            if found >= -len(tail):
                self._guessed = True
                return begin + found + 4
            line = begin
        elif tail.endswith(b"\n") and data.startswith(b"0", begin):
            line = begin
        else:
            line = data.find(_LAST_CHUNK, begin)
        if line < 0:
            return size
        self._begun = True
        found = data.find(_BLANK_LINE, line)
        self._guessed = found >= 0
        return found + 4 if self._guessed else size

    def went_on(self, data: bytes, size: int) -> None:
        """Take note of the ``size`` bytes that the parser was fed and that did not end the content."""
        self._seen += size
        self._tail = (self._tail + data[-3:])[-3:]
        if self._guessed:
            self._wrong += 1
            self._begun = False
