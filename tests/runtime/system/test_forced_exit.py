"""The thread that ends the process: when, with which status, and when it leaves it alone."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from pastepool.runtime.system import forced_exit as forced_exit_module
from pastepool.runtime.system.clock import MonotonicClock
from pastepool.runtime.system.forced_exit import ForcedExit
from tests.waiting import PROGRAM_WATCHDOG, WATCHDOG, until

LONG = 3600.0


class Scene:
    """A reaper on its thread, with a process end that only takes notes."""

    def __init__(self) -> None:
        self.clock = MonotonicClock()
        self.ours = True
        self.told: list[str] = []
        self.ended: list[tuple[int, float]] = []
        self.reaper = ForcedExit(self.clock, self._deadline, lambda: self.told.append("host"))
        self.has_host = False
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        self.reaper.run(self.has_host)

    def _deadline(self) -> bool:
        self.told.append("deadline")
        return self.ours

    def end(self, status: int, patience: float) -> None:
        self.ended.append((status, patience))

    def start(self) -> ForcedExit:
        self.thread.start()
        return self.reaper

    def join(self) -> None:
        self.thread.join(WATCHDOG)
        assert not self.thread.is_alive()

    def in_seconds(self, seconds: float) -> float:
        return self.clock.now() + seconds


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """Not yet started."""
    scene = Scene()
    monkeypatch.setattr(forced_exit_module, "end_process", scene.end)
    yield scene
    scene.reaper.dismiss()
    if scene.thread.ident:
        scene.join()


def test_process_ends_at_the_deadline(scene: Scene) -> None:
    """Not before it; with the status given, after what has to be told was told."""
    reaper = scene.start()
    began = scene.clock.now()
    reaper.arm(began + 0.2, 3)
    scene.join()
    assert scene.clock.now() >= began + 0.2
    assert (scene.told, scene.ended) == (["deadline"], [(3, 3.0)])


def test_forced_end_is_never_a_success(scene: Scene) -> None:
    """A process that is ended by force did not end well: status 0 becomes 1."""
    scene.start().arm(scene.in_seconds(0), 0)
    scene.join()
    assert scene.ended == [(1, 3.0)]


def test_later_call_may_only_be_stricter(scene: Scene) -> None:
    """A second stop does not put the first one's deadline off, and its status is not forgotten."""
    reaper = scene.start()
    reaper.arm(scene.in_seconds(LONG), 3)
    reaper.arm(scene.in_seconds(0.1), 0)
    reaper.arm(scene.in_seconds(LONG), 0)
    scene.join()
    assert scene.ended == [(3, 3.0)]


def test_extension_for_what_comes_after_the_drain(scene: Scene) -> None:
    """``extend`` puts the deadline off, and only off."""
    reaper = scene.start()
    reaper.arm(scene.in_seconds(0.1), 0)
    reaper.extend(scene.in_seconds(0.4))
    reaper.extend(scene.in_seconds(0.0))
    began = scene.clock.now()
    scene.join()
    assert scene.clock.now() - began > 0.3
    assert scene.ended


def test_at_once_asks_nobody(scene: Scene) -> None:
    """The second signal: no stacks, hardly any patience with exit functions."""
    reaper = scene.start()
    reaper.arm(scene.in_seconds(LONG), 0)
    reaper.arm(scene.in_seconds(0), 143, at_once=True)
    scene.join()
    assert (scene.told, scene.ended) == ([], [(143, 0.5)])


def test_good_order_tells_nothing_and_has_patience(scene: Scene) -> None:
    """After a drain: now, without stacks, with all the time exit functions may take; the status is kept."""
    reaper = scene.start()
    reaper.arm(scene.in_seconds(LONG), 3)
    reaper.finish(3)
    scene.join()
    assert (scene.told, scene.ended) == ([], [(3, 3.0)])


def test_dismissed_reaper_lets_the_process_live(scene: Scene) -> None:
    """Before it was armed, or after."""
    reaper = scene.start()
    reaper.arm(scene.in_seconds(LONG), 0)
    reaper.dismiss()
    scene.join()
    assert (scene.told, scene.ended) == ([], [])


def test_process_of_somebody_else_lives(scene: Scene) -> None:
    """Where the server is a guest the deadline is told, and nothing is ended."""
    scene.ours = False
    scene.start().arm(scene.in_seconds(0), 0)
    scene.join()
    assert (scene.told, scene.ended) == (["deadline"], [])


def test_exit_functions_are_not_run_twice(scene: Scene) -> None:
    """Once the interpreter has begun to run them, one that blocks is ended with them."""
    reaper = scene.start()
    reaper.exit_begins()
    reaper.arm(scene.in_seconds(0), 0)
    scene.join()
    assert scene.ended == [(1, 0.0)]


def test_end_of_the_hosts_main_thread_is_told(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server in another thread would keep the process for ever (contract F3)."""
    host = threading.Thread(target=lambda: None)
    host.start()
    host.join(WATCHDOG)
    monkeypatch.setattr(forced_exit_module, "_LOOK_AT_HOST_EVERY", 0.01)
    monkeypatch.setattr(threading, "main_thread", lambda: host)
    scene.has_host = True
    reaper = scene.start()
    until(lambda: scene.told, "the end of the main thread is told")
    assert scene.told == ["host"]
    reaper.dismiss()
    scene.join()


def end_in_process(before: str) -> tuple[int, str, float]:
    """Run ``end_process(7, 0.5)`` in a process prepared by ``before``: its status, what it said, how long that took."""
    program = f"""
import atexit, sys, threading
from pastepool.runtime.system.forced_exit import end_process

def say(text):
    sys.stdout.write(text + " ")

{before}
began = __import__("time").monotonic()
threading.Thread(target=threading.Event().wait).start()  # no daemon: would keep any other exit for ever
end_process(7, 0.5)
"""
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout + done.stderr, time.monotonic() - began


@pytest.mark.parametrize(
    ("before", "said"),
    [
        pytest.param("atexit.register(say, 'first'); atexit.register(say, 'last')", "last first ", id="all run"),
        pytest.param("atexit.register(say, 'early'); atexit.register(threading.Event().wait)", "", id="one blocks"),
        pytest.param("sys.stdout = sys.stderr = None", "", id="no stream"),
        pytest.param("sys.stdout.close(); atexit.register(len, [])", "", id="stream is closed"),
    ],
)
def test_exit_functions_get_their_time_and_no_more(before: str, said: str) -> None:
    """The process ends with the status asked for, whatever they do and whatever threads there are (contract P11)."""
    status, text, _ = end_in_process(before)
    assert (status, text) == (7, said)


def test_exit_function_that_fails_is_told() -> None:
    """The others run all the same."""
    status, text, _ = end_in_process("atexit.register(say, 'still'); atexit.register(lambda: 1 / 0)")
    assert status == 7
    assert "still" in text and "ZeroDivisionError" in text


FULL_PIPE = """
import os
os.set_blocking(1, False)
try:
    while True:
        os.write(1, b"x" * 4096)
except BlockingIOError:
    os.set_blocking(1, True)
sys.stdout.write("held back")
"""

HELD_HANDLER = """
import logging
handler = logging.StreamHandler()
threading.Thread(target=handler.acquire).start()
"""


@pytest.mark.parametrize("before", [FULL_PIPE, HELD_HANDLER], ids=["a pipe nobody reads", "a lock of the log"])
def test_flush_that_blocks_does_not_keep_the_process(before: str) -> None:
    """What could not be written is lost; the status is not."""
    imports = "import sys, threading\nfrom pastepool.runtime.system.forced_exit import end_process"
    program = f"{imports}\n{before}\nend_process(7, 0.1)"
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environ) as process:
        assert process.wait(PROGRAM_WATCHDOG) == 7


def test_handlers_of_the_log_are_flushed_when_an_exit_function_blocks() -> None:
    """Logging's own exit function runs last, so one that blocks keeps it from running."""
    before = """
import logging.handlers
target = logging.StreamHandler(sys.stdout)
logging.getLogger().addHandler(logging.handlers.MemoryHandler(100, target=target))
logging.getLogger().warning("held back")
atexit.register(threading.Event().wait)
"""
    status, text, _ = end_in_process(before)
    assert (status, text) == (7, "held back\n")
