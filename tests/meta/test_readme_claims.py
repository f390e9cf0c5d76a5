"""README claims what the measured tables show, and nothing more."""

from __future__ import annotations

import re

from tests.meta.repository import ROOT

README = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
TABLES = (ROOT / "docs" / "_generated" / "performance-table.md").read_text(encoding="utf-8")

CLAIM = "takes about a tenth of the CPU time of waitress, cheroot and gunicorn's threads, or less"
ABOUT_A_TENTH = 0.12
THREADED = ("waitress", "cheroot", "gthread")
SHORT_REQUESTS = ("hello", "browser")
"""The scenarios in which short requests come on connections that stay open."""


def cpu_per_request() -> dict[str, dict[str, float]]:
    """CPU time per request in microseconds, by scenario and server."""
    table = TABLES.partition("### CPU per request\n")[2].partition("\n###")[0]
    head, _, *rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in table.strip().splitlines()]
    figures = {row[0]: [float(cell.replace(",", "").replace("-", "nan")) for cell in row[1:]] for row in rows}
    return {scenario: dict(zip(head[1:], cells, strict=True)) for scenario, cells in figures.items()}


def test_cpu_time_is_what_the_table_shows() -> None:
    """In each scenario that the sentence means, pastepool takes no more than about a tenth of each server that it names."""
    assert CLAIM in README
    measured = cpu_per_request()
    for scenario in SHORT_REQUESTS:
        row = measured[scenario]
        assert [name for name in THREADED if row["pastepool"] > row[name] * ABOUT_A_TENTH] == []


ROWS = {
    "short, on an open connection": "hello",
    "the same with a browser's twelve headers": "browser",
    "on a new connection": "close",
    "100 KB in one piece": "large",
    "100 pieces of 1 KB": "stream",
    "64 KB uploaded": "upload",
    "short, while others wait 50 ms": "beside",
}
"""The rows of README's table, and the scenarios of the benchmark that they are of."""


def test_table_is_that_of_the_benchmark() -> None:
    """Each figure, also where others need less."""
    section = (
        (ROOT / "README.md").read_text(encoding="utf-8").partition("## What a request costs\n")[2].partition("\n## ")[0]
    )
    head, _, *rows = [
        [cell.strip() for cell in line.strip("| ").split("|")] for line in section.splitlines() if line.startswith("|")
    ]
    shown = {
        ROWS[row[0]]: dict(zip(head[1:], (float(cell.replace(",", "")) for cell in row[1:]), strict=True))
        for row in rows
    }
    measured = cpu_per_request()
    assert shown == {scenario: measured[scenario] for scenario in ROWS.values()}


def test_readme_makes_no_other_comparison() -> None:
    """README has one sentence that compares, so no figure is claimed that no table shows."""
    rest = README.replace(CLAIM, "")
    assert re.findall(r"\b(?:fast(?:er|est)|less than|more than|times as|twice|a (?:half|third|tenth))\b", rest) == []


def test_slow_calls_delay_others_by_little() -> None:
    """Beside slow calls, the 99th percentile of fast ones is below the tenth of a slow call."""
    assert "A slow call hardly delays other requests." in README
    heading = re.search(r"^### fast beside slow \(8 x (\d+) ms\)$", TABLES, re.MULTILINE)
    assert heading is not None
    table = TABLES[heading.end() :].partition("\n###")[0]
    rows = {cells[1].strip(): cells for line in table.strip().splitlines() for cells in [line.split("|")]}
    column = [cell.strip() for cell in rows["server"]].index("p99, ms")
    assert float(rows["pastepool"][column]) < int(heading[1]) / 10
