"""The window: a kill lands inside it, at the task it was meant for, and nowhere else."""

from __future__ import annotations

import random
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from pastepool.errors import WorkerKilled
from pastepool.runtime.window import window as window_module
from pastepool.runtime.window.window import Window
from pastepool.types import Injected
from tests.waiting import WATCHDOG


def spin(until: Callable[[], bool] = lambda: False) -> None:
    """Compute until told, or killed."""
    deadline = time.monotonic() + WATCHDOG
    while not until():
        assert time.monotonic() < deadline, "not killed"


class Victim:
    """A thread with a window in which ``body`` runs; ``outcome`` is what came out of it."""

    def __init__(self, body: Callable[[Window], None]) -> None:
        self.window: Window
        self.outcome: BaseException | None = None
        self._body = body
        self._ready = threading.Event()
        self.thread = threading.Thread(target=self._run, name="victim", daemon=True)
        self.thread.start()
        assert self._ready.wait(WATCHDOG)

    def _run(self) -> None:
        self.window = Window()
        self._ready.set()
        try:
            self._body(self.window)
        except BaseException as error:
            self.outcome = error
        shut_for_good(self.window)

    def join(self) -> None:
        self.thread.join(WATCHDOG)
        assert not self.thread.is_alive()


def shut_for_good(window: Window) -> None:
    """What a worker does on its way out of a task."""
    while True:
        try:
            window.shut()
            return
        except WorkerKilled:
            continue


def is_free(window: Window) -> bool:
    """Whether a killer would get the fence at once."""
    free: list[bool] = []

    def ask() -> None:
        free.append(window._fence.acquire(blocking=False))
        if free[0]:
            window._fence.release()

    asking = threading.Thread(target=ask)
    asking.start()
    asking.join(WATCHDOG)
    return free == [True]


class Injections:
    """In the interpreter's place: notes what would be raised where, and raises nothing."""

    def __init__(self) -> None:
        self.made: list[tuple[int, type[BaseException] | None]] = []
        self.alive = 1

    def __call__(self, ident: int, exception: type[BaseException] | None) -> int:
        self.made.append((ident, exception))
        return self.alive


@pytest.fixture
def injections(monkeypatch: pytest.MonkeyPatch) -> Injections:
    """
    Notes what would be marked where, and raises nothing. No thread can be armed, and each one has a flag of its own.
    """
    noted = Injections()
    monkeypatch.setattr(window_module, "found_reach", lambda: None)
    monkeypatch.setattr(window_module, "set_async_exc", noted)
    monkeypatch.setattr(window_module, "_FLAG_IS_SHARED", False)
    monkeypatch.setattr(window_module, "raise_where_it_may_land", lambda ident, error: bool(noted(ident, error)))
    return noted


def test_kill_lands_in_the_open_window() -> None:
    """A task that computes without end is left by WorkerKilled, after ``first`` was called, once."""
    first: list[str] = []
    opened = threading.Event()

    def body(window: Window) -> None:
        window.open(7)
        opened.set()
        spin()

    victim = Victim(body)
    assert opened.wait(WATCHDOG)
    while victim.window.kill(7, lambda: first.append(victim.thread.name)) is Injected.HELD_BACK:
        pass
    victim.join()
    assert isinstance(victim.outcome, WorkerKilled)
    assert first == ["victim"]
    assert victim.window.killed


def test_shut_window_is_not_entered(injections: Injections) -> None:
    """Before it was opened and after it was shut nothing is injected, and ``first`` is not called."""
    window = Window()
    assert window.kill(1, pytest.fail) is Injected.WINDOW_SHUT
    window.open(1)
    window.shut()
    assert window.kill(1, pytest.fail) is Injected.WINDOW_SHUT
    assert (injections.made, window.killed) == ([], False)


def test_kill_meant_for_another_task_harms_nobody(injections: Injections) -> None:
    """A kill that comes for the task before leaves this one alone, and its window can be shut and opened as ever."""
    window = Window()
    window.open(2)
    assert window.kill(1, pytest.fail) is Injected.WINDOW_SHUT
    window.shut()
    window.open(3)
    assert window.kill(3, lambda: None) is Injected.LANDING
    assert injections.made == [(threading.get_ident(), WorkerKilled)]


def test_token_that_is_away_while_the_killer_looks_at_it(injections: Injections) -> None:
    """
    A worker that shuts its window just while the killer holds the token of the wrong task gets out, and nothing
    lands.
    """
    window = Window()
    window.open(2)

    class Tokens(type(window._token)):  # type: ignore[misc]
        def pop(self) -> int:
            """The killer has the token: now the worker comes. It waits for the fence, which the killer has."""
            token = int(super().pop())
            if threading.current_thread() is killer:
                worker.start()
                assert not done.wait(0.02)
            return token

    done = threading.Event()
    window._token = Tokens(window._token)

    def leave() -> None:
        window.shut()
        done.set()

    worker = threading.Thread(target=leave)
    killer = threading.Thread(target=lambda: outcomes.append(window.kill(1, pytest.fail)))
    outcomes: list[Injected] = []
    killer.start()
    killer.join(WATCHDOG)
    worker.join(WATCHDOG)
    assert done.is_set()
    assert outcomes == [Injected.WINDOW_SHUT]
    assert len(window._token) == 0
    assert injections.made == []


def test_shutting_clears_what_has_not_landed_yet(injections: Injections) -> None:
    """A kill on its way when the window is shut is taken back, under the fence, before the worker goes on."""
    window = Window()
    me = threading.get_ident()
    window.open(1)
    assert window.kill(1, lambda: None) is Injected.LANDING
    assert len(window._token) == 0
    window.shut()
    assert injections.made == [(me, WorkerKilled), (me, None)]
    assert window.kill(1, pytest.fail) is Injected.WINDOW_SHUT
    assert is_free(window)


def test_kill_may_be_repeated_until_the_window_is_shut(injections: Injections) -> None:
    """While the application swallows one kill, another is injected; ``first`` is not called again."""
    window = Window()
    calls: list[int] = []
    window.open(1)
    for attempt in range(3):
        assert window.kill(1, lambda attempt=attempt: calls.append(attempt)) is Injected.LANDING  # type: ignore[misc]
    assert calls == [0]
    window.shut()
    assert window.kill(1, pytest.fail) is Injected.WINDOW_SHUT


def test_killed_window_does_not_open_again(injections: Injections) -> None:
    """What was taken back by ``shut`` is raised by the next ``open``: a streamed response ends at its next piece."""
    window = Window()
    window.open(1)
    window.kill(1, lambda: None)
    window.shut()
    with pytest.raises(WorkerKilled):
        window.open(1)
    assert window.kill(1, pytest.fail) is Injected.WINDOW_SHUT


def test_close_of_a_killed_task_can_be_killed_too(injections: Injections) -> None:
    """``close()`` runs after a kill as well and may hang: the window opens for it, and repeated kills land there."""
    window = Window()
    window.open(1)
    window.kill(1, lambda: None)
    window.shut()
    window.open_for_close(1)
    assert window.kill(1, pytest.fail) is Injected.LANDING
    window.shut()
    assert window.kill(1, pytest.fail) is Injected.WINDOW_SHUT


def test_close_of_an_unhurt_task_can_be_killed(injections: Injections) -> None:
    """Where nothing was killed, opening for ``close()`` is opening."""
    window = Window()
    window.open_for_close(1)
    assert window.kill(1, lambda: None) is Injected.LANDING


def test_shutting_twice_is_shutting(injections: Injections) -> None:
    """``shut`` may be called when the window is shut; nothing is injected for it."""
    window = Window()
    window.open(1)
    window.shut()
    window.shut()
    assert injections.made == []
    assert is_free(window)


def test_thread_that_is_gone_is_told_apart(injections: Injections) -> None:
    """An injection that hits no thread is not called landing."""
    window = Window()
    window.open(1)
    injections.alive = 0
    assert window.kill(1, lambda: None) is Injected.GONE


def test_kill_is_held_back_where_it_would_hurt_others(injections: Injections, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the worker stands in the wrong place, the claim is taken and the exception comes with a later attempt."""
    raises = window_module.raise_where_it_may_land
    monkeypatch.setattr(window_module, "raise_where_it_may_land", lambda ident, error: None)
    monkeypatch.setattr(window_module, "_HOLD_BACK", 0.0)
    window = Window()
    told: list[str] = []
    window.open(1)
    assert window.kill(1, lambda: told.append("504")) is Injected.HELD_BACK
    assert (injections.made, told, window.killed) == ([], ["504"], True)
    monkeypatch.setattr(window_module, "raise_where_it_may_land", raises)
    assert window.kill(1, pytest.fail) is Injected.LANDING


def test_kill_can_be_put_off(injections: Injections) -> None:
    """``first`` may ask for time: the claim is taken, nothing is raised yet, and the next call raises."""
    window = Window()
    window.open(1)
    assert window.kill(1, lambda: True) is Injected.HELD_BACK
    assert (injections.made, window.killed) == ([], True)
    assert window.kill(1, pytest.fail) is Injected.LANDING
    assert injections.made == [(threading.get_ident(), WorkerKilled)]


def test_first_that_fails_leaves_no_fence_behind(injections: Injections) -> None:
    """If telling the client fails, the worker still gets out of its window."""

    def failing() -> None:
        raise ZeroDivisionError

    window = Window()
    window.open(1)
    with pytest.raises(ZeroDivisionError):
        window.kill(1, failing)
    window.shut()
    assert is_free(window)


class Interrupted:
    """
    Passes calls on to ``inner`` and raises WorkerKilled once, before or after the nth of all those ``steps`` counts.
    """

    def __init__(self, inner: Any, steps: list[str], nth: int, after: bool) -> None:
        self._inner, self._steps, self._nth, self._after = inner, steps, nth, after

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def step(*arguments: Any) -> Any:
            self._steps.append(name)
            hit = len(self._steps) == self._nth
            if hit and not self._after:
                raise WorkerKilled()
            try:
                return getattr(self._inner, name)(*arguments)
            finally:
                if hit:
                    raise WorkerKilled()

        return step


STEPS_OF_SHUT = ["pop", "acquire", "clear", "made", "_is_owned", "release", "_is_owned"]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("nth", range(1, len(STEPS_OF_SHUT) + 1), ids=STEPS_OF_SHUT)
def test_kill_that_lands_inside_shut_itself(
    nth: int, after: bool, injections: Injections, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    At whichever step of ``shut`` the exception lands: shutting again leaves the fence free and nothing on its way.
    """
    window = Window()
    me = threading.get_ident()
    window.open(1)
    window.kill(1, lambda: None)
    token, fence, steps = window._token, window._fence, list[str]()
    window._token = Interrupted(token, steps, nth, after)  # type: ignore[assignment]
    window._fence = Interrupted(fence, steps, nth, after)  # type: ignore[assignment]
    clearing = Interrupted(SimpleNamespace(made=injections), steps, nth, after)
    monkeypatch.setattr(window_module, "set_async_exc", lambda ident, exception: clearing.made(ident, exception))
    with pytest.raises(WorkerKilled):
        window.shut()
    assert steps == STEPS_OF_SHUT[:nth]
    window.shut()
    window._token, window._fence = token, fence
    assert is_free(window)
    assert window._disputed is None
    assert injections.made[-1] == (me, None), "nothing is on its way"
    assert window.kill(1, pytest.fail) is Injected.WINDOW_SHUT


def test_kill_swallowed_on_the_way_out_can_be_repeated(injections: Injections) -> None:
    """An application that swallows what lands in its ``write()``, at the fence, is killed again like any other."""
    window = Window()
    window.open(1)
    assert window.kill(1, lambda: None) is Injected.LANDING
    fence = window._fence
    window._fence = Interrupted(fence, [], 1, after=False)  # type: ignore[assignment]
    with pytest.raises(WorkerKilled):
        window.shut()
    window._fence = fence
    assert window.kill(1, pytest.fail) is Injected.LANDING


@pytest.fixture
def frequent_switches() -> Iterator[None]:
    """Threads take turns fifty times as often as usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0001)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("frequent_switches")
def test_after_shut_has_returned_none_arrives() -> None:
    """
    Kills around the shutting of 400 windows, most at random moments, some surely before and some surely after it:
    whatever happens, none arrives after ``shut`` returned.
    """
    late: list[BaseException] = []
    outcomes: list[Injected] = []
    rounds = 400
    dice = random.Random(1)

    class Round:
        def __init__(self) -> None:
            self.ready, self.asked, self.left, self.over = (threading.Event() for _ in range(4))
            self.window: Window

    current = [Round() for _ in range(rounds)]

    def work() -> None:
        for number, turn in enumerate(current):
            turn.window = Window()
            try:
                turn.window.open(number)
                turn.ready.set()
                if number % 10 == 0:
                    turn.asked.wait(WATCHDOG)
                for _ in range(number % 40 * 300):
                    pass
                turn.window.shut()
            except WorkerKilled:
                shut_for_good(turn.window)
            try:
                turn.left.set()
                for _ in range(300):
                    len("what the worker does for itself")
                turn.over.wait(WATCHDOG)
            except WorkerKilled as error:
                late.append(error)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    for number, turn in enumerate(current):
        assert turn.ready.wait(WATCHDOG)
        if number % 10 == 1:
            assert turn.left.wait(WATCHDOG)
        for _ in range(dice.randrange(40)):
            pass
        outcomes.append(turn.window.kill(number, lambda: None))
        turn.asked.set()
        outcomes.append(turn.window.kill(number, lambda: None))
        turn.over.set()
    worker.join(WATCHDOG)
    assert not worker.is_alive()
    assert late == []
    assert {Injected.LANDING, Injected.WINDOW_SHUT} <= set(outcomes), "both sides of the race were seen"


# The flag that all threads share.

SHARED = pytest.mark.skipif(not window_module._FLAG_IS_SHARED, reason="each thread has a flag of its own here")


def test_what_is_taken_back_never_arrives() -> None:
    """
    Whatever was marked on a thread is replaced by our own exception, which comes and is caught: 3,000 times, and none
    of the code around it sees anything.
    """
    me = threading.get_ident()
    for _ in range(3000):
        assert window_module._absorb_one(me)
        window_module._absorb(me)
        len("what a worker does next")


def test_where_nothing_is_raised_the_mark_is_taken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """If our own exception does not come, for whatever reason, nothing is left marked."""
    noted = Injections()
    monkeypatch.setattr(window_module, "set_async_exc", noted)
    monkeypatch.setattr(window_module, "_FLAG_IS_SHARED", True)
    window_module._withdraw(7)
    assert noted.made == [*[(7, window_module._Absorbed)] * window_module._TRIES, (7, None)]


def test_one_that_is_swallowed_is_raised_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the first lands in somebody's callback, and is gone, the second arrives, and the flag is down."""
    raised: list[object] = []

    def swallow_the_first(ident: int, exception: type[BaseException] | None) -> int:
        raised.append(exception)
        if len(raised) == 2:
            raise window_module._Absorbed
        return 1

    monkeypatch.setattr(window_module, "set_async_exc", swallow_the_first)
    monkeypatch.setattr(window_module, "_FLAG_IS_SHARED", True)
    window_module._withdraw(7)
    assert raised == [window_module._Absorbed] * 2


@SHARED
def test_undisturbed_window_raises_nothing(injections: Injections, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that nobody killed, and a kill that came to nothing, mark no thread at all."""
    monkeypatch.setattr(window_module, "_FLAG_IS_SHARED", True)
    window = Window()
    window.open(1)
    assert window.kill(2, pytest.fail) is Injected.WINDOW_SHUT
    window.shut()
    window.shut()
    assert injections.made == []


TRACED = """
    import faulthandler, os, sys, threading, time
    faulthandler.dump_traceback_later({watchdog}, exit=True)
    from pastepool.errors import WorkerKilled
    from pastepool.runtime.window.window import Window

    def start_a_traced_function():
        def function():
            return 1
        sys.settrace(lambda *arguments: None)
        function()
        sys.settrace(None)

    def trace_elsewhere():
        thread = threading.Thread(target=start_a_traced_function)
        thread.start()
        thread.join()

    def spin():
        deadline = time.monotonic() + {watchdog}
        while time.monotonic() < deadline:
            pass

    ends, opened, windows, ended = os.pipe(), threading.Event(), [], []

    def work():
        window = Window()
        windows.append(window)
        try:
            window.open(1)
            opened.set()
            {body}
        except WorkerKilled as error:
            ended.append(error)
        window.shut()

    if not {armed}:
        import pastepool.runtime.window.window as module
        module.found_reach = lambda: None
    worker = threading.Thread(target=work)
    worker.start()
    opened.wait()
    windows[0].kill(1, lambda: None)
    {then}
    print("fine", len(ended))
"""
"""A worker is killed; a function that is traced is started in another thread. On 3.11 it hangs if the flag is up."""

BLOCKED = {
    "body": "os.read(ends[0], 1); spin()",
    "then": "trace_elsewhere(); assert not ended; os.write(ends[1], b'x'); worker.join(); trace_elsewhere()",
}
SPINNING = {
    "body": "spin()",
    "then": "worker.join(); trace_elsewhere()",
}


@pytest.mark.parametrize("armed", [True, False], ids=["armed", "marked"])
@pytest.mark.parametrize("case", [SPINNING, BLOCKED], ids=["landed", "blocked"])
def test_kill_leaves_no_flag_up(case: dict[str, str], armed: bool) -> None:
    """
    After a kill, and while a killed thread is blocked and has not raised it yet, functions that are traced start in
    other threads; and the blocked thread raises it all the same when it comes back.
    """
    program = textwrap.dedent(TRACED.format(watchdog=WATCHDOG, armed=armed, **case))
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert (ran.returncode, ran.stdout) == (0, "fine 1\n"), ran.stderr


@pytest.mark.usefixtures("frequent_switches")
def test_kills_of_one_thread_in_thousands_of_rounds_never_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    """3,000 windows on one thread, all of them marked: each kill stays in its own round, and our own never shows."""
    monkeypatch.setattr(window_module, "found_reach", lambda: None)
    rounds, late, landed, over = 3000, list[BaseException](), [0], [-1]
    opened = threading.Semaphore(0)
    windows: list[Window] = []

    def work() -> None:
        for number in range(rounds):
            window = Window()
            windows.append(window)
            try:
                window.open(number)
                opened.release()
                spin(lambda number=number: over[0] >= number)  # type: ignore[misc]
            except WorkerKilled:
                landed[0] += 1
            try:
                shut_for_good(window)
            except WorkerKilled:  # the second one, on the way into that loop; a worker does the same
                shut_for_good(window)
            try:
                for _ in range(30):
                    len("what the worker does for itself")
            except BaseException as error:
                late.append(error)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    for number in range(rounds):
        assert opened.acquire(timeout=WATCHDOG)
        while windows[number].kill(number, lambda: None) is Injected.HELD_BACK:
            pass
        over[0] = number
        windows[number].kill(number, pytest.fail)
    worker.join(WATCHDOG)
    assert not worker.is_alive()
    assert late == []
    assert landed[0] > rounds / 2


def test_kill_of_the_parent_does_not_land_in_a_child() -> None:
    """A worker forks while it is killed and the killer holds the fence: its copy in the child runs on, and can shut."""
    window = Window()
    window.open(1)
    fence = threading.Thread(target=window._fence.acquire)
    fence.start()
    fence.join(WATCHDOG)
    window.killed = True
    window.in_child()
    window.shut()
    window.open(1)
    window.shut()
    assert not window.killed
