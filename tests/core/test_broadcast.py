"""What may be sent to all processes, what is kept of it, and what waits."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pastepool.core.broadcast import (
    LONGEST_PAYLOAD,
    LONGEST_TOPIC,
    MOST_BYTES_KEPT,
    MOST_BYTES_WAITING,
    MOST_KEPT,
    Broadcast,
    Kept,
    Undelivered,
    message_of,
    topic_of,
    unpacked,
)

MESSAGES = st.builds(Broadcast, st.binary(min_size=1, max_size=LONGEST_TOPIC), st.binary(max_size=300), st.booleans())


@given(MESSAGES)
def test_message_is_read_as_it_was_packed(message: Broadcast) -> None:
    """Bytes and back."""
    assert unpacked(message.packed()) == message


@given(st.binary(max_size=300))
def test_bytes_that_are_no_message_are_refused(data: bytes) -> None:
    """Whatever they are, reading raises nothing, and what is read would be packed in the same way."""
    message = unpacked(data)
    assert message is None or message == unpacked(message.packed())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0",
        b"\0\0\0payload",
        b"\0\0\5abc",
        Broadcast(b"t" * (LONGEST_TOPIC + 1), b"").packed(),
        Broadcast(b"t", b"x" * (LONGEST_PAYLOAD + 1)).packed(),
    ],
)
def test_message_out_of_bounds_is_none(data: bytes) -> None:
    """No topic, half of one, or more bytes than may be sent."""
    assert unpacked(data) is None


def test_largest_message_may_be_sent() -> None:
    """64 KiB, and a topic of 200 bytes in UTF-8."""
    message = message_of("ü" * (LONGEST_TOPIC // 2), bytearray(LONGEST_PAYLOAD), False)
    assert len(message.payload) == LONGEST_PAYLOAD
    assert unpacked(message.packed()) == message


@pytest.mark.parametrize(
    ("topic", "payload", "error", "words"),
    [
        (b"cache", b"", TypeError, "of type bytes; give a str"),
        (None, b"", TypeError, "of type NoneType"),
        ("", b"", ValueError, "give 1 to 200"),
        ("t" * (LONGEST_TOPIC + 1), b"", ValueError, "has 201 bytes"),
        ("\ud800", b"", ValueError, "without surrogates"),
        ("cache", "text", TypeError, "of type str; give bytes"),
        ("cache", b"x" * (LONGEST_PAYLOAD + 1), ValueError, "65537 bytes, and 65536 may be sent"),
    ],
)
def test_mistakes_of_the_application_are_named(topic: Any, payload: Any, error: type[Exception], words: str) -> None:
    """With the topic, what is wrong, and what to give."""
    with pytest.raises(error, match=words):
        message_of(topic, payload, False)


def test_topic_alone_is_checked_in_the_same_way() -> None:
    """For subscriptions."""
    assert topic_of("cache") == b"cache"


# --------------------------------------------------------------------------------------------------------------- kept


def test_last_kept_message_of_each_topic_is_kept() -> None:
    """Those that are not to be kept change nothing."""
    kept = Kept()
    for message in (
        Broadcast(b"a", b"1", True),
        Broadcast(b"b", b"1", True),
        Broadcast(b"a", b"2", True),
        Broadcast(b"a", b"3"),
    ):
        kept = kept.after(message)
    assert {topic: each.payload for topic, each in kept.messages.items()} == {b"a": b"2", b"b": b"1"}


def test_empty_payload_ends_what_was_kept() -> None:
    """Of its topic, also when nothing was."""
    kept = Kept().after(Broadcast(b"a", b"1", True)).after(Broadcast(b"b", b"1", True))
    assert list(kept.after(Broadcast(b"a", b"", True)).messages) == [b"b"]
    assert kept.after(Broadcast(b"c", b"", True)) == kept


def test_topics_that_are_kept_are_bounded() -> None:
    """One more is refused with a reason, and changes nothing; a newer message of one of them is not."""
    kept = Kept()
    for number in range(MOST_KEPT):
        kept = kept.after(Broadcast(b"%d" % number, b"x", True))
    more = Broadcast(b"more", b"x", True)
    assert "256 topics" in kept.refuses(more)
    assert kept.after(more) is kept
    assert kept.refuses(Broadcast(b"0", b"y", True)) == ""
    assert kept.refuses(Broadcast(b"more", b"x")) == ""


def test_bytes_that_are_kept_are_bounded() -> None:
    """The one that it replaces does not count."""
    kept, large = Kept(), b"x" * LONGEST_PAYLOAD
    for number in range(15):
        kept = kept.after(Broadcast(b"%d" % number, large, True))
    assert len(kept.messages) == 15
    assert f"more than {MOST_BYTES_KEPT} bytes" in kept.refuses(Broadcast(b"15", large, True))
    assert kept.refuses(Broadcast(b"3", large, True)) == ""


# ------------------------------------------------------------------------------------------------------------ waiting


def taken(waiting: Undelivered) -> list[Broadcast]:
    """All that waits, in its order."""
    found = []
    while waiting:
        found.append(waiting.first())
        assert waiting.take() is found[-1]
    return found


def test_messages_wait_in_their_order() -> None:
    """Also several of one topic, as long as there is room."""
    waiting, messages = Undelivered(), [Broadcast(b"a", b"%d" % number, number % 2 == 0) for number in range(10)]
    assert all(map(waiting.add, messages))
    assert taken(waiting) == messages


def test_message_that_finds_no_room_is_lost_and_counted() -> None:
    """Those that wait stay; the count begins again when it was told."""
    waiting, large = Undelivered(), Broadcast(b"a", b"x" * LONGEST_PAYLOAD)
    fitting = sum(waiting.add(large) for _ in range(20))
    assert fitting == MOST_BYTES_WAITING // large.cost
    assert (waiting.take_lost(), waiting.take_lost()) == (20 - fitting, 0)
    assert len(taken(waiting)) == fitting
    assert waiting.add(large)


def test_kept_message_is_not_lost() -> None:
    """It takes the place of an older one of its topic, so a slow process gets the newest of each in the end."""
    waiting = Undelivered()
    for size in (LONGEST_PAYLOAD, 0):
        while waiting.add(Broadcast(b"other", b"x" * size)):
            pass
    for number in range(5):
        assert waiting.add(Broadcast(b"a", b"%d" % number, True))
    assert waiting.take_lost() == 2
    assert [message.payload for message in taken(waiting) if message.keep] == [b"4"]


@given(
    st.lists(
        st.builds(Broadcast, st.sampled_from([b"a", b"b", b"c"]), st.just(b"x" * 60000), st.booleans()), max_size=80
    )
)
def test_what_waits_is_bounded_whatever_comes(messages: list[Broadcast]) -> None:
    """And every message waits, is lost, or has given its place to a newer one."""
    waiting = Undelivered()
    for message in messages:
        waiting.add(message)
    lost = waiting.take_lost()
    left = taken(waiting)
    assert sum(message.cost for message in left) <= MOST_BYTES_WAITING + 2 * MOST_BYTES_KEPT
    assert len(left) + lost <= len(messages)
    newest = {message.topic: message for message in messages if message.keep}
    assert all(message in left for message in newest.values())


def test_kept_messages_of_very_many_topics_are_bounded_too() -> None:
    """A receiver that takes nothing, and ever new topics: in the end they are lost."""
    waiting = Undelivered()
    added = [waiting.add(Broadcast(b"%d" % number, b"x" * LONGEST_PAYLOAD, True)) for number in range(60)]
    assert added.count(False) == waiting.take_lost() > 0
