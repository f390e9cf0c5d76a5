"""What waits for a slow reader: order, size, the worker that has to wait, and who lets go of what."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pastepool.errors import AppError, ClientGone
from pastepool.runtime.http.file_part import FilePart
from pastepool.runtime.http.output import Output
from pastepool.testing import DribbleSocket
from tests.waiting import WATCHDOG


def flush(output: Output, sock: DribbleSocket | socket.socket) -> bool:
    """Flush as the poller does; a socket's other end may be one that takes as much as the test says."""
    return output.flush(sock)  # type: ignore[arg-type]


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A non-blocking server side and its client."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.settimeout(WATCHDOG)
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of 3 MB."""
    file = tmp_path / "file"
    file.write_bytes(bytes(range(250)) * 12_000)
    return file


def part_of(path: Path, offset: int = 0, left: int | None = None) -> FilePart:
    """A stretch of a file, by a descriptor of its own."""
    fd = os.open(path, os.O_RDONLY)
    return FilePart(fd, offset, path.stat().st_size - offset if left is None else left)


def is_open(part: FilePart) -> bool:
    """Whether the part's descriptor still exists."""
    try:
        os.fstat(part.fd)
    except OSError:
        return False
    return True


def in_thread(work: Callable[[], None]) -> threading.Thread:
    """Start a thread for a worker's part."""
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_parts_are_sent_in_order_however_little_the_socket_takes() -> None:
    """Three parts, seven bytes a time: the bytes arrive as they were added, and what is left is known."""
    output = Output(0.0)
    for part in (b"first, ", b"second, ", b"third"):
        assert output.add(memoryview(part))
    assert output.size == 20
    slow = DribbleSocket(at_once=7, room=10)
    assert not flush(output, slow)
    assert (slow.sent, output.size, output.moved) == (b"first, sec", 10, 10)
    slow.make_room(90)
    assert flush(output, slow)
    assert (slow.sent, output.size, output.moved, output.flushed) == (b"first, second, third", 0, 20, True)


def test_flushed_output_takes_nothing_more() -> None:
    """What comes after the last byte was sent is the worker's to send itself."""
    output = Output(0.0)
    output.add(memoryview(b"x"))
    assert flush(output, DribbleSocket())
    assert not output.add(memoryview(b"y"))
    assert not output.finish()
    assert not output.finished


def test_finished_output_is_the_pollers_to_conclude() -> None:
    """Worker or poller: the first one that says that it is over leaves the rest to the other one."""
    output = Output(0.0)
    output.add(memoryview(b"x"))
    assert output.finish()
    assert output.finished
    assert flush(output, DribbleSocket())


def test_one_flush_sends_a_stretch_and_no_more() -> None:
    """A reader as fast as we send does not keep the baton: after a mebibyte the others have their turn."""
    output = Output(0.0)
    for _ in range(50):
        output.add(memoryview(b"x" * 100_000))
    fast = DribbleSocket(at_once=100_000)
    turns = 0
    while not flush(output, fast):
        turns += 1
        assert len(fast.sent) <= turns * (1_048_576 + 100_000)
    assert (turns, len(fast.sent)) == (4, 5_000_000)


def test_one_flush_of_a_file_sends_a_stretch_and_no_more(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for a file, which the kernel could send to its end at once."""
    sent = []

    def everything(out: int, source: int, offset: int, count: int) -> int:
        sent.append(count)
        return count

    monkeypatch.setattr(os, "sendfile", everything)
    output = Output(0.0)
    output.add(part_of(path))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert [flush(output, ours) for _ in range(3)] == [False, False, True]
    assert sent == [1_048_576, 1_048_576, 3_000_000 - 2 * 1_048_576]


def test_file_is_sent_between_bytes_and_closed(pair: tuple[socket.socket, socket.socket], path: Path) -> None:
    """Head, a stretch of a file, tail: through a real socket, and the descriptor goes with the part."""
    ours, theirs = pair
    output = Output(0.0)
    part = part_of(path, 1000, 2_000_000)
    output.add(memoryview(b"head "))
    output.add(part)
    output.add(memoryview(b" tail"))
    assert output.size == 2_000_010
    received = b""
    while not output.flush(ours):
        received += theirs.recv(300_000)
    ours.close()
    while data := theirs.recv(300_000):
        received += data
    assert received == b"head " + path.read_bytes()[1000:2_001_000] + b" tail"
    assert not is_open(part)


def test_file_that_has_become_shorter_is_the_end(pair: tuple[socket.socket, socket.socket], path: Path) -> None:
    """Nothing can be sent in place of the missing bytes."""
    output = Output(0.0)
    part = part_of(path)
    os.truncate(path, 0)
    output.add(part)
    with pytest.raises(AppError, match="3000000 bytes are missing"):
        output.flush(pair[0])
    output.break_off()
    assert not is_open(part)


def test_progress_is_what_the_client_has_acknowledged() -> None:
    """The kernel may have taken more than the client; what counts is how many bytes have left the kernel."""
    output = Output(1.0)
    output.unacknowledged = 1000
    output.note_progress(1000, 2.0)
    assert (output.taken, output.moved_at) == (0, 1.0)
    output.note_progress(900, 3.0)
    assert (output.taken, output.moved_at) == (100, 3.0)
    output.add(memoryview(b"x" * 50))
    assert flush(output, DribbleSocket())
    output.note_progress(950, 4.0)
    assert (output.taken, output.moved_at) == (100, 3.0)
    output.note_progress(949, 5.0)
    assert (output.taken, output.moved_at) == (101, 5.0)


def test_worker_waits_until_little_enough_is_left() -> None:
    """``wait_for_room`` ends when the flush has come below the watermark, and not before."""
    output = Output(0.0)
    output.add(memoryview(b"x" * 100))
    slow = DribbleSocket(at_once=10, room=10)
    watermark = output.held - 50
    assert watermark > 50, "a part takes memory beside its content"
    waited = threading.Event()

    def wait() -> None:
        output.wait_for_room(watermark, WATCHDOG)
        waited.set()

    worker = in_thread(wait)
    for room in (0, 10, 20):
        slow.make_room(room)
        assert not flush(output, slow)
        assert not waited.is_set()
    slow.make_room(20)
    assert not flush(output, slow)
    assert waited.wait(WATCHDOG)
    worker.join(WATCHDOG)
    output.wait_for_room(watermark, WATCHDOG)
    output.wait_for_room(0, 0.001)
    assert output.held > 0, "it does not wait for ever"


def test_worker_that_waits_is_told_when_it_is_hopeless() -> None:
    """``break_off`` ends the wait with ClientGone, and so does every later attempt."""
    output = Output(0.0)
    output.add(memoryview(b"x" * 100))
    told = threading.Event()

    def wait() -> None:
        try:
            output.wait_for_room(50, WATCHDOG)
        except ClientGone:
            told.set()

    worker = in_thread(wait)
    output.break_off()
    assert told.wait(WATCHDOG)
    worker.join(WATCHDOG)
    for attempt in (lambda: output.add(memoryview(b"y")), lambda: output.wait_for_room(1, WATCHDOG)):
        with pytest.raises(ClientGone):
            attempt()
    assert not output.finish()


def test_broken_output_lets_go_of_every_file(path: Path) -> None:
    """Those that waited, and one that comes too late; breaking off twice is no harm."""
    output = Output(0.0)
    waiting, late = part_of(path), part_of(path)
    output.add(waiting)
    output.break_off()
    output.break_off()
    assert (is_open(waiting), output.size) == (False, 0)
    with pytest.raises(ClientGone):
        output.add(late)
    assert not is_open(late)


def test_adding_and_flushing_at_once_loses_nothing() -> None:
    """A worker that adds while the holder flushes: every byte arrives once and in order, by one way or the other."""
    pieces = [b"%06d" % number for number in range(20_000)]
    outputs: list[Output] = []
    done = threading.Event()
    fast = DribbleSocket(at_once=1_000_000)

    def work() -> None:
        for piece in pieces:
            if not outputs or not outputs[-1].add(memoryview(piece)):
                fresh = Output(0.0)
                fresh.add(memoryview(piece))
                outputs.append(fresh)
        done.set()

    worker = in_thread(work)
    at = 0
    while not done.is_set() or at < len(outputs):
        if at < len(outputs):
            at += flush(outputs[at], fast)
    worker.join(WATCHDOG)
    assert fast.sent == b"".join(pieces)
