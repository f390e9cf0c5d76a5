"""
The table of the manual: what becomes of each kind of hang, on each CPython.

``hangs.json`` has what the drill came to on each of them: for each kind the seconds until the client was told 504, and the
outcomes without and with ``kill_unblocks_sockets``. Each interpreter writes its own part, and the page is made of all of
them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from tests.server.commands import ROOT
from tests.server.hang_drill import AT_ONCE, KILL, KINDS, LIMITS, Drill, Outcome

GENERATED = ROOT / "docs" / "_generated"
SEEN = GENERATED / "hangs.json"
TABLE = GENERATED / "hang-table.md"

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
REMEDY = "run tests/server/test_hang_table.py with PASTEPOOL_WRITE_DOCS=1 on this interpreter"

Seen = dict[str, dict[str, Any]]
"""By version and kind: ``{"told": seconds, "outcomes": [without, with]}``."""


def seen() -> Seen:
    """Read what all interpreters have come to."""
    read: Seen = json.loads(SEEN.read_text(encoding="utf-8"))
    return read


def seen_in(blocked: Drill, unblocked: Drill) -> dict[str, Any]:
    """Return what this interpreter came to, in a drill without and one with ``kill_unblocks_sockets``."""
    drills = blocked, unblocked
    return {
        kind: {
            "told": round(max(drill.told_after[kind] for drill in drills), 1),
            "outcomes": [drill.outcome(kind) for drill in drills],
        }
        for kind in KINDS
    }


def note(found: dict[str, Any]) -> None:
    """Write what this interpreter came to, and the page. What others came to before a kind was added is dropped."""
    known = {version: rows for version, rows in seen().items() if rows.keys() == KINDS.keys()} | {HERE: found}
    ordered = {version: known[version] for version in sorted(known, key=_number)}
    rows = [
        f"{json.dumps(version)}: {{\n"
        + ",\n".join(f"  {json.dumps(kind)}: {json.dumps(row)}" for kind, row in rows.items())
        + "\n}"
        for version, rows in ordered.items()
    ]
    SEEN.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")
    TABLE.write_text(page(ordered), encoding="utf-8")


def words(found: dict[str, Any]) -> dict[str, list[str]]:
    """Return what is found without the measured seconds: they differ from run to run."""
    return {kind: [outcome[0] for outcome in row["outcomes"]] for kind, row in found.items()}


def page(known: Seen) -> str:
    """Return the part of the manual. CPythons with the same outcomes share their columns."""
    groups: list[list[str]] = []
    for version in known:
        if groups and words(known[groups[-1][0]]) == words(known[version]):
            groups[-1].append(version)
        else:
            groups.append([version])
    lines = [
        "<!-- Written by tests/server/test_hang_table.py with PASTEPOOL_WRITE_DOCS=1. Not edited by hand. -->",
        "",
        "And here is what becomes of such requests, as the tests see it on each CPython with the limits",
        f"`threadpool_kill_thread_limit = {KILL:g}` and `threadpool_dying_limit = {LIMITS['threadpool_dying_limit']:g}`,",
        f"in seconds. The client of each is told 504 after {_told(known)}. The columns say when the thread ends, counted from",
        "the kill; the last ones are with `kill_unblocks_sockets = true`:",
        "",
        "| the request hangs in | " + " | ".join(_titles(groups)) + " |",
        "|---" * (1 + 2 * len(groups)) + "|",
    ]
    for kind, hang in KINDS.items():
        cells = [_says([known[version][kind]["outcomes"][way] for version in group]) for way, group in _columns(groups)]
        lines.append(f"| {hang} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _columns(groups: list[list[str]]) -> list[tuple[int, list[str]]]:
    return [(way, group) for way in (0, 1) for group in groups]


def _titles(groups: list[list[str]]) -> list[str]:
    return [f"{'with, ' if way else ''}{_range(group)}" for way, group in _columns(groups)]


def _range(group: Sequence[str]) -> str:
    return f"CPython {group[0]}" + (f" to {group[-1]}" if len(group) > 1 else "")


def _told(known: Seen) -> str:
    told = [row["told"] for rows in known.values() for row in rows.values()]
    return f"{min(told):.1f} to {max(told):.1f} s" if min(told) < max(told) else f"{told[0]:.1f} s"


def _says(outcomes: Sequence[Outcome]) -> str:
    """Write what happened to the threads of one kind, with the longest time."""
    outcome, seconds = outcomes[0][0], max(outcome[1] for outcome in outcomes)
    if outcome == AT_ONCE:
        return f"{AT_ONCE} ({seconds:.1f} s)"
    return f"{outcome}; until then a zombie (after {seconds:.1f} s)"


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
