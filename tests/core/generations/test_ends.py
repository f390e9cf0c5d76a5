"""Why a child has ended."""

from __future__ import annotations

import pytest

from pastepool.core.generations.child import Child, ChildPhase
from pastepool.core.generations.ends import OomKills, end_of

READY = Child(1, 1, 1, 0.0, ChildPhase.READY)
BOOTING = Child(1, 1, 1, 0.0, ChildPhase.BOOTING)
RETIRING = Child(1, 1, 1, 0.0, ChildPhase.RETIRING, "it was replaced")
KILLED = Child(1, 1, 1, 0.0, ChildPhase.KILLED, "it did not end in time")
GIVEN_UP = Child(1, 1, 1, 0.0, ChildPhase.BOOTING, "a newer generation was asked for")


@pytest.mark.parametrize(
    ("child", "signal", "status", "oom", "reason", "words"),
    [
        (READY, 9, 0, True, "oom", "was killed by signal 9 because memory ran out (oom)"),
        (READY, 9, 0, False, "killed", "was killed by signal 9 from outside"),
        (
            READY,
            9,
            0,
            None,
            "killed",
            "was killed by signal 9 from outside, perhaps because memory ran out; the log of the",
        ),
        (READY, 11, 0, True, "crashed", "was killed by signal 11"),
        (READY, 0, 3, True, "exited", "ended with status 3"),
        (BOOTING, 9, 0, True, "oom", "was killed by signal 9 because memory ran out (oom)"),
        (BOOTING, 0, 1, False, "failed-start", "ended with status 1"),
        (BOOTING, 11, 0, False, "failed-start", "was killed by signal 11"),
        (RETIRING, 0, 0, False, "", "ended with status 0"),
        (RETIRING, 9, 0, True, "", "was killed by signal 9 because memory ran out (oom)"),
        (KILLED, 9, 0, True, "", "was killed by signal 9"),
        (GIVEN_UP, 0, 0, None, "", "ended with status 0"),
    ],
)
def test_reason_and_words(child: Child, signal: int, status: int, oom: bool | None, reason: str, words: str) -> None:
    """By phase, signal and what the kernel has counted."""
    end = end_of(child, -signal or status, oom)
    assert end.reason == reason
    assert end.words.startswith(words)
    assert end.words == words or oom is None


def test_kill_for_memory_explains_one_end() -> None:
    """Two ends of which the kernel has counted one: the second has another reason."""
    kills = OomKills(5, 5)
    assert not kills.explains(5)
    assert kills.explains(6)
    assert not kills.explained().explains(6)
    assert kills.explained().explains(7)


def test_kill_for_memory_is_forgotten_after_two_samples() -> None:
    """It was some other process of the control group: no child has ended since."""
    kills = OomKills(0, 0).sampled(1)
    assert kills.explains(1)
    assert not kills.sampled(1).explains(1)
    assert not OomKills(0, 0).explained().sampled(1).explains(1)
