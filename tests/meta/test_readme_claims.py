"""README claims what the measured tables show, and nothing more."""

from __future__ import annotations

import re

from tests.meta.repository import ROOT

README = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
TABLES = (ROOT / "docs" / "_generated" / "performance-table.md").read_text(encoding="utf-8")

CLAIM = "takes less than a tenth of the CPU time of waitress, cheroot and gunicorn's threads"
THREADED = ("waitress", "cheroot", "gthread")
SHORT_REQUESTS = ("hello", "browser")
"""The scenarios in which short requests come on connections that stay open."""


def cpu_per_request() -> dict[str, dict[str, float]]:
    """CPU time per request in microseconds, by scenario and server."""
    table = TABLES.partition("### CPU per request\n")[2].partition("\n###")[0]
    head, _, *rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in table.strip().splitlines()]
    figures = {row[0]: [float(cell.replace(",", "")) for cell in row[1:]] for row in rows}
    return {scenario: dict(zip(head[1:], cells, strict=True)) for scenario, cells in figures.items()}


def test_cpu_time_is_what_the_table_shows() -> None:
    """In each scenario that the sentence means, pastepool takes less than a tenth of each server that it names."""
    assert CLAIM in README
    measured = cpu_per_request()
    for scenario in SHORT_REQUESTS:
        row = measured[scenario]
        assert [name for name in THREADED if row["pastepool"] >= row[name] / 10] == []


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
