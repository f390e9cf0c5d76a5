"""
What a thread is executing, and that looking harms nobody.
"""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from pastepool.core.telling.report import CodePlace
from pastepool.runtime.inspection import stacks
from pastepool.runtime.inspection.inspector import Inspector

LOOKS = """
import gc, sys, threading
from pastepool.runtime.inspection.stacks import current_frames

held_up = threading.Event()

def collecting(phase, info):
    if looking:
        held_up.wait(0.001)  # gives up the interpreter's lock, as any code may

def come_and_go():
    while not done:
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()

looking = done = False
others = [threading.Thread(target=come_and_go) for _ in range(3)]
for other in others:
    other.start()
gc.callbacks.append(collecting)
gc.set_threshold(1)
for _ in range(300):
    looking = True
    current_frames()
    looking = False
done = True
gc.set_threshold(700)
for other in others:
    other.join()
sys.stdout.write(str(gc.isenabled()))
"""


def test_a_stack_is_kept_without_its_frames() -> None:
    """What is kept of a stack are names and numbers, innermost first: no frame, so no local variable of a request."""
    places = stacks.stack_of(sys._getframe())
    assert (places[0].file, places[0].function) == (__file__, "test_a_stack_is_kept_without_its_frames")
    assert all(type(place) is CodePlace for place in places)


def test_a_runaway_recursion_is_cut() -> None:
    """Of a stack deeper than the limit the innermost calls are kept, and its text says that there are more."""

    def dive(depth: int) -> tuple[CodePlace, ...]:
        return dive(depth - 1) if depth else stacks.stack_of(sys._getframe())

    places = dive(stacks.DEPTH_LIMIT + 50)
    assert len(places) == stacks.DEPTH_LIMIT
    assert {place.function.rpartition(".")[2] for place in places} == {"dive"}
    assert stacks.stack_lines(places)[0] == "  (the innermost 200 calls only)"


def test_the_text_of_a_stack_reads_like_a_traceback() -> None:
    """Outermost call first, with the source line where there is one, and without it where there is none."""

    def inner() -> tuple[CodePlace, ...]:
        return stacks.stack_of(sys._getframe(), 1)

    here = inner()[0]
    lines = stacks.stack_lines((here, CodePlace("<string>", 3, "made_up")))
    assert lines == [
        '  File "<string>", line 3, in made_up',
        f'  File "{__file__}", line {here.line}, in {here.function}',
        "    return stacks.stack_of(sys._getframe(), 1)",
    ]


def test_without_a_gil_no_frame_is_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a free-threaded interpreter walking a running thread's frames can crash: the stack is left out."""
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    assert stacks.current_frames() == {}
    assert stacks.frame_of(threading.get_ident()) is None
    assert Inspector().look(threading.get_ident(), threading.get_native_id(), 0.0).frames == ()


def test_a_look_while_garbage_is_collected_and_threads_come_and_go_does_not_stop_the_process() -> None:
    """CPython 3.11 before 3.11.9, left alone, is dead after some of these looks: its issue 106883."""
    ended = subprocess.run([sys.executable, "-c", LOOKS], capture_output=True, text=True, timeout=30)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("True", "", 0)


class Left:
    """A local variable of a request: notes on which thread it is dropped."""

    def __init__(self, dropped_on: list[str]) -> None:
        self.dropped_on = dropped_on

    def __del__(self) -> None:
        self.dropped_on.append(threading.current_thread().name)


def test_who_looks_at_one_thread_drops_no_variables_of_another() -> None:
    """
    An application's finalizer runs on the thread that lets go of the last frame: after a look at all threads that may
    be the one that looked, after a look at one it is not. The supervisor must not be hung by a finalizer.
    """
    dropped_on: list[str] = []
    inside, go = threading.Semaphore(0), threading.Semaphore(0)

    def request() -> None:
        left = Left(dropped_on)
        inside.release()
        go.acquire()
        assert left.dropped_on is dropped_on

    for look in (lambda: stacks.frame_of(threading.get_ident()), stacks.current_frames):
        worker = threading.Thread(target=request, name="worker")
        worker.start()
        inside.acquire()
        seen = look()
        go.release()
        worker.join()
        assert seen
        del seen
    assert dropped_on == ["worker", threading.current_thread().name]


def test_thread_that_has_ended_has_no_frame() -> None:
    """There is nothing to be seen of it, and that is no error."""
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
    assert thread.ident is not None
    assert stacks.frame_of(thread.ident) is None
    own = stacks.frame_of(threading.get_ident())
    assert own is not None
    assert own.f_back is sys._getframe()
