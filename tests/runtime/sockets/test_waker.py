"""The pipe that wakes the poll, and what the one who polls is asked to do."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator

import pytest

from pastepool.runtime.sockets.waker import Waker
from tests.waiting import PROGRAM_WATCHDOG


@pytest.fixture
def waker() -> Iterator[Waker]:
    """An open one."""
    made = Waker()
    made.open()
    yield made
    made.close()


def is_ready(waker: Waker) -> bool:
    """Whether a poll of its descriptor would return at once."""
    readable, _, _ = select.select([waker.fd], [], [], 0)
    return bool(readable)


def test_wake_makes_the_descriptor_ready_until_it_is_answered(waker: Waker) -> None:
    """However often it is woken, one answer takes all of it, and an answer to nothing is nothing."""
    assert not is_ready(waker)
    waker.wake()
    waker.wake()
    assert is_ready(waker)
    waker.answer()
    assert not is_ready(waker)
    waker.answer()


def test_wait_ends_with_a_wake_up_which_is_left_to_the_poll(waker: Waker) -> None:
    """One that came before counts too; without one it ends when its time is over."""
    waker.wait(0.001)
    assert not is_ready(waker)
    threading.Timer(0.01, waker.wake).start()
    waker.wait(PROGRAM_WATCHDOG)
    assert is_ready(waker)
    waker.wait(PROGRAM_WATCHDOG)
    assert is_ready(waker)


def test_what_is_asked_for_runs_once_and_in_order(waker: Waker) -> None:
    """Asking wakes; the answer runs everything that was asked for, the first first."""
    ran: list[str] = []
    waker.ask(lambda: ran.append("first"))
    waker.ask(lambda: ran.append("second"))
    assert is_ready(waker) and ran == []
    waker.answer()
    waker.answer()
    assert ran == ["first", "second"]


def test_full_pipe_is_no_error(waker: Waker) -> None:
    """To wake a busy holder does not block, and no wake-up is lost: the holder is woken already."""
    with pytest.raises(BlockingIOError):
        while True:
            os.write(waker.ends[1], b"\0" * 65536)
    waker.wake()
    assert is_ready(waker)


def test_closed_or_never_opened_it_touches_no_descriptor() -> None:
    """Before ``open`` and after ``close`` a wake is nothing, and a second ``close`` closes nobody else's descriptor."""
    waker = Waker()
    waker.wake()
    waker.close()
    ends = {waker.open(), waker.ends[1]}
    waker.close()
    assert waker.fd == -1
    taken = os.pipe()
    try:
        assert set(taken) == ends, "the kernel gives the lowest numbers that are free"
        waker.wake()
        waker.close()
        assert select.select([taken[0]], [], [], 0)[0] == []
    finally:
        for end in taken:
            os.close(end)
