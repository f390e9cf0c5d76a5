"""A killed request costs no memory: over a thousand kills, on a server whose page is watched."""

from __future__ import annotations

import sys

import pytest

from tests.watch.soaking import Hanging, kill_one, objects, resident
from tests.watch.watching import watched

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

WARM_UP = 200
MORE = 800
ROOM = 2 * 1024 * 1024
"""What the interpreter's and the C library's allocators may need more, of which nothing depends on the kills."""


def test_memory_is_flat_over_hundreds_of_kills() -> None:
    """Neither the number of objects nor the resident memory grows after the first two hundred."""
    app = Hanging()
    with watched(app, allow_kill=True, threadpool_workers=2) as run:
        for _ in range(WARM_UP):
            kill_one(run, app)
        objects_before, resident_before = objects(), resident()
        for _ in range(MORE):
            kill_one(run, app)
        more, grown = objects() - objects_before, resident() - resident_before
    sys.stdout.write(f"{sys.version.split()[0]}: {MORE} kills, {sum(more.values())} objects and {grown} bytes more\n")
    assert sum(more.values()) < MORE / 4, more.most_common(5)
    assert grown < ROOM
