"""Signals: whose handlers are taken over, what the first and the second one mean, and that all is put back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from pastepool.runtime.system import signals as signals_module
from pastepool.runtime.system.signals import Signals

BOTH = (signal.SIGTERM, signal.SIGINT)


class Heard:
    """What the server was told."""

    def __init__(self) -> None:
        self.said: list[tuple[str, int]] = []
        self.exits: list[SystemExit] = []
        self.signals = Signals(lambda number: self.said.append(("first", number)), self._second, self.exits.append)

    def _second(self, number: int) -> None:
        self.said.append(("second", number))


@pytest.fixture
def heard() -> Heard:
    """A server that listens, not yet installed."""
    return Heard()


@pytest.fixture(autouse=True)
def handlers_of_the_test_run() -> Iterator[None]:
    """Whatever a test leaves installed, the test run gets its own handlers back."""
    before = {number: signal.getsignal(number) for number in BOTH}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def present() -> list[object]:
    """Both handlers of this moment."""
    return [signal.getsignal(number) for number in BOTH]


@pytest.mark.parametrize("number", BOTH)
def test_first_and_second_signal(heard: Heard, number: signal.Signals) -> None:
    """The first asks for a drain, each later one for the end at once; nothing is raised in the main thread."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    heard.signals.install()
    assert not heard.signals.fired
    for _ in range(3):
        os.kill(os.getpid(), number)
    assert heard.said == [("first", number), ("second", number), ("second", number)]
    assert heard.signals.fired


def test_second_signal_may_be_the_other_one(heard: Heard) -> None:
    """Ctrl-C after SIGTERM is a second signal too."""
    heard.signals.install()
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    assert heard.said == [("first", signal.SIGTERM), ("second", signal.SIGINT)]


def test_what_was_there_is_put_back(heard: Heard) -> None:
    """After a stop that no signal asked for, the process is as before."""
    before = present()
    heard.signals.install()
    assert present() != before
    heard.signals.restore()
    heard.signals.restore()
    assert present() == before


def test_handlers_stay_once_a_signal_has_fired(heard: Heard) -> None:
    """The process is on its way out then: a second signal must still end it, whatever the exit functions do."""
    heard.signals.install()
    os.kill(os.getpid(), signal.SIGTERM)
    heard.signals.restore()
    os.kill(os.getpid(), signal.SIGTERM)
    assert heard.said[-1] == ("second", signal.SIGTERM)


def test_handler_of_somebody_else_stays(heard: Heard) -> None:
    """It is called, the server does nothing of its own, and a signal that is ignored stays ignored."""
    called: list[int] = []

    def theirs(number: int, frame: object) -> None:
        called.append(number)

    signal.signal(signal.SIGTERM, theirs)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    heard.signals.install()
    for number in BOTH:
        os.kill(os.getpid(), number)
    assert (called, heard.said, heard.signals.fired) == ([signal.SIGTERM], [], False)
    heard.signals.restore()
    assert present() == [theirs, signal.SIG_IGN]


@pytest.mark.parametrize("error", [SystemExit(5), KeyboardInterrupt(), ValueError("late")], ids=repr)
def test_what_a_handler_of_somebody_else_raises_is_kept(heard: Heard, error: BaseException) -> None:
    """It asks for a drain; a second one for the end at once. Nothing is raised in the middle of our code."""

    def theirs(number: int, frame: object) -> None:
        raise error

    signal.signal(signal.SIGTERM, theirs)
    heard.signals.install()
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGTERM)
    assert heard.said == [("first", signal.SIGTERM), ("second", signal.SIGTERM)]
    assert heard.signals.raised is error


def test_system_exit_for_another_signal_is_no_ordinary_stop(heard: Heard) -> None:
    """Who serves is told, and decides with which status the process ends."""
    error = SystemExit(0)

    def theirs(number: int, frame: object) -> None:
        raise error

    before = signal.signal(signal.SIGALRM, theirs)
    try:
        heard.signals.install()
        os.kill(os.getpid(), signal.SIGALRM)
        assert (heard.exits, heard.said, heard.signals.raised) == ([error], [], None)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_handler_that_was_installed_over_ours_is_not_taken_away(heard: Heard) -> None:
    """The application installed it while the server ran, so it means to keep it."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    heard.signals.install()

    def theirs(number: int, frame: object) -> None: ...

    signal.signal(signal.SIGTERM, theirs)
    heard.signals.restore()
    assert signal.getsignal(signal.SIGTERM) is theirs


def test_ignored_interrupt_is_ours_in_a_daemon(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell's background job, daemonised, inherits SIGINT ignored; ``paster serve stop`` sends SIGINT first."""
    monkeypatch.setattr(signals_module, "is_daemon", lambda: True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    heard.signals.install()
    os.kill(os.getpid(), signal.SIGINT)
    assert heard.said == [("first", signal.SIGINT)]


def test_repeated_interrupt_does_not_end_a_daemon(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    """``paster serve stop`` repeats SIGINT every second while it waits for the drain; SIGTERM is what cuts it short."""
    monkeypatch.setattr(signals_module, "is_daemon", lambda: True)
    heard.signals.install()
    for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
        os.kill(os.getpid(), number)
    assert heard.said == [("first", signal.SIGINT), ("second", signal.SIGTERM)]


def test_other_threads_install_nothing(heard: Heard) -> None:
    """In a thread of a host program the signals are the host's (contract F3)."""
    before = present()

    def elsewhere() -> None:
        heard.signals.install()
        heard.signals.restore()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join(5)
    assert present() == before


DOUBLE_FORK = """
import os, sys
from pastepool.runtime.system.signals import is_daemon

told, tell = os.pipe()
gone, go = os.pipe()
if not os.fork():
    os.setsid()
    os.close(go)
    if not os.fork():
        os.read(gone, 1)  # until the first parent knows that the session's leader has ended
        os.write(tell, b"daemon" if is_daemon() else b"not a daemon")
    os._exit(0)
os.wait()
os.close(go)
sys.stdout.write(os.read(told, 100).decode())
"""


def test_daemon_is_known_by_its_double_fork() -> None:
    """A process whose session has lost its leader is one."""
    done = subprocess.run([sys.executable, "-c", DOUBLE_FORK], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "daemon"


@pytest.mark.parametrize("new_session", [True, False])
def test_command_is_no_daemon(new_session: bool) -> None:
    """Neither the leader of its own session nor a process whose leader is there."""
    program = "import os; from pastepool.runtime.system.signals import is_daemon; raise SystemExit(is_daemon())"
    leader = f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', {program!r}]))"
    code = program if new_session else leader
    done = subprocess.run([sys.executable, "-c", code], start_new_session=True, timeout=20, check=False)
    assert done.returncode == 0
