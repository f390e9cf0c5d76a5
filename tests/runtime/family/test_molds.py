"""What the parent knows of its molds: when one is shown, when it is taken for hung, and what becomes of its orders."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from pastepool.core.generations.health import FORKS_WITHIN
from pastepool.runtime.family.board import Board
from pastepool.runtime.family.kin import opened
from pastepool.runtime.family.lane import packets
from pastepool.runtime.family.molds import Mold, Molds
from pastepool.runtime.family.relay import Relay
from tests.waiting import PROGRAM_WATCHDOG

CODE = "import sys\nsys.stdin.read()"
"""A process that can be killed, and otherwise ends with the test."""


class Played:
    """One mold that the test plays, with a process that can be killed in its place."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.board = Board()
        self.molds = Molds(self.told.append)
        self.relay = Relay(self.told.append)
        self.process = subprocess.Popen([sys.executable, "-c", CODE], stdin=subprocess.PIPE)
        ours, self.orders = packets()
        self.molds.begin(self.process.pid, 7, ours, self.board.take())

    def say(self, **what: object) -> list[tuple[int, int]]:
        """Let the mold say something. Returns what the parent takes note of."""
        self.orders.send(json.dumps(what).encode())
        return list(self.molds.forked())

    def ask(self, serial: int) -> None:
        """Ask it for a worker."""
        mold = self.molds.usable(7)
        assert isinstance(mold, Mold)
        kin, ends = opened(serial, Board(), self.relay)
        self.molds.ask(mold, serial, 1, ends)
        ends.close()
        kin.close()

    def states(self) -> list[tuple[int, int, bool]]:
        """What the board shows."""
        return [(mold.pid, mold.generation, mold.forks) for mold in self.board.molds()]


@pytest.fixture
def played() -> Iterator[Played]:
    """End the process after the test."""
    made = Played()
    with made.process:
        yield made
        made.molds.close_all()
        made.relay.close_all()
        made.orders.close()


def test_mold_is_shown_from_when_it_can_fork_until_it_ends(played: Played) -> None:
    """And whether it is to fork a worker now. No worker of the board is changed by that."""
    pid = played.process.pid
    assert played.states() == []
    assert played.say(forked=1, pid=100) == [(1, 100)]
    assert played.states() == [(pid, 7, False)]
    (shown,) = played.board.molds()
    played.ask(2)
    assert played.states() == [(pid, 7, True)]
    assert next(played.board.molds()).since > shown.since
    assert played.say(forked=2, pid=101) == [(2, 101)]
    assert played.states() == [(pid, 7, False)]
    assert list(played.board.shown()) == []
    played.orders.close()
    assert list(played.molds.forked()) == []
    assert played.states() == []
    assert played.board.taken == set()


def test_mold_that_does_not_fork_is_killed(played: Played) -> None:
    """It is said once, and the workers that it was to fork will not be forked. Time without an order does not count."""
    played.say(forked=1, pid=100)
    wait(played, 2 * FORKS_WITHIN)
    played.ask(2)
    wait(played, FORKS_WITHIN - 0.5)
    assert played.process.poll() is None
    assert played.told == []
    wait(played, 1.0)
    assert played.process.wait(PROGRAM_WATCHDOG) == -signal.SIGKILL
    assert played.told == [
        f"the mold of generation 7 (pid {played.process.pid}) has not forked a worker within 10 s, and is killed"
    ]
    played.orders.close()
    assert list(played.molds.forked()) == []
    assert played.molds.take_failed() == [(2, "its mold has ended")]


def test_mold_that_forks_slowly_is_not_killed(played: Played) -> None:
    """Each worker that it forks gives it the time again."""
    played.say(forked=1, pid=100)
    for serial in (2, 3, 4):
        played.ask(serial)
    for serial in (2, 3, 4):
        wait(played, FORKS_WITHIN - 0.5)
        assert played.say(forked=serial, pid=100 + serial) == [(serial, 100 + serial)]
    assert played.told == []
    assert played.process.poll() is None


def test_time_in_which_the_parent_was_stopped_does_not_count(played: Played) -> None:
    """It has seen nothing, and the mold may have been stopped too."""
    played.say(forked=1, pid=100)
    played.ask(2)
    played.molds.look(3600.0)
    assert played.told == []
    os.kill(played.process.pid, 0)


def wait(played: Played, seconds: float) -> None:
    """Let the parent look, twice a second."""
    for _ in range(round(2 * seconds)):
        played.molds.look(0.5)


def test_order_brings_the_descriptors(played: Played) -> None:
    """In the order of the call, with the numbers of the worker."""
    played.say(forked=1, pid=100)
    played.ask(2)
    data, descriptors, _, _ = socket.recv_fds(played.orders, 4096, 3)
    for descriptor in descriptors:
        os.close(descriptor)
    assert json.loads(data) == {"serial": 2, "slot": 1, "row": 0}
    assert len(descriptors) == 3


def test_worker_that_ended_before_its_mold_told_of_it_has_failed(played: Played) -> None:
    """Its end was seen first, when nobody knew its pid."""
    played.say(forked=1, pid=100)
    played.ask(2)
    played.molds.strangers.append(101)
    assert played.say(forked=2, pid=101) == []
    assert played.molds.take_failed() == [(2, "it has ended at once")]
