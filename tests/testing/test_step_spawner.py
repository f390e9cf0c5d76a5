"""The spawner whose workers run when a test says so."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from pastepool.testing import StepSpawner
from pastepool.types import Spawner


def test_nothing_runs_until_it_is_stepped() -> None:
    """Bodies run one at a time, the oldest first, on the test's own thread."""
    spawner, ran = StepSpawner(), []
    spawn: Spawner = spawner
    for name in ("one", "two"):
        spawn(lambda name=name: ran.append((name, threading.get_ident())), name)  # type: ignore[misc]
    assert (ran, spawner.pending) == ([], ["one", "two"])
    assert spawner.step() == "one"
    assert (ran, spawner.pending) == ([("one", threading.get_ident())], ["two"])
    assert spawner.step() == "two"
    assert spawner.spawned == ["one", "two"]


def test_a_body_can_be_picked_by_name() -> None:
    """Threads start in any order; so can these."""
    spawner, ran = StepSpawner(), []
    for name in ("one", "two", "three"):
        spawner(lambda name=name: ran.append(name), name)  # type: ignore[misc]
    spawner.step("two")
    assert (ran, spawner.pending) == (["two"], ["one", "three"])


def test_what_a_body_raises_comes_out() -> None:
    """A worker that dies does so in the test's face."""
    spawner = StepSpawner()
    spawner(lambda: 1 // 0, "bad")  # type: ignore[arg-type, return-value]
    with pytest.raises(ZeroDivisionError):
        spawner.step()


def test_a_body_that_blocks_can_have_a_thread() -> None:
    """release() starts it under its own name, as a daemon."""
    spawner, release = StepSpawner(), threading.Event()
    spawner(lambda: _wait(release), "blocked")
    thread = spawner.release()
    assert (thread.name, thread.daemon, thread.is_alive()) == ("blocked", True, True)
    release.set()
    thread.join(5.0)
    assert not thread.is_alive()


def _wait(event: threading.Event) -> None:
    assert event.wait(5.0)


@pytest.mark.parametrize(
    ("name", "said"), [("", r"nothing to step: pending are \[\]"), ("x", r"nothing to step named x: pending are \[\]")]
)
def test_stepping_nothing_is_a_mistake_that_says_what_there_is(name: str, said: str) -> None:
    """The message lists the names that are pending."""
    for act in (StepSpawner().step, StepSpawner().release):
        step: Callable[[str], object] = act
        with pytest.raises(AssertionError, match=said):
            step(name)


def test_a_machine_without_threads_can_be_played() -> None:
    """Refused spawns raise what Thread.start raises, leave no trace, and end after so many."""
    spawner = StepSpawner()
    spawner.refuse(2)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="can't start new thread"):
            spawner(int, "never")  # type: ignore[arg-type]
    spawner(lambda: None, "third")
    assert spawner.spawned == ["third"]
