"""Content on its way in: in memory up to a size, in a file without a name beyond it."""

from __future__ import annotations

import io
import os
import sys
import tempfile

import pytest

from pastepool.runtime.http.body_memory import BodyMemory
from pastepool.runtime.http.content import Content, WholeContent
from pastepool.runtime.http.spool_room import SpoolFull, SpoolRoom


def memory_of(each: int, total: int = 1_000_000, spool_total: int = 0) -> BodyMemory:
    """Bounds for contents; by default with room on the disk without limit."""
    return BodyMemory(each, total, SpoolRoom(spool_total))


def test_content_within_the_limit_stays_in_memory() -> None:
    """At exactly the limit it is still memory."""
    content = Content(memory_of(10))
    content.add(b"0123456")
    content.add(b"789")
    assert content.received == 10
    file = content.file()
    assert isinstance(file, io.BytesIO)
    assert file.read() == b"0123456789"


def test_content_beyond_the_limit_is_a_file_from_its_first_byte() -> None:
    """What was in memory moves along; the file stands at its beginning and ends where the content ends."""
    content = Content(memory_of(10))
    content.add(b"0123456789")
    content.add(b"ab")
    content.add(b"c")
    with content.file() as file:
        assert not isinstance(file, io.BytesIO)
        assert os.fstat(file.fileno()).st_nlink == 0
        assert (file.read(), file.read(), content.received) == (b"0123456789abc", b"", 13)


def test_small_pieces_hold_hardly_more_than_their_bytes() -> None:
    """Content that comes by two bytes is joined on the way, in its order, also into the file."""
    for size in (20000, 30001):
        content = Content(memory_of(30000))
        data = bytes(number % 251 for number in range(size))
        for begin in range(0, size, 2):
            content.add(data[begin : begin + 2])
        pieces = [*content._pieces, *content._loose]
        assert sum(map(sys.getsizeof, pieces)) <= 1.5 * size + 4000
        with content.file() as file:
            assert isinstance(file, io.BytesIO) == (size <= 30000)
            assert file.read() == data


def test_contents_share_a_bound_and_give_back_what_they_took() -> None:
    """What does not fit beside the others goes to a file, whole; what is closed, or moves to its file, makes room."""
    memory = memory_of(10, 15)
    first, second, third = (Content(memory) for _ in range(3))
    first.add(b"0123456789")
    second.add(b"abcde")
    assert memory.taken == 15
    second.add(b"f")
    assert memory.taken == 10
    with second.file() as file:
        assert not isinstance(file, io.BytesIO)
        assert file.read() == b"abcdef"
    first.close()
    first.close()
    assert memory.taken == 0
    third.add(b"x" * 10)
    assert isinstance(third.file(), io.BytesIO)
    assert memory.taken == 10
    third.close()
    second.close()
    assert memory.taken == 0


def test_files_share_a_bound_and_give_back_what_they_took() -> None:
    """A content that does not fit on the disk beside the others is lost; its room, and theirs at their end, is free."""
    memory = memory_of(10, spool_total=40)
    room = memory.spool_room
    first, second, third = (Content(memory) for _ in range(3))
    first.add(b"x" * 15)
    first.add(b"x" * 10)
    second.add(b"y" * 15)
    assert (room.taken, len(room.files)) == (40, 2)
    second.add(b"y")
    assert isinstance(second.lost, SpoolFull)
    assert (room.taken, len(room.files)) == (25, 1)
    second.add(b"y" * 100)
    third.add(b"z" * 10)
    third.add(b"z" * 5)
    assert third.lost is None
    with third.file() as file:
        assert file.read() == b"z" * 15
    for content in (first, second, third, third):
        content.close()
    assert (room.taken, len(room.files)) == (0, 0)


def test_limit_of_0_means_always_a_file() -> None:
    """``body_memory = 0`` keeps nothing in memory."""
    content = Content(memory_of(0))
    content.add(b"x")
    with content.file() as file:
        assert file.read() == b"x"
        assert file.fileno() >= 0


def test_no_content_is_an_empty_file() -> None:
    """Nothing may come of it: a chunked request without content."""
    content = Content(memory_of(0))
    content.add(b"")
    assert (content.file().read(), content.received) == (b"", 0)


@pytest.mark.parametrize("size", [1, 100])
def test_unfinished_upload_is_let_go(size: int) -> None:
    """Closing closes the file, if there is one; twice is no harm."""
    content = Content(memory_of(10))
    content.add(b"x" * size)
    before = len(os.listdir("/proc/self/fd"))
    content.close()
    content.close()
    assert len(os.listdir("/proc/self/fd")) == before - (size > 10)


def test_disk_that_fills_up_does_not_keep_the_file_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be written at the last moment is not wanted any more: letting go raises nothing."""
    raw = _Full()
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: io.BufferedRandom(raw))
    content = Content(memory_of(0))
    content.add(b"x")
    assert content.lost is None
    content.file()
    assert content.lost is not None
    assert raw.closed
    content.add(b"more")
    assert content.received == 5
    content.close()


class _Full(io.RawIOBase):
    """A file on a full disk."""

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return 0

    def tell(self) -> int:
        return 0

    def write(self, data: object) -> int:
        raise OSError(28, "No space left on device")


def test_whole_content_gives_its_memory_back_once() -> None:
    """Both the end of its request and the end of its connection close it."""
    memory = memory_of(10)
    assert memory.take(7)
    content = WholeContent(memory, 7)
    content.in_child()
    assert memory.taken == 7
    content.close()
    content.close()
    assert memory.taken == 0
