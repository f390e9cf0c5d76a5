"""Which interpreter runs us."""

from __future__ import annotations

import sys

import pytest

from pastepool.core.interpreter import runs_without_gil, told_without_gil


@pytest.mark.parametrize("enabled", [True, False])
def test_threads_run_at_the_same_time_without_a_gil(enabled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter says so from 3.13 on."""
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: enabled, raising=False)
    assert runs_without_gil() is not enabled


def test_interpreter_that_does_not_say_so_has_a_gil(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to 3.12."""
    monkeypatch.delattr(sys, "_is_gil_enabled", raising=False)
    assert not runs_without_gil()


def test_one_line_says_what_is_off_and_what_switches_it_on() -> None:
    """Whether requests are killed depends on the option; stacks are left out in any case."""
    off, on = told_without_gil(kills=False), told_without_gil(kills=True)
    assert "\n" not in off + on
    assert off.startswith("No request is killed") and "threadpool_kill_without_gil = true" in off
    assert on.startswith("Requests are killed") and "may leave its locks taken" in on
    assert "Stacks and flame graphs are left out" in off and "Stacks and flame graphs are left out" in on
