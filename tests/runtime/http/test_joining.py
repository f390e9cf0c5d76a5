"""Small pieces that come without a pause leave together, and none is kept back longer than a millisecond."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from pastepool.errors import ClientGone, NoThread
from pastepool.runtime.http.joining import KEPT_AT_MOST, NO_PAUSE, Joining
from pastepool.runtime.http.sender import Sender
from pastepool.runtime.sockets.held_io import HELD_AT_MOST
from pastepool.runtime.system.clock import MonotonicClock
from pastepool.runtime.system.threads import spawn_thread
from pastepool.testing import FakeClock
from tests.waiting import WATCHDOG, until


class Scene:
    """
    The pieces of one response.

    ``sent``: what was handed to the socket, in the order of the system calls. ``watched``: what the sender looks after.
    ``can_watch``: whether it has a thread. ``gone``: whether the client has gone.
    """

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.connection = SimpleNamespace(closed=False, output=None)
        self.sent: list[bytes] = []
        self.watched: set[Joining] = set()
        self.can_watch = True
        self.gone = False
        self.joining = Joining(self.connection, self._send, self, self.clock)  # type: ignore[arg-type]

    def _send(self, data: bytes) -> None:
        if self.gone:
            raise ClientGone("gone")
        self.sent.append(data)

    def watch(self, joining: Joining) -> bool:
        if self.can_watch:
            self.watched.add(joining)
        return self.can_watch

    def forget(self, joining: Joining) -> None:
        self.watched.discard(joining)

    def add(self, *pieces: bytes, pause: float = 0.0) -> None:
        """Add pieces, each after a pause."""
        for piece in pieces:
            self.clock.advance(pause)
            self.joining.add(piece)

    def look(self) -> None:
        """Look as the sender's thread does."""
        self.joining.send_overdue(self.clock.now())


@pytest.fixture
def scene() -> Scene:
    """One response."""
    return Scene()


def test_first_piece_leaves_at_once(scene: Scene) -> None:
    """Somebody waits for it."""
    scene.add(b"a")
    assert (scene.sent, scene.watched) == ([b"a"], set())


def test_pieces_without_a_pause_leave_together_at_the_end(scene: Scene) -> None:
    """With the last bytes of the response; then nothing is looked after any more."""
    scene.add(b"a", b"b", b"c")
    assert scene.watched == {scene.joining}
    scene.joining.end(b"end")
    assert (scene.sent, scene.watched) == ([b"a", b"bcend"], set())


def test_pieces_of_a_slow_iterable_leave_each_by_itself(scene: Scene) -> None:
    """Before the next one is asked for."""
    for number, piece in enumerate([b"a", b"b", b"c", b"d"], 1):
        scene.add(piece, pause=2 * NO_PAUSE)
        assert len(scene.sent) == number
    assert scene.watched == set()


def test_piece_after_a_pause_takes_those_before_it_along(scene: Scene) -> None:
    """In the order in which they came."""
    scene.add(b"a", b"b", b"c")
    scene.add(b"d", pause=2 * NO_PAUSE)
    assert scene.sent == [b"a", b"bcd"]


def test_what_is_kept_back_is_bounded(scene: Scene) -> None:
    """A hundred pieces of a kilobyte are a few system calls, none of more than is sent without releasing the GIL."""
    piece = b"x" * 1030
    scene.add(*[piece] * 100)
    scene.joining.end()
    assert b"".join(scene.sent) == piece * 100
    assert len(scene.sent) == 8
    assert max(map(len, scene.sent)) <= HELD_AT_MOST


def test_large_piece_is_not_copied(scene: Scene) -> None:
    """It leaves at once, with no more before it than was kept back."""
    large = b"x" * HELD_AT_MOST
    scene.add(b"a", b"b", large)
    assert scene.sent == [b"a", b"b", large]
    assert scene.sent[-1] is large


def test_nothing_is_kept_back_behind_what_the_socket_does_not_take(scene: Scene) -> None:
    """It is queued, and the poller sends it when the client reads."""
    scene.connection.output = object()
    scene.add(b"a", b"b", b"c")
    assert scene.sent == [b"a", b"b", b"c"]


def test_without_a_thread_nothing_is_kept_back(scene: Scene) -> None:
    """Nobody would send it if the next piece did not come."""
    scene.can_watch = False
    scene.add(b"a", b"b", b"c")
    assert scene.sent == [b"a", b"b", b"c"]


def test_overdue_pieces_are_sent_by_another_thread(scene: Scene) -> None:
    """While the application produces the next one; and not earlier, because that would be a system call for each."""
    scene.add(b"a", b"b", b"c")
    scene.clock.advance(KEPT_AT_MOST / 2)
    scene.look()
    assert scene.sent == [b"a"]
    scene.clock.advance(KEPT_AT_MOST)
    scene.look()
    assert (scene.sent, scene.watched) == ([b"a", b"bc"], set())
    scene.look()
    scene.add(b"d")
    assert scene.sent == [b"a", b"bc", b"d"]


def test_client_that_has_gone_is_told_to_the_worker(scene: Scene) -> None:
    """The other thread finds it out, and the worker's next piece ends the call."""
    scene.add(b"a", b"b")
    scene.gone = True
    scene.clock.advance(1)
    scene.look()
    assert scene.watched == set()
    with pytest.raises(ClientGone):
        scene.joining.add(b"c")
    with pytest.raises(ClientGone):
        scene.joining.end()


def test_closed_connection_is_noticed_before_the_lock(scene: Scene) -> None:
    """In the child of a fork another thread may have held it."""
    scene.add(b"a", b"b")
    scene.joining._lock.acquire()
    scene.look()
    scene.connection.closed = True
    with pytest.raises(ClientGone):
        scene.joining.add(b"c")
    with pytest.raises(ClientGone):
        scene.joining.end()
    assert scene.sent == [b"a"]


# --- the thread


class Real:
    """A response whose pieces the real thread looks after. ``looked``: is set by each look; ``fails``: at the first."""

    def __init__(self, sender: Sender, fails: bool = False) -> None:
        self.looked = threading.Event()
        self._sender = sender
        self._fails = fails

    def send_overdue(self, now: float) -> None:
        fails, self._fails = self._fails, False
        if fails:
            raise ValueError("a mistake of ours")
        self._sender.forget(self)  # type: ignore[arg-type]
        self.looked.set()


def test_thread_sleeps_while_nothing_is_kept_back_and_is_woken() -> None:
    """It is started by the first response that needs it, and an error of ours does not end it."""
    started: list[str] = []

    def spawn(body: object, name: str) -> None:
        started.append(name)
        spawn_thread(body, name)  # type: ignore[arg-type]

    sender = Sender(MonotonicClock(), spawn)
    assert started == []
    try:
        for fails in (False, True, False):
            if fails:
                assert sender.watch(Real(sender, fails))  # type: ignore[arg-type]
            kept = Real(sender)
            assert sender.watch(kept)  # type: ignore[arg-type]
            assert kept.looked.wait(WATCHDOG)
            until(lambda: sender._asleep, "the thread sleeps")
    finally:
        sender.end()
        sender.end()
    assert started == ["pastepool sender"]
    assert not Sender(MonotonicClock(), spawn_thread)._asleep


def test_no_thread_means_that_nothing_is_looked_after() -> None:
    """The system has none left, or the server has ended."""

    def spawn(body: object, name: str) -> None:
        raise NoThread("no thread")

    sender = Sender(MonotonicClock(), spawn)
    assert not sender.watch(Real(sender))  # type: ignore[arg-type]
    ended = Sender(MonotonicClock(), spawn_thread)
    ended.end()
    assert not ended.watch(Real(ended))  # type: ignore[arg-type]
