"""The temporary file of a response: what it takes, what it gives back and when, and output that is partly in it."""

from __future__ import annotations

import _thread
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pastepool.errors import ClientGone
from pastepool.runtime.http.output import Output
from pastepool.runtime.http.spool import Spool
from pastepool.runtime.http.spool_room import SpoolFull, SpoolRoom
from tests.waiting import WATCHDOG


class Spools:
    """Makes spools as a server does, and remembers them. ``most``: for each."""

    def __init__(self, most: int = 1_000_000, total: int = 0) -> None:
        self.room = SpoolRoom(total)
        self.made: list[Spool] = []
        self._most = most

    def __call__(self) -> Spool:
        self.made.append(Spool(self._most, self.room))
        return self.made[-1]

    @property
    def held(self) -> tuple[int, int]:
        """Bytes and files."""
        return self.room.taken, len(self.room.files)

    @property
    def on_disk(self) -> list[int]:
        """The sizes of the files that are open."""
        return [os.fstat(each._file.fileno()).st_size for each in self.made if not each._file.closed]


@pytest.fixture
def spools() -> Iterator[Spools]:
    """Spools; at the end all room must have been given back."""
    spools = Spools()
    yield spools
    assert spools.held == (0, 0)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A non-blocking server side with a small buffer, and its client."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    theirs.settimeout(WATCHDOG)
    yield ours, theirs
    ours.close()
    theirs.close()


def read_all(output: Output, ours: socket.socket, theirs: socket.socket) -> bytes:
    """Flush until nothing is left, and return what came."""
    received = b""
    while not output.flush(ours):
        received += theirs.recv(100_000)
    ours.close()
    while data := theirs.recv(100_000):
        received += data
    return received


def test_room_is_bounded_and_given_back() -> None:
    """What would be too much takes nothing; 0 is no bound."""
    room = SpoolRoom(10)
    assert [room.take(7), room.take(4), room.take(3), room.take(1)] == [True, False, True, False]
    with pytest.raises(SpoolFull, match="hold 10 bytes already, and spool_total = 10"):
        room.take_or_raise(1)
    room.give_back(10)
    room.take_or_raise(10)
    assert room.taken == 10
    assert SpoolRoom(0).take(10**15)


def test_failures_are_news_once_a_minute() -> None:
    """A full disk fails every response: the log is not filled too."""
    room = SpoolRoom(0)
    assert [room.is_news(at) for at in (1.0, 2.0, 60.9, 61.0, 61.1, 200.0)] == [True, False, False, True, False, True]


def test_output_in_memory_and_in_the_file_arrives_in_order(
    pair: tuple[socket.socket, socket.socket], spools: Spools
) -> None:
    """Memory, file, memory, file: every byte once. Pieces that lie side by side in the file are one part."""
    output = Output(0.0)
    expected = b""
    for number in range(40):
        piece = b"%05d" % number * 100
        expected += piece
        if number // 5 % 2:
            assert output.spool(memoryview(piece), spools)
        else:
            assert output.add(memoryview(piece))
    assert output.size == len(expected)
    assert spools.held == (20 * 500, 1)
    assert len(output._parts) == 24
    assert read_all(output, *pair) == expected
    assert output.size == output.held == 0


def test_file_has_no_name_and_goes_with_the_last_byte(
    pair: tuple[socket.socket, socket.socket], spools: Spools
) -> None:
    """It is deleted already, and closed as soon as the output is flushed."""
    output = Output(0.0)
    output.spool(memoryview(b"x" * 100), spools)
    assert os.fstat(spools.made[0]._file.fileno()).st_nlink == 0
    assert output.flush(pair[0])
    assert spools.on_disk == []
    assert not output.spool(memoryview(b"more"), spools)


def test_file_that_was_sent_is_closed_and_the_next_takes_as_much(
    pair: tuple[socket.socket, socket.socket], spools: Spools
) -> None:
    """The bound is on what was not sent yet: a client that falls behind again has a new file."""
    spools._most = 100
    output = Output(0.0)
    for _ in range(3):
        assert output.spool(memoryview(b"x" * 60), spools)
        assert not output.spool(memoryview(b"y" * 60), spools), "the file is full"
        assert (spools.held, spools.on_disk) == ((60, 1), [60])
        output.add(memoryview(b"z" * 500_000))
        while spools.held[0]:
            assert not output.flush(pair[0])
            assert pair[1].recv(100_000)
        assert (spools.held, spools.on_disk) == ((0, 0), [])
    assert len(spools.made) == 3
    output.break_off()


def test_all_files_share_a_bound() -> None:
    """A response that finds no room has none, until another one ends."""
    spools = Spools(total=100)
    one, other = Output(0.0), Output(0.0)
    assert one.spool(memoryview(b"x" * 80), spools)
    assert not other.spool(memoryview(b"y" * 21), spools)
    assert other.spool(memoryview(b"y" * 20), spools)
    one.break_off()
    assert other.spool(memoryview(b"y" * 80), spools)
    assert spools.held == (100, 1)
    other.break_off()
    assert spools.held == (0, 0)


def test_client_that_leaves_frees_the_room(spools: Spools) -> None:
    """Breaking off closes the file, once; what comes later is refused and takes nothing."""
    output = Output(0.0)
    output.spool(memoryview(b"x" * 100), spools)
    output.break_off()
    output.break_off()
    assert (spools.held, spools.on_disk, output.size) == ((0, 0), [], 0)
    with pytest.raises(ClientGone):
        output.spool(memoryview(b"y"), spools)


def full_disk(*anything: object) -> Any:
    """A disk that takes nothing more."""
    raise OSError(28, "No space left on device")


def test_disk_that_is_full_takes_no_room(
    spools: Spools, monkeypatch: pytest.MonkeyPatch, pair: tuple[socket.socket, socket.socket]
) -> None:
    """The piece is not in the file, what was written before it is, and it can be kept elsewhere."""
    output = Output(0.0)
    output.spool(memoryview(b"first"), spools)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full_disk)
        with pytest.raises(OSError, match="No space left"):
            output.spool(memoryview(b"second"), spools)
    assert spools.held == (5, 1)
    output.add(memoryview(b"third"))
    output.spool(memoryview(b"fourth"), spools)
    assert read_all(output, *pair) == b"firstthirdfourth"


@pytest.mark.parametrize("threads_left", [True, False])
def test_large_file_is_closed_by_another_thread(
    spools: Spools, monkeypatch: pytest.MonkeyPatch, threads_left: bool
) -> None:
    """Its room is free at once; the thread that lets go of it does not wait for the disk, as long as the system has threads."""
    closed_by: list[int] = []
    over = threading.Event()
    if not threads_left:
        monkeypatch.setattr(_thread, "start_new_thread", no_thread)
    spools._most = 5_000_000
    output = Output(0.0)
    for _ in range(3):
        output.spool(memoryview(b"x" * 1_000_000), spools)
    file = spools.made[0]._file

    class Watched:
        """The file, and who closes it."""

        def close(self) -> None:
            closed_by.append(threading.get_ident())
            file.close()
            over.set()

    spools.made[0]._file = Watched()  # type: ignore[assignment]
    output.break_off()
    assert spools.held == (0, 0)
    assert over.wait(WATCHDOG)
    assert (closed_by == [threading.get_ident()]) is not threads_left
    spools.made.clear()


def no_thread(*anything: object) -> int:
    """A system that has no thread left."""
    raise RuntimeError("can't start new thread")


def test_no_directory_for_the_file(spools: Spools, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be made takes no room and leaves nothing open."""
    output = Output(0.0)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **options: full_disk())
    with pytest.raises(OSError, match="No space left"):
        output.spool(memoryview(b"x"), spools)
    output.break_off()


class SlowDisk:
    """A disk that writes when the test says so: ``began`` is set when the worker is in its write."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.began, self.go_on = threading.Event(), threading.Event()
        self._write = os.pwrite
        monkeypatch.setattr(os, "pwrite", self._slowly)

    def _slowly(self, fd: int, data: memoryview, offset: int) -> int:
        self.began.set()
        assert self.go_on.wait(WATCHDOG)
        return self._write(fd, data, offset)


def while_it_writes(disk: SlowDisk, output: Output, spools: Spools, do: Callable[[], object]) -> list[object]:
    """Do something in the middle of a write. Returns what the writer was told: a bool, or the error."""
    told: list[object] = []

    def write() -> None:
        try:
            told.append(output.spool(memoryview(b"late"), spools))
        except ClientGone as error:
            told.append(type(error))

    writer = threading.Thread(target=write)
    writer.start()
    assert disk.began.wait(WATCHDOG)
    do()
    disk.go_on.set()
    writer.join(WATCHDOG)
    return told


def test_client_that_leaves_in_the_middle_of_a_write(spools: Spools, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is not closed under the writer; the writer closes it, and is told."""
    output = Output(0.0)
    open_files: list[int] = []

    def leave() -> None:
        output.break_off()
        open_files.extend(spools.on_disk)

    assert while_it_writes(SlowDisk(monkeypatch), output, spools, leave) == [ClientGone]
    assert (open_files, spools.on_disk) == ([0], [])


def test_everything_is_flushed_in_the_middle_of_a_write(
    spools: Spools, monkeypatch: pytest.MonkeyPatch, pair: tuple[socket.socket, socket.socket]
) -> None:
    """The poller has nothing left and ends this output: the writer keeps its piece, and closes the file."""
    output = Output(0.0)
    output.add(memoryview(b"early"))
    told = while_it_writes(SlowDisk(monkeypatch), output, spools, lambda: output.flush(pair[0]))
    assert (told, output.flushed, spools.on_disk) == ([False], True, [])


def test_file_is_sent_in_the_middle_of_a_write(
    spools: Spools, monkeypatch: pytest.MonkeyPatch, pair: tuple[socket.socket, socket.socket]
) -> None:
    """What is in the file is sent while more is written: it is not emptied under the writer."""
    output = Output(0.0)
    output.spool(memoryview(b"early"), spools)
    output.add(memoryview(b"z" * 500_000))
    disk = SlowDisk(monkeypatch)
    assert while_it_writes(disk, output, spools, lambda: output.flush(pair[0])) == [True]
    assert spools.held == (9, 1)
    assert read_all(output, *pair)[-4:] == b"late"


def test_child_closes_its_copy_only(spools: Spools) -> None:
    """The room is the parent's: a child gives nothing back."""
    output = Output(0.0)
    output.spool(memoryview(b"x" * 10), spools)
    output.in_child()
    assert (spools.held, spools.on_disk) == ((10, 1), [])
    spools.room.give_back(10)
    spools.room.files.clear()


def test_writing_and_flushing_at_once_loses_nothing(pair: tuple[socket.socket, socket.socket]) -> None:
    """Worker and holder at full speed, memory and file by turns: every byte arrives once and in order."""
    ours, theirs = pair
    spools = Spools(most=3000)
    pieces = [b"%06d" % number * 10 for number in range(20_000)]
    outputs: list[Output] = []
    done = threading.Event()

    def work() -> None:
        for number, piece in enumerate(pieces):
            view = memoryview(piece)
            aside = outputs and number % 7 and outputs[-1].spool(view, spools)
            if not aside and (not outputs or not outputs[-1].add(view)):
                fresh = Output(0.0)
                fresh.add(view)
                outputs.append(fresh)
        done.set()

    received: list[bytes] = []

    def read() -> None:
        while data := theirs.recv(100_000):
            received.append(data)

    threads = [threading.Thread(target=work), threading.Thread(target=read)]
    for thread in threads:
        thread.start()
    at = 0
    while not done.is_set() or at < len(outputs):
        if at < len(outputs):
            at += outputs[at].flush(ours)
    ours.shutdown(socket.SHUT_WR)
    for thread in threads:
        thread.join(WATCHDOG)
    assert b"".join(received) == b"".join(pieces)
    assert spools.held == (0, 0)
