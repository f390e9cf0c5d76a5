"""
The accelerator saves instructions (decision 17). They are counted in one run with and without it.

A fixed number cannot be held: two builds of the same CPython differ. A ratio of two counts can.
"""

from __future__ import annotations

import shutil
import sys

import pytest

from benchmarks import instructions
from benchmarks.scenarios import SCENARIOS
from tests.fast.twins import native

LOADS = {row.name: row.load for row in SCENARIOS}

AT_MOST = {"hello": 0.88, "browser": 0.8, "close": 0.9}
"""Instructions with it, to those without it. Measured with CPython 3.11: see docs/adr/0017."""


def count(name: str) -> int:
    """Count the instructions of one request."""
    with instructions.counted(sys.executable) as server:
        return instructions.per_request(server, name, LOADS[name])


@native
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("callgrind_control") is None, reason="needs valgrind")
@pytest.mark.parametrize("name", AT_MOST)
def test_accelerator_saves_instructions(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise it is not worth its lines. And two counts of the same differ by less than 3 %."""
    monkeypatch.setenv("PASTEPOOL_PURE", "")
    with_it, again = count(name), count(name)
    assert again == pytest.approx(with_it, rel=0.03)
    monkeypatch.setenv("PASTEPOOL_PURE", "1")
    assert with_it / count(name) <= AT_MOST[name]
