"""Two processes that ask each other: here both sides are in one."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pastepool.runtime.family.link import AT_ONCE, LONGEST, UNANSWERED, Link, NoAnswer
from pastepool.runtime.family.wire import wires
from pastepool.runtime.system.threads import spawn_thread
from tests.waiting import WATCHDOG, until

Pair = Callable[[Callable[[str, Any], Any], Callable[[str, Any], Any]], tuple[Link, Link]]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Make both sides, and end them after the test."""
    made: list[Link] = []

    def make(one: Callable[[str, Any], Any], other: Callable[[str, Any], Any]) -> tuple[Link, Link]:
        ends = socket.socketpair()
        links = Link(ends[0], one, spawn_thread), Link(ends[1], other, spawn_thread)
        for link in links:
            link.start()
        made.extend(links)
        return links

    yield make
    for link in made:
        link.close()
    until(lambda: not any(thread.name == "pastepool link" for thread in threading.enumerate()), "no thread is left")


def nothing(word: str, about: Any) -> Any:
    """Never called."""
    raise AssertionError(word)


def test_both_sides_ask_and_answer(pair: Pair) -> None:
    """At the same time, also within an answer, and texts of any length and kind."""
    long = "\udc80ä" * 300_000

    def ask_back(word: str, about: Any) -> Any:
        return [word, two.ask("back", about, WATCHDOG)]

    one, two = pair(lambda word, about: {"word": word, "about": about}, ask_back)
    assert one.ask("to", [1, long], WATCHDOG) == ["to", {"word": "back", "about": [1, long]}]


def test_side_that_stands_still_is_not_buried_in_questions(pair: Pair) -> None:
    """After some without an answer no more are sent. When it goes on, late answers are dropped and all is well."""
    gate = threading.Event()
    asked: list[str] = []

    def held(word: str, about: Any) -> Any:
        asked.append(word)
        gate.wait(WATCHDOG)
        return word

    one, _ = pair(nothing, held)
    for number in range(UNANSWERED + 5):
        with pytest.raises(NoAnswer):
            one.ask(str(number), None, 0.01)
    until(lambda: len(asked) == min(UNANSWERED, AT_ONCE), "they have come")
    gate.set()

    def answered() -> bool:
        try:
            return bool(one.ask("again", None, WATCHDOG) == "again")
        except NoAnswer:
            return False

    until(answered, "it answers again")
    assert len(asked) <= UNANSWERED + 1


def test_answer_that_fails_is_logged_and_none_is_given(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    """The link lives on."""

    def fails(word: str, about: Any) -> Any:
        if word == "fail":
            raise ValueError("broken on purpose")
        return "fine"

    one, _ = pair(nothing, fails)
    with pytest.raises(NoAnswer):
        one.ask("fail", None, 0.2)
    until(lambda: "Internal error in the answer to fail" in caplog.text, "it is logged")
    assert one.ask("other", None, WATCHDOG) == "fine"


def test_side_that_ends_gives_no_answer(pair: Pair) -> None:
    """Neither to the question that waits nor to later ones."""
    one, two = pair(nothing, lambda word, about: two.close())
    with pytest.raises(NoAnswer):
        one.ask("end", None, 0.5)
    until(lambda: one.ended, "the end is seen")
    with pytest.raises(NoAnswer):
        one.ask("more", None, WATCHDOG)


@pytest.mark.parametrize("garbage", [struct.pack("!I", LONGEST + 1), struct.pack("!I", 10) + b"abc", b"\0"])
def test_garbled_message_ends_the_link(garbage: bytes) -> None:
    """So it is when the other side dies in the middle of one."""
    mine, theirs = socket.socketpair()
    link = Link(theirs, nothing, spawn_thread)
    link.start()
    with mine:
        mine.sendall(garbage)
    until(lambda: link.ended, "it has ended")


def test_question_of_an_answer_that_nobody_waits_for_is_dropped() -> None:
    """An answer to a question that was never asked."""
    mine, theirs = socket.socketpair()
    link = Link(theirs, lambda word, about: about, spawn_thread)
    link.start()
    with mine:
        for message in ([77, "", "late"], [1, "echo", "hello"]):
            data = json.dumps(message).encode()
            mine.sendall(struct.pack("!I", len(data)) + data)
        mine.settimeout(WATCHDOG)
        assert json.loads(mine.recv(100)[4:]) == [1, "", "hello"]
    until(lambda: link.ended, "it has ended")


def test_wire_brings_descriptors() -> None:
    """In the order of their messages, and closed on exec."""
    ours, theirs = wires()
    one, other = socket.socketpair()
    with one, other:
        assert ours.send("plain", "text")
        assert ours.send("worker", "1", (one.fileno(),))
        assert ours.send("worker", "2", (other.fileno(), one.fileno()))
        seen: list[tuple[str, str]] = []
        while len(seen) < 3:
            seen += theirs.receive(wait=True) or []
        assert seen == [("plain", "text"), ("worker", "1"), ("worker", "2")]
        brought = [socket.socket(fileno=number) for number in theirs.descriptors]
        assert [each.get_inheritable() for each in brought] == [False] * 3
        brought[0].sendall(b"hello")
        assert other.recv(10) == b"hello"
        for each in brought:
            each.close()
    ours.close()
    assert theirs.receive(wait=True) is None
    assert not theirs.send("to nobody")
    theirs.close()
