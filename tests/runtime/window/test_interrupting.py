"""Kills in threads that are blocked in a system call: ended at once where the interpreter can, and nobody else is hit."""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pastepool.core.landing.verdict import Grade, raised_in_call
from pastepool.errors import WorkerKilled
from pastepool.runtime.inspection.procfs import read_system_call
from pastepool.runtime.inspection.stacks import frame_of
from pastepool.runtime.window.arming import calls_of
from pastepool.runtime.window.interrupting import blocking_call
from pastepool.runtime.window.interruption import interruption
from pastepool.runtime.window.window import Window
from pastepool.types import Injected
from tests.runtime.window.blocked import Blocked
from tests.runtime.window.test_interrupt_signal import caught
from tests.waiting import WATCHDOG, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells in which call a thread is")


@pytest.fixture(scope="module", autouse=True)
def begun() -> Iterator[None]:
    """As while a server runs."""
    user = object()
    interruption.begin(user)
    yield
    interruption.end(user)


@pytest.fixture
def usable() -> None:
    """For tests of interpreters that can do it."""
    if not interruption.usable:
        pytest.skip("functions of this interpreter do not look what is marked when a signal interrupts them")


def test_interpreters_that_can_are_found_by_a_trial() -> None:
    """CPython 3.15 is the first. The trial has no version in it, and it leaves no thread."""
    assert interruption.usable is (sys.version_info >= (3, 15))
    assert [thread.name for thread in threading.enumerate() if "trial" in thread.name] == []


def blocks_in_sleep() -> None:
    """A pause."""
    time.sleep(600)


def blocks_in_recv() -> None:
    """An answer that does not come."""
    mine, peer = socket.socketpair()
    with mine, peer:
        mine.recv(1)


def blocks_in_makefile() -> None:
    """The same, through the file of a socket."""
    mine, peer = socket.socketpair()
    with mine, peer, mine.makefile("rb") as file:
        file.readline()


def blocks_in_select() -> None:
    """One socket, with ``select``."""
    mine, peer = socket.socketpair()
    with mine, peer:
        select.select([mine], [], [])


def blocks_in_epoll() -> None:
    """No socket at all."""
    with select.epoll() as poller:
        poller.poll()


def blocks_in_wait() -> None:
    """A child process."""
    with subprocess.Popen(["sleep", "600"]) as child:
        try:
            child.wait()
        finally:
            child.kill()


def blocks_in_accept() -> None:
    """A client."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.accept()


BLOCKING = (
    (blocks_in_sleep, "blocks_in_sleep"),
    (blocks_in_recv, "blocks_in_recv"),
    (blocks_in_makefile, "readinto"),
    (blocks_in_select, "blocks_in_select"),
    (blocks_in_epoll, "blocks_in_epoll"),
    (blocks_in_wait, "_try_wait"),
    (blocks_in_accept, "accept"),
)


@pytest.mark.usefixtures("usable")
@pytest.mark.parametrize(("body", "name"), BLOCKING, ids=lambda each: getattr(each, "__name__", ""))
def test_blocked_thread_ends_at_once(body: Callable[[], None], name: str) -> None:
    """Without being let go, and ``with`` and ``finally`` are run on the way."""
    victim = Blocked(body, name)
    assert victim.kill() is Injected.LANDING
    victim.join()
    assert victim.outcome == ["killed"]


@pytest.mark.usefixtures("usable")
def test_clean_up_is_not_killed_again() -> None:
    """The thread is armed no more when the exception was raised in its call."""
    steps: list[str] = []

    def body() -> None:
        try:
            time.sleep(600)
        finally:
            steps.append("began")
            for number in range(100_000):
                str(number)
            steps.append("ended")

    victim = Blocked(body, "body")
    victim.kill()
    victim.join()
    assert (steps, victim.outcome) == (["began", "ended"], ["killed"])
    assert victim.window._arm is None


@pytest.mark.usefixtures("usable")
def test_application_that_swallows_its_kill_and_waits_again_is_killed_once() -> None:
    """
    It is back in the same system call at once, and looks as if it had never left it. One kill is one exception.

    Many threads, because the second exception came only when the killer looked in the wrong microseconds.
    """
    for _ in range(20):
        swallowed: list[str] = []

        def body() -> None:
            rounds = 0
            while rounds < 20:
                try:
                    time.sleep(0.001)
                except WorkerKilled:
                    swallowed.append("killed")  # noqa: B023
                rounds += bool(swallowed)  # noqa: B023

        victim = Blocked(body, "body")
        victim.kill()
        victim.join()
        assert (swallowed, victim.outcome) == (["killed"], ["returned"])


@pytest.mark.usefixtures("usable")
def test_function_that_does_not_ask_is_left_as_it_was(tmp_path: Path) -> None:
    """
    SQLite sleeps again by itself while another connection writes. What is marked is taken off, and the thread stays
    armed.
    """
    file = str(tmp_path / "shop.sqlite")

    def body() -> None:
        with contextlib.closing(sqlite3.connect(file, timeout=600)) as mine:
            mine.execute("BEGIN IMMEDIATE")
            blocks_in_sleep()

    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        victim = Blocked(body, "body")
        until(lambda: blocking_call(victim.thread.native_id or 0) is not None, "the thread sleeps")
        assert victim.kill() is Injected.LANDING
        arm = victim.window._arm
        assert arm is not None and arm.waits
        assert victim.outcome == []
        other.execute("COMMIT")
        victim.join()
        other.execute("BEGIN IMMEDIATE")
    assert victim.outcome == ["killed"]


@pytest.mark.usefixtures("usable")
@pytest.mark.parametrize("shape", ["acquire", "with"])
def test_thread_that_waits_for_a_lock_is_not_marked(shape: str) -> None:
    """The exception would be raised the moment it has the lock. It is killed after it has given the lock back."""
    lock = threading.Lock()
    lock.acquire()

    def acquires() -> None:
        lock.acquire()
        lock.release()
        blocks_in_sleep()

    def enters() -> None:
        with lock:
            pass
        blocks_in_sleep()

    victim = Blocked(acquires if shape == "acquire" else enters, "acquires", "enters")
    native_id = victim.thread.native_id or 0
    until(lambda: (call := read_system_call(native_id)) is not None and call.number >= 0, "the thread waits")
    assert blocking_call(native_id) is None
    assert victim.kill() is Injected.LANDING
    assert victim.outcome == []
    lock.release()
    victim.join()
    assert victim.outcome == ["killed"]
    assert not lock.locked()


def test_loop_over_a_file_is_no_place_for_it() -> None:
    """After an instruction that is no call the interpreter does not look, so the exception could come anywhere later."""
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as file:

        def body() -> None:
            for _ in file:
                pass

        victim = Blocked(body, "body")
        frame = frame_of(victim.thread.ident or 0)
        assert frame is not None
        assert raised_in_call([*calls_of(frame)]) is Grade.NEVER
        del frame
        os.close(writing)
        victim.join()
    assert victim.outcome == ["returned"]


@pytest.mark.usefixtures("usable")
def test_nothing_is_marked_where_the_application_uses_the_signal() -> None:
    """It has installed a handler of its own since: the thread is armed, as on other interpreters."""
    came: list[int] = []
    number = interruption._signal.number
    reading, writing = os.pipe()
    victim = Blocked(lambda: os.read(reading, 1), "<lambda>")
    earlier = signal.signal(number, lambda number, frame: came.append(number))
    try:
        assert victim.kill() is Injected.LANDING
        arm = victim.window._arm
        assert arm is not None and arm.waits
    finally:
        signal.signal(number, earlier)
    os.write(writing, b"x")
    victim.join()
    for end in (reading, writing):
        os.close(end)
    assert came == []
    interruption._signal.remove()
    assert interruption._signal.install()


@pytest.mark.usefixtures("usable")
def test_signal_stays_while_one_server_wants_it() -> None:
    """Two servers may run in one process; the first to end does not take it from the other."""
    users = object(), object()
    for user in users:
        interruption.begin(user)
    interruption.end(users[0])
    assert interruption.usable
    interruption.end(users[1])
    interruption.end(users[1])
    assert interruption.usable, "the third user is the fixture of this module"


@pytest.mark.usefixtures("usable")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_child_of_a_fork_has_the_default_handler() -> None:
    """It takes no lock, which another thread may have had at the fork."""
    answers = os.pipe()
    with interruption._lock:
        child = os.fork()
        if child == 0:
            try:
                number = interruption._signal.number
                interruption.in_child()
                os.write(answers[1], b"caught" if number in caught() else b"default")
            finally:
                os._exit(0)
    os.waitpid(child, 0)
    os.close(answers[1])
    with open(answers[0], "rb") as answer:
        assert answer.read() == b"default"


KILLS = 300


class Passing:
    """
    A thread that blocks for moments, in a window that is open for moments: the kills meet it anywhere.

    ``strays``: exceptions that came while the window was shut. ``kept``: how often the lock stayed taken.
    """

    def __init__(self) -> None:
        self.window: Window
        self.landed = self.strays = self.kept = 0
        self.serial = 0
        self.done = False
        self._lock = threading.Lock()
        self._ends = socket.socketpair()
        self.started = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        self.window = Window()
        self.started.set()
        while not self.done:
            try:
                self._once()
            except WorkerKilled:
                self.strays += 1

    def _once(self) -> None:
        self.serial += 1
        self.window.killed = False
        self.window.open(self.serial)
        try:
            self._application(random.random() / 500)
        except WorkerKilled:
            self.landed += 1
        self.window.shut()
        if self._lock.locked():
            self.kept += 1
            self._lock.release()

    def _application(self, pause: float) -> None:
        for _ in range(3):
            time.sleep(pause)
            with self._lock:
                time.sleep(pause)
            select.select([self._ends[0]], [], [], pause)
            self._lock.acquire()
            try:
                time.sleep(pause)
            finally:
                self._lock.release()

    def close(self) -> None:
        """End the thread."""
        self.done = True
        self.thread.join(WATCHDOG)
        for end in self._ends:
            end.close()


def test_kill_lands_in_the_call_it_was_meant_for_and_takes_nothing_with_it() -> None:
    """300 kills at random moments into a thread that blocks for a millisecond: none comes late, no lock is left."""
    victim = Passing()
    victim.thread.start()
    assert victim.started.wait(WATCHDOG)
    kills = 0
    deadline = time.monotonic() + 40
    with contextlib.closing(victim):
        while kills < KILLS and time.monotonic() < deadline:
            time.sleep(random.random() / 200)
            kills += victim.window.kill(victim.serial, lambda: None) is Injected.LANDING
    assert not victim.thread.is_alive()
    assert (victim.strays, victim.kept) == (0, 0)
    assert kills == KILLS
    assert victim.landed > KILLS / 5
