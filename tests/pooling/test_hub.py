"""Subscriptions of one process, and the thread that calls them back."""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Iterator

import pytest

import pastepool
from pastepool.core.broadcast import LONGEST_PAYLOAD, MOST_BYTES_KEPT, MOST_KEPT, Broadcast
from pastepool.errors import BroadcastError
from pastepool.pooling import hub as module
from pastepool.pooling.hub import Hub
from tests.waiting import WATCHDOG, until


@pytest.fixture
def hub() -> Iterator[Hub]:
    """One that serves, in a single process."""
    made = Hub()
    made.begin(None)
    yield made
    made.end()


@pytest.fixture
def heard() -> queue.Queue[bytes]:
    """What a callback was called with."""
    return queue.Queue()


def test_callbacks_of_the_topic_are_called_and_no_others(hub: Hub, heard: queue.Queue[bytes]) -> None:
    """In the order of the subscriptions, on a thread of ours."""
    names = []
    hub.subscribe("other", lambda payload: heard.put(b"wrong"))
    hub.subscribe("topic", lambda payload: names.append(threading.current_thread().name))
    hub.subscribe("topic", heard.put)
    for number in range(3):
        hub.broadcast("topic", b"%d" % number)
    assert [heard.get(timeout=WATCHDOG) for _ in range(3)] == [b"0", b"1", b"2"]
    assert names == ["pastepool broadcast"] * 3


def test_no_thread_without_a_subscription(hub: Hub) -> None:
    """Most applications do not use it."""
    before = threading.active_count()
    hub.broadcast("topic", b"x", keep=True)
    assert threading.active_count() == before


def test_kept_message_reaches_a_later_subscription(hub: Hub, heard: queue.Queue[bytes]) -> None:
    """The last one of its topic, and then what comes."""
    for payload in (b"1", b"2"):
        hub.broadcast("topic", payload, keep=True)
    hub.broadcast("topic", b"passing")
    hub.subscribe("topic", heard.put)
    hub.broadcast("topic", b"3")
    assert [heard.get(timeout=WATCHDOG) for _ in range(2)] == [b"2", b"3"]


def test_subscription_ends(hub: Hub, heard: queue.Queue[bytes]) -> None:
    """Each by the function that it was given; ending it twice ends no other."""
    ends = [hub.subscribe("topic", heard.put) for _ in range(2)]
    last = threading.Event()
    hub.subscribe("last", lambda payload: last.set())
    ends[0]()
    hub.broadcast("topic", b"once")
    ends[1]()
    ends[1]()
    hub.broadcast("topic", b"never")
    hub.broadcast("last", b"")
    assert last.wait(WATCHDOG)
    assert [heard.get_nowait() for _ in range(heard.qsize())] in ([b"once"], [])


@pytest.mark.parametrize("error", [RuntimeError("on purpose"), SystemExit(3)])
def test_callback_that_raises_is_logged_with_its_topic(
    hub: Hub, heard: queue.Queue[bytes], caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    """And others are called, and later messages."""

    def fail(payload: bytes) -> None:
        raise error

    hub.subscribe("topic", fail)
    hub.subscribe("topic", heard.put)
    with caplog.at_level(logging.ERROR):
        for payload in (b"1", b"2"):
            hub.broadcast("topic", payload)
            assert heard.get(timeout=WATCHDOG) == payload
        until(lambda: len(caplog.records) == 2, "both are logged")
    assert "fail for the topic 'topic' of pastepool.subscribe raised" in caplog.text


def test_callback_that_hangs_holds_up_only_later_messages(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    """They wait in a bounded queue; those that find no room are lost, which is told at once, and counted at the end."""
    entered, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def hang(payload: bytes) -> None:
        entered.set()
        assert go_on.wait(WATCHDOG)

    hub.subscribe("topic", hang)
    hub.subscribe("last", lambda payload: done.set())
    with caplog.at_level(logging.WARNING):
        for _ in range(30):
            hub.broadcast("topic", bytes(LONGEST_PAYLOAD))
        assert entered.wait(WATCHDOG)
        until(lambda: "get lost in this process" in caplog.text, "it is told while the callback hangs")
        hub.broadcast("last", b"", keep=True)
        go_on.set()
        assert done.wait(WATCHDOG)
        until(lambda: "messages of pastepool.broadcast did not reach this process" in caplog.text, "they are counted")


def test_messages_that_were_lost_on_the_way_are_told(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    """The parent has counted them."""
    hub.subscribe("topic", lambda payload: None)
    with caplog.at_level(logging.WARNING):
        hub.hear(Broadcast(b"topic", b"x").packed(), 7)
        until(lambda: "7 messages of pastepool.broadcast did not reach this process" in caplog.text, "it is told")


def test_what_is_kept_is_bounded(hub: Hub) -> None:
    """One topic more is an error of the sender, and so are too many bytes; nobody is told."""
    for number in range(MOST_KEPT):
        hub.broadcast(f"{number}", b"x", keep=True)
    with pytest.raises(BroadcastError, match="'more' was not sent: 256 topics have a kept message already"):
        hub.broadcast("more", b"x", keep=True)
    with pytest.raises(BroadcastError, match=f"more than {MOST_BYTES_KEPT} bytes"):
        for number in range(20):
            hub.broadcast(f"{number}", bytes(LONGEST_PAYLOAD), keep=True)


def test_mistakes_in_a_subscription_are_named(hub: Hub) -> None:
    """The topic, the callback, and too many."""
    with pytest.raises(TypeError, match="of type bytes; give a str"):
        hub.subscribe(b"topic", print)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="the callback cannot be called"):
        hub.subscribe("topic", None)  # type: ignore[arg-type]
    with pytest.raises(BroadcastError, match="1000 subscriptions already"):
        for _ in range(1001):
            hub.subscribe("topic", print)


def test_bytes_that_are_no_message_are_ignored(hub: Hub) -> None:
    """Whatever they are."""
    hub.hear(b"\xff\xff", 0)


def test_nothing_is_called_back_after_the_end(heard: queue.Queue[bytes]) -> None:
    """Until the next server begins; then what was kept before is forgotten, and subscriptions are not."""
    hub = Hub()
    hub.begin(None)
    hub.subscribe("topic", heard.put)
    hub.broadcast("topic", b"1", keep=True)
    assert heard.get(timeout=WATCHDOG) == b"1"
    hub.end()
    hub.hear(Broadcast(b"topic", b"2").packed(), 0)
    hub.begin(None)
    hub.broadcast("topic", b"3")
    assert heard.get(timeout=WATCHDOG) == b"3"
    hub.end()
    hub.end()


def test_subscription_before_the_start_hears_what_comes(heard: queue.Queue[bytes]) -> None:
    """An application subscribes while it is loaded, before the server serves."""
    hub = Hub()
    hub.subscribe("topic", heard.put)
    hub.begin(None)
    hub.broadcast("topic", b"1")
    assert heard.get(timeout=WATCHDOG) == b"1"
    hub.end()


def test_child_of_the_application_cannot_send(hub: Hub) -> None:
    """A process that the application has forked has neither the thread nor the connection."""
    hub.subscribe("topic", lambda payload: None)
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            hub.broadcast("topic", b"x")
        except BroadcastError as error:
            os.write(write, str(error).encode())
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    assert b"the application has forked this process" in os.read(read, 1000)
    os.close(read)


def test_public_name_is_the_one_of_this_process() -> None:
    """``pastepool.subscribe``."""
    assert pastepool.subscribe is module.subscribe
    end = pastepool.subscribe("topic", print)
    assert module.hub._callbacks
    end()
    assert not module.hub._callbacks
