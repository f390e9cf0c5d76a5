"""A killed request costs no memory: over a thousand kills, on a server whose page is watched."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

WARM_UP = 200
MORE = 800
ROOM = 2 * 1024 * 1024
"""What the interpreter's and the C library's allocators may need more, of which nothing depends on the kills."""


def test_memory_is_flat_over_hundreds_of_kills() -> None:
    """
    Neither the number of objects of any type nor the resident memory grows after the first two hundred.

    Once a second the sampler makes an object, whether requests are killed or not.
    """
    program = [sys.executable, "-m", "tests.watch.soaking", str(WARM_UP), str(MORE)]
    soak = subprocess.run(program, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    found = json.loads(soak.stdout.splitlines()[-1])  # the server tells its address first
    more = sum(found["objects"].values())
    grown = {name: count for name, count in found["objects"].items() if count > MORE / 2}
    sys.stdout.write(f"{sys.version.split()[0]}: {MORE} kills, {more} objects and {found['bytes']} bytes more\n")
    assert grown == {}
    assert found["bytes"] < ROOM
