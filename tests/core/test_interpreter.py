"""Which interpreter runs us."""

from __future__ import annotations

import sys

import pytest

from pastepool.core.interpreter import runs_without_gil


@pytest.mark.parametrize("enabled", [True, False])
def test_threads_run_at_the_same_time_without_a_gil(enabled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter says so from 3.13 on."""
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: enabled, raising=False)
    assert runs_without_gil() is not enabled


def test_interpreter_that_does_not_say_so_has_a_gil(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to 3.12."""
    monkeypatch.delattr(sys, "_is_gil_enabled", raising=False)
    assert not runs_without_gil()
