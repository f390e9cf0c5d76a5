"""The benchmark of hostile inputs: what it sends, how it judges, and that it can be run."""

from __future__ import annotations

import re

import pytest

from benchmarks.errors import BenchError
from benchmarks.hostile import __main__ as hostile
from benchmarks.hostile.inputs import HONEST, HOSTILE, WHOLE, Unit
from tests.meta.repository import ROOT


def test_inputs_are_many_and_have_names_of_their_own() -> None:
    """There are more than thirty hostile inputs, and each unit has an honest one."""
    names = [each.name for each in HONEST + HOSTILE]
    assert len(names) == len(set(names))
    assert len(HOSTILE) > 30
    assert {each.unit for each in HONEST} == set(Unit)


def test_unfinished_heads_are_within_the_limit_of_a_head() -> None:
    """A head whose memory is measured is one that the server may still wait for."""
    for each in HOSTILE:
        if each.holds and each.unit is Unit.BYTE and each.make().startswith((b"GET", b"\r\n", b"XX")):
            assert len(each.make()) <= WHOLE


def test_cost_beyond_a_rule_is_marked_and_makes_the_run_fail() -> None:
    """Ten times is allowed and more is not; so are four bytes of memory for each byte sent."""
    what = HOSTILE[0]
    fine = hostile.Cost(what, 1e-9, 10.0, 4.0)
    assert not fine.too_much
    dear = hostile.Cost(what, 2e-8, 10.1, None)
    assert dear.too_much
    assert hostile.Cost(what, 1e-9, 1.0, 4.1).too_much
    assert hostile.Cost(what, failure="it ended").too_much
    table = hostile.tables([fine, dear])
    assert "| a chunk of blank lines | 1.00 | 10.0 | 4.00 |" in table
    assert "| a chunk of blank lines | 20.00 | 10.1 (!) | - |" in table


def test_unknown_input_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt name is refused with those that exist."""
    with pytest.raises(BenchError, match="'rubbish' is not one of upload, "):
        hostile.chosen("rubbish")
    assert hostile.main(["--inputs", "rubbish"]) == 1
    assert "is not one of" in capsys.readouterr().err


def test_input_can_be_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """The whole way, as short as it can be: a server, an honest client, a hostile one, and the memory it holds."""
    hostile.main(["--rounds", "1", "--inputs", "blank-lines-in-chunk"])
    assert re.search(r"\| a chunk of blank lines \| [\d.]+ \| [\d.]+( \(!\))? \| \d+\.\d\d \|", capsys.readouterr().out)


def test_manual_shows_every_input_and_none_that_costs_too_much() -> None:
    """The table of the manual was measured with these inputs, all of them, and each kept the rule."""
    table = (ROOT / "docs" / "_generated" / "hostile-table.md").read_text(encoding="utf-8")
    rows = [line.split(" | ")[0].removeprefix("| ") for line in table.splitlines() if line.startswith("| ")]
    shown = [row for row in rows if row not in ("input", "---")]
    assert sorted(shown) == sorted(each.title for each in HONEST + HOSTILE)
    assert "(!)" not in table and "failed" not in table


@pytest.mark.slow
@pytest.mark.parametrize("name", [each.name for each in HOSTILE])
def test_no_input_costs_more_than_ten_times_its_honest_counterpart(name: str) -> None:
    """The rule, measured on a real server: CPU time of its process and memory that it holds."""
    assert hostile.main(["--rounds", "5", "--inputs", name]) == 0
