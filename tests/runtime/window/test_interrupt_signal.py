"""The signal that interrupts a system call: whose it is, what it disturbs, and that nothing is left of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pastepool.runtime.window.interrupt_signal import InterruptSignal
from pastepool.runtime.window.one_step import in_one_step
from tests.waiting import WATCHDOG

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the handler is looked up as Linux has it")

CAUGHT = "SigCgt"
"""The line of /proc/PID/status that names the signals for which the process has handlers of its own."""


def caught(status: str = "") -> set[int]:
    """The real-time signals that this process catches, as the kernel says, or those of which a status file says it."""
    text = status or Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in text.splitlines() if line.startswith(CAUGHT))
    bits = int(line.split()[1], 16)
    return {number for number in range(signal.SIGRTMIN, 65) if bits >> (number - 1) & 1}


@pytest.fixture
def taken() -> Iterator[InterruptSignal]:
    """The signal, installed."""
    made = InterruptSignal()
    assert made.install()
    yield made
    made.remove()


def send(made: InterruptSignal, ident: int) -> bool:
    """Send it to a thread. Answers whether it was sent."""
    steps = (*made.is_ours(), made.sending(ident))
    return in_one_step(*steps) == len(steps)


@pytest.fixture
def handled() -> Iterator[Callable[[int, Any], list[int]]]:
    """Installs handlers as an application does, and puts the earlier ones back."""
    before: dict[int, Any] = {}

    def handle(number: int, handler: Any = None) -> list[int]:
        came: list[int] = []
        earlier = signal.signal(number, handler or (lambda number, frame: came.append(number)))
        before.setdefault(number, earlier)
        return came

    yield handle
    for number, handler in before.items():
        signal.signal(number, handler)


def test_signal_is_one_that_nobody_uses_and_is_given_back(handled: Callable[..., list[int]]) -> None:
    """It is a real-time signal with the default handler, which is in place again afterwards."""
    handled(signal.SIGRTMAX)
    handled(signal.SIGRTMAX - 1, signal.SIG_IGN)
    before = caught()
    made = InterruptSignal()
    assert made.install()
    assert signal.SIGRTMIN <= made.number < signal.SIGRTMAX - 1
    assert caught() == before | {made.number}
    made.remove()
    assert caught() == before


def test_signal_that_is_blocked_is_not_taken() -> None:
    """Somebody may wait for it with ``sigwait``, for which it has to be blocked."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGRTMAX})
    try:
        made = InterruptSignal()
        assert made.install()
        assert made.number < signal.SIGRTMAX
        made.remove()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_system_without_a_free_signal_has_none(handled: Callable[..., list[int]], monkeypatch: Any) -> None:
    """So it is where all are used, and on a system that has no real-time signals."""
    for number in range(signal.SIGRTMIN, signal.SIGRTMAX + 1):
        handled(number)
    assert not InterruptSignal().install()
    monkeypatch.delattr(signal, "SIGRTMIN")
    assert not InterruptSignal().install()


def test_handler_that_the_application_installs_later_stays(
    taken: InterruptSignal, handled: Callable[..., list[int]]
) -> None:
    """Nothing is sent to it, and it is not taken away."""
    number = taken.number
    came = handled(number)
    assert not send(taken, threading.get_ident())
    taken.remove()
    assert came == []
    signal.raise_signal(number)
    assert came == [number]


def test_signal_disturbs_neither_the_main_thread_nor_a_wakeup_descriptor(taken: InterruptSignal) -> None:
    """Nothing of the interpreter hears of it: ``getsignal`` and ``set_wakeup_fd`` are as before."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing)
    try:
        for _ in range(10):
            assert send(taken, threading.get_ident())
        with pytest.raises(BlockingIOError):
            os.read(reading, 1)
        assert signal.getsignal(taken.number) is signal.SIG_DFL
    finally:
        signal.set_wakeup_fd(before)
        os.close(reading)
        os.close(writing)


def test_program_that_is_started_does_not_catch_it(taken: InterruptSignal) -> None:
    """A new program has the default handler."""
    assert taken.number in caught()
    status = subprocess.run(["cat", "/proc/self/status"], capture_output=True, check=True, text=True).stdout
    assert taken.number not in caught(status)


def test_signal_that_is_still_on_its_way_ends_nothing() -> None:
    """
    1. A thread blocks the signal, and it is sent: it waits there.
    2. The handler is taken away. The default handler would end the process.
    3. The thread blocks it no more: nothing comes.
    """
    made = InterruptSignal()
    assert made.install()
    number = made.number
    blocked, removed, pending = threading.Event(), threading.Event(), []

    def victim() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {number})
        blocked.set()
        assert removed.wait(WATCHDOG)
        pending.append(number in signal.sigpending())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})

    thread = threading.Thread(target=victim)
    thread.start()
    assert blocked.wait(WATCHDOG) and thread.ident is not None
    assert send(made, thread.ident)
    made.remove()
    removed.set()
    thread.join(WATCHDOG)
    assert pending == [False]


def test_signal_can_be_taken_on_any_thread() -> None:
    """``signal.signal`` works on the main thread only; the supervisor is another one."""
    made, answers = InterruptSignal(), []
    thread = threading.Thread(target=lambda: answers.append(made.install()))
    thread.start()
    thread.join(WATCHDOG)
    assert answers == [True] and made.number in caught()
    made.remove()
