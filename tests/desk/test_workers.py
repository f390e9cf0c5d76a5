"""What the desk knows of the workers: from the board, from their links, and from the files with their stacks."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pastepool.core.generations.child import Child, ChildPhase
from pastepool.desk.workers import KnownWorkers
from pastepool.runtime.family.board import Board, BoardRow
from pastepool.runtime.family.link import Link, NoAnswer
from pastepool.runtime.system.threads import spawn_thread
from pastepool.testing import FakeClock
from tests.waiting import WATCHDOG, until


class Family:
    """A board, the desk's side, and workers that the test plays."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.board = Board()
        self.known = KnownWorkers(self.board, self.clock)
        self.links: list[Link] = []

    def worker(
        self, serial: int, answer: Any = None, phase: ChildPhase = ChildPhase.READY, stacks: str = ""
    ) -> BoardRow:
        """A worker in the slot of its number. ``answer``: what it answers to everything; None for nothing."""
        row = self.board.take()
        row.show(Child(serial, serial, 1, self.clock.now(), phase), 4000 + serial)
        theirs, ours = socket.socketpair()
        dump = os.memfd_create("stacks")
        os.write(dump, stacks.encode())

        def reply(word: str, about: Any) -> Any:
            if answer is None:
                threading.Event().wait(0.2)
                raise NoAnswer(word)
            return answer

        link = Link(theirs, reply, spawn_thread)
        link.start()
        self.links.append(link)
        self.known.meet(serial, ours.detach(), dump)
        return row


@pytest.fixture
def family() -> Iterator[Family]:
    """End all links after the test."""
    made = Family()
    yield made
    for link in made.links:
        link.close()
    until(lambda: not any(thread.name == "pastepool link" for thread in threading.enumerate()), "no thread is left")


def test_board_says_which_workers_there_are(family: Family) -> None:
    """In the order of their slots, also those that boot or have no link."""
    family.worker(2, "fine")
    family.board.take().show(Child(1, 1, 1, family.clock.now()), 4001)
    first, second = family.known.known()
    assert [(each.slot, each.pid, each.serves) for each in (first, second)] == [(1, 4001, False), (2, 4002, True)]
    assert first.shown["state"] == "booting" and first.shown["beat_ago"] is None
    with pytest.raises(NoAnswer):
        family.known.ask(1, "anything", None, WATCHDOG)


def test_all_that_serve_are_asked(family: Family) -> None:
    """But the one that asks, and none that leaves."""
    family.worker(1, "one")
    family.worker(2, "two")
    family.worker(3, "three", ChildPhase.RETIRING)
    assert family.known.ask_all("anything", None, WATCHDOG) == {1: "one", 2: "two"}
    assert family.known.ask_all("anything", None, WATCHDOG, but=1) == {2: "two"}
    assert family.known.ask(3, "anything", None, WATCHDOG) == "three"


def test_worker_that_does_not_answer_is_shown_with_its_stacks(family: Family, caplog: pytest.LogCaptureFixture) -> None:
    """Since the first question that it did not answer; until it answers one."""
    family.worker(1, None, stacks='File "shop.py", line 7 in report')
    family.worker(2, "two", stacks="not shown")
    assert family.known.ask_all("anything", None, 0.01).keys() <= {2}
    family.clock.advance(12.0)
    family.known.ask_all("anything", None, 0.01)
    silent = family.known.known()[0].shown
    assert silent["silent_for"] == pytest.approx(12.0)
    assert silent["stacks"] == 'File "shop.py", line 7 in report'
    assert family.known.ask(2, "anything", None, WATCHDOG) == "two"
    fine = family.known.known()[1].shown
    assert (fine["silent_for"], fine["stacks"]) == (None, "")
    until(lambda: "Internal error" in caplog.text, "the link tells that there was no answer")


def test_nothing_is_kept_of_workers_that_have_ended(family: Family) -> None:
    """At once if its link has ended too; a link that came before the board shows its worker stays for a while."""
    gone = family.worker(1, "one")
    gone.clear()
    before = len(os.listdir("/proc/self/fd"))
    family.worker(2, "two")
    assert family.known.ask(1, "anything", None, WATCHDOG) == "one"
    family.clock.advance(11.0)
    family.worker(3, "three").clear()
    with pytest.raises(NoAnswer):
        family.known.ask(1, "anything", None, WATCHDOG)
    until(lambda: len(os.listdir("/proc/self/fd")) == before + 2 * 3 - 3, "its descriptors are closed")
    family.known.forget_gone()
    assert family.known.ask(3, "anything", None, WATCHDOG) == "three"
    family.links[2].close()

    def is_forgotten() -> bool:
        family.known.forget_gone()
        return len(os.listdir("/proc/self/fd")) == before

    until(is_forgotten, "those of the third are closed at both ends")
