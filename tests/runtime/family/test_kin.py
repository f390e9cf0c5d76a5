"""One child process as the parent has it: what is opened for it, its stacks, and how it has ended."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from typing import Any, cast

import pytest

from pastepool.runtime.family.board import Board
from pastepool.runtime.family.kin import ended, opened
from pastepool.runtime.family.relay import Relay
from tests.waiting import until


def descriptors() -> int:
    """How many this process has."""
    return len(os.listdir("/proc/self/fd"))


class FullRelay:
    """What says that no descriptor is left."""

    def open(self, serial: int) -> None:
        """Open nothing."""
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def test_nothing_stays_open_and_no_row_is_taken_where_no_descriptor_is_left() -> None:
    """The parent tries again and again, for hours perhaps."""
    board, before = Board(), descriptors()
    with pytest.raises(OSError, match="Too many open files"):
        opened(1, board, cast(Any, FullRelay()))
    assert descriptors() == before
    assert not board.taken


def test_stacks_stand_in_the_place_of_those_before() -> None:
    """The child writes on where its descriptor stands, which is a copy of the parent's."""
    relay = Relay(lambda sentence: None)
    kin, ends = opened(1, Board(), relay)
    copy = os.dup(ends.dump)
    assert kin.stacks.read() == "no stack could be written"
    os.write(copy, b"Thread 1: a long stack\n")
    assert kin.stacks.read() == "Thread 1: a long stack"
    kin.ask_for_stacks()
    os.write(copy, b"Thread 2\n")
    assert kin.stacks.read() == "Thread 2"
    os.close(copy)
    ends.close()
    kin.close()
    relay.close_all()


@pytest.mark.parametrize(("code", "ends_with"), [("raise SystemExit(3)", 3), ("input()", -signal.SIGKILL)])
def test_end_of_a_child_is_told_with_its_exit_code(code: str, ends_with: int) -> None:
    """Once. The code of one that was killed is its signal, less than 0."""
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    assert child.stdin is not None
    if ends_with < 0:
        child.kill()
    found: list[tuple[int, int]] = []

    def has_ended() -> bool:
        found.extend(ended([child.pid]))
        return bool(found)

    until(has_ended, "the child has ended")
    child.returncode = ends_with
    child.stdin.close()
    assert found == [(child.pid, ends_with)]
    assert not list(ended([child.pid]))
