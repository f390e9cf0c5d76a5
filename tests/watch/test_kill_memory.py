"""A killed request costs no memory: the short run. The long one is in tests/slow."""

from __future__ import annotations

import pytest

from tests.watch.soaking import Hanging, kill_one, objects
from tests.watch.watching import watched

pytestmark = pytest.mark.timeout(180)

WARM_UP = 70
"""Kills until the list of events is full: 200 of them, three for each kill."""

MORE = 60


def test_killed_request_leaves_no_object_behind() -> None:
    """Of no type are there more objects after sixty kills more, except for one stack and other things of one request."""
    app = Hanging()
    with watched(app, allow_kill=True, threadpool_workers=2) as run:
        for _ in range(WARM_UP):
            kill_one(run, app)
        before = objects()
        for _ in range(MORE):
            kill_one(run, app)
        grown = {name: more for name, more in (objects() - before).items() if more > MORE * 3 / 4}
    assert grown == {}
