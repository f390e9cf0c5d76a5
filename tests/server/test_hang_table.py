"""Every kind of hang, rehearsed: what happens to the client and to the thread, and that the manual says so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.server.hang_drill import AT_ONCE, EXPECTED, KILL, KINDS, Drill, after
from tests.server.hang_table import HERE, REMEDY, TABLE, note, page, seen, seen_in, words

LATE = 1.0
"""How much later than its limit a thing may be on a machine that does nothing else."""

Drills = tuple[Drill, Drill]


@pytest.fixture(scope="module")
def drills(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drills]:
    """The drill without and with ``kill_unblocks_sockets``, both at the same time."""
    folders: list[Path] = [tmp_path_factory.mktemp("blocked"), tmp_path_factory.mktemp("unblocked")]
    with ThreadPoolExecutor(2) as pool:
        blocked, unblocked = pool.map(Drill, folders, (False, True))
    yield blocked, unblocked


@pytest.mark.parametrize("kind", KINDS)
def test_c_client_of_every_kind_of_hang_is_told_at_the_kill_limit(kind: str, drills: Drills) -> None:
    """504 as soon as the limit has passed, whatever the thread does and whatever becomes of it."""
    for drill in drills:
        assert KILL <= drill.told_after[kind] < KILL + LATE + drill.busy


@pytest.mark.parametrize("kind", KINDS)
def test_c_thread_of_every_kind_of_hang_ends_as_the_table_says(kind: str, drills: Drills) -> None:
    """It ends at once, without being let go; or it is a zombie until it is let go, and then it ends (see ``Drill``)."""
    for drill, expected in zip(drills, EXPECTED[kind], strict=True):
        if expected is AT_ONCE:
            assert drill.ended_after[kind] < LATE + drill.busy
        else:
            assert kind in drill.zombie_after
            assert kind not in drill.ended_after


def test_c_table_of_the_manual_says_what_happens(drills: Drills) -> None:
    """What the manual says of this CPython is what this drill came to, but for the tenths of seconds."""
    found = seen_in(*drills)
    if os.environ.get("PASTEPOOL_WRITE_DOCS") == "1":
        note(found)
    assert HERE in seen(), REMEDY
    assert words(seen()[HERE]) == words(found), REMEDY


def test_table_of_the_manual_is_made_of_what_all_interpreters_came_to() -> None:
    """Each of them has been asked, and nobody has edited the page."""
    assert list(seen()) == ["3.10", "3.11", "3.12", "3.13", "3.14", "3.15"]
    assert TABLE.read_text(encoding="utf-8") == page(seen())


def test_client_that_reads_late_makes_no_negative_time() -> None:
    """What happens to a thread before its client has read the 504 happens after 0.0 s, not after -0.0 s."""
    told_at = {"late": 10.04, "soon": 10.0}
    seconds = after(told_at, {"late": 10.0, "soon": 10.2})
    assert [f"{seconds[kind]:.1f} s" for kind in told_at] == ["0.0 s", "0.2 s"]
