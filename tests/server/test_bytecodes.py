"""
What a request costs is held: the bytecode instructions of our Python code, with and without the accelerator.

The numbers are the same on every machine and for every build of one CPython, so a change that costs 3 % of a request is
seen here. A change that saves as much has to write its smaller number down.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.fast.twins import native
from tests.waiting import PROGRAM_WATCHDOG

HELD = {
    "hello": (984, 1378),
    "browser": (984, 1741),
    "close": (1776, 2342),
    "large": (1077, 1442),
    "stream": (17_350, 17_929),
    "upload": (1366, 1791),
}
"""For each scenario of the benchmarks: instructions with the accelerator and in pure Python, on CPython 3.11."""

NAMES = ("with the accelerator", "pure Python")


def counted(pure: bool) -> dict[str, int]:
    """Count in a process of its own: the counting changes it."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bytecodes"],
        env={**os.environ, "PASTEPOOL_PURE": "1" if pure else ""},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=2 * PROGRAM_WATCHDOG,
    )
    rows = (line.split() for line in done.stdout.splitlines())
    return {name: int(number.replace(",", "")) for name, number in rows}


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the numbers are those of CPython 3.11")
@pytest.mark.parametrize("pure", [pytest.param(False, marks=native), True], ids=NAMES)
def test_no_request_costs_more_instructions_than_before(pure: bool) -> None:
    """Nor fewer, without that being written down."""
    found = counted(pure)
    held = {name: numbers[pure] for name, numbers in HELD.items()}
    assert found == {name: pytest.approx(number, rel=0.03) for name, number in held.items()}
