"""How the parent passes on what workers broadcast: over real sockets, in one process."""

from __future__ import annotations

import select
from collections.abc import Iterator

import pytest

from pastepool.core.broadcast import LONGEST_PAYLOAD, MOST_KEPT, Broadcast, unpacked
from pastepool.runtime.family.lane import Lane
from pastepool.runtime.family.relay import Relay

SMALL = Broadcast(b"a", b"small")
LARGE = Broadcast(b"a", bytes(LONGEST_PAYLOAD))


class Fleet:
    """A relay, and the workers' ends by serial."""

    def __init__(self, workers: int) -> None:
        self.told: list[str] = []
        self.relay = Relay(self.told.append)
        self.ends: dict[int, Lane] = {}
        for serial in range(1, workers + 1):
            self.join(serial)

    def join(self, serial: int) -> None:
        self.ends[serial] = self.relay.open(serial)

    def send(self, serial: int, *messages: Broadcast) -> None:
        """Send, and have each passed on at once."""
        for message in messages:
            self.ends[serial].send(message.packed())
            self.turn()

    def turn(self) -> None:
        """Do what the parent does when something is ready."""
        poll = select.poll()
        for descriptor, events in self.relay.interests():
            poll.register(descriptor, events)
        self.relay.pass_on({descriptor for descriptor, _ in poll.poll(0)})

    def read(self, serial: int) -> list[tuple[int, Broadcast | None]]:
        """What has come to a worker by now, with how many were lost before each."""
        found: list[tuple[int, Broadcast | None]] = []
        while True:
            self.turn()
            before = len(found)
            self.ends[serial].take(lambda data, lost: found.append((lost, unpacked(data))))
            if len(found) == before:
                return found

    def close(self) -> None:
        self.relay.close_all()
        for end in self.ends.values():
            end.close()


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    """Three workers."""
    made = Fleet(3)
    yield made
    made.close()


def test_message_reaches_all_and_the_sender(fleet: Fleet) -> None:
    """Whole, also the largest."""
    fleet.send(2, SMALL, LARGE)
    for serial in (1, 2, 3):
        assert fleet.read(serial) == [(0, SMALL), (0, LARGE)]


def test_kept_messages_reach_one_that_comes_later(fleet: Fleet) -> None:
    """The newest of each topic, before anything else."""
    older, newer, other = Broadcast(b"a", b"1", True), Broadcast(b"a", b"2", True), Broadcast(b"b", b"1", True)
    fleet.send(1, older, other, newer, SMALL)
    fleet.join(4)
    fleet.send(2, LARGE)
    assert sorted(message.payload for _, message in fleet.read(4)[:2] if message) == [b"1", b"2"]
    assert fleet.read(4) == [] != fleet.read(3)


def test_full_pipe_costs_the_others_nothing(fleet: Fleet) -> None:
    """One does not read: the others have all, it has the first ones and the number of those that it has lost."""
    for _ in range(60):
        fleet.send(1, LARGE)
        assert fleet.read(1) == fleet.read(2) == [(0, LARGE)]
    newest = Broadcast(b"state", b"newest", True)
    fleet.send(1, newest)
    late = fleet.read(3)
    assert late[-1][1] == newest
    assert len(late) < 61
    assert len(late) + sum(lost for lost, _ in late) == 61


def test_nothing_is_polled_for_writing_without_need(fleet: Fleet) -> None:
    """The parent sleeps while there is nothing to send."""
    fleet.send(1, SMALL)
    assert {events for _, events in fleet.relay.interests()} == {select.POLLIN}


def test_worker_that_has_ended_is_polled_no_more(fleet: Fleet) -> None:
    """What it sent before still arrives."""
    fleet.ends[1].send(SMALL.packed())
    fleet.ends[1].close()
    fleet.turn()
    fleet.turn()
    assert len(list(fleet.relay.interests())) == 2
    assert fleet.read(2) == [(0, SMALL)]
    fleet.relay.close(1)
    fleet.relay.close(1)
    fleet.send(2, SMALL)
    assert fleet.read(3) == [(0, SMALL), (0, SMALL)]


def test_packet_that_is_no_message_is_dropped(fleet: Fleet) -> None:
    """A worker whose memory is damaged does no harm to the parent."""
    fleet.ends[1].send(b"\xff" * 100)
    fleet.send(1, SMALL)
    assert fleet.read(2) == [(0, SMALL)]


def test_message_that_cannot_be_kept_is_told_and_passed_on(fleet: Fleet) -> None:
    """Workers see what is kept a moment later than the parent: two may ask for the last place at the same time."""
    for number in range(MOST_KEPT):
        fleet.send(1, Broadcast(b"%d" % number, b"x", True))
        fleet.read(1), fleet.read(2), fleet.read(3)
    fleet.send(2, Broadcast(b"more", b"x", True))
    assert fleet.read(1) == [(0, Broadcast(b"more", b"x"))]
    assert fleet.told == [
        "a message for the topic 'more' is not kept for later workers: 256 topics have a kept message already"
    ]
