"""The table for a terminal: what it shows of a worker, and where it cuts what is too long."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pastepool.watch.table import COLUMNS, cut, padded, text_table
from pastepool.watch.verdict import Verdict, verdict_of

SAMPLE = Path(__file__).parent / "sample-v1.json"


def sample() -> Any:
    """The documented example of a state."""
    return json.loads(SAMPLE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [
        ("GET /report", 11, "GET /report"),
        ("GET /report/annual/2026", 16, "GET /report/~"),
        ("GET /report/annual/2026", 12, "GET /report~"),
        ("GET /report/annual/2026", 20, "GET /report/annual/~"),
        ("at shop/db.py:88 Connection._fetch", 30, "at shop/db.py:88 ~"),
        ("GET /averylongsegmentwithoutend", 16, "GET /averylongs~"),
        ("nobreakatall", 6, "nobre~"),
        ("GET /\u6771\u4eac/\u6771\u4eac\u6771\u4eac", 13, "GET /\u6771\u4eac/~"),
    ],
)
def test_text_is_cut_between_words(text: str, columns: int, expected: str) -> None:
    """Behind a slash or at a blank; in the middle of a word only if much would be lost otherwise."""
    assert cut(text, columns) == expected
    assert padded(text, columns).rstrip() == expected


def test_kill_can_be_aimed_from_the_table() -> None:
    """Below each running request is its serial, which a kill needs beside the worker; an idle worker has none."""
    state = sample()
    lines = text_table(state).splitlines()
    running = [row for row in state["workers"] if row["serial"] is not None]
    assert running
    for row in running:
        (at,) = [number for number, line in enumerate(lines) if line.startswith(f"{row['worker']:>6}  {row['status']}")]
        place = f"at {row['place']}" if row["place"] else ""
        assert lines[at + 1].split("  at ")[0].split() == ["serial", str(row["serial"])]
        assert lines[at + 1].endswith(place)
    assert sum("serial" in line for line in lines) == len(running)
    assert max(map(len, lines)) <= COLUMNS


def test_row_without_serial_and_place_has_no_second_line() -> None:
    """Paste's own pool knows no serials."""
    state = sample()
    row = state["workers"][0]
    row.update(serial=None, place="")
    lines = text_table({**state, "workers": [row]}).splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("WORKER"))
    assert lines[at + 2] == ""


def test_process_that_should_be_restarted_says_so_first() -> None:
    """A lock that a killed request has left concerns everybody, so it comes before what hangs."""
    state = sample()
    why = "logging._lock is taken for ever: left by worker 5 (GET /report), which was killed. Restart this process"
    state["pool"]["condemned"] = why
    assert verdict_of(state) == Verdict("Restart this process", why, "bad")
    lines = text_table(state).splitlines()
    assert any(line.startswith("RESTART THIS PROCESS: logging._lock is taken for ever") for line in lines)
    assert max(map(len, lines)) <= COLUMNS
