"""A reader who has nothing types what README and tutorial say, and sees what they show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.manual.blocks import Step, Typed, steps
from tests.manual.desk import Desk, clone, free_ports
from tests.manual.output import ANY_LINES, find, is_whole, lines_of
from tests.meta.repository import ROOT

CLONE = "pastepool"
PAGES = {"README": (ROOT / "README.md", CLONE), "tutorial": (ROOT / "docs" / "tutorial" / "first-ini.md", "")}
"""The pages, and where their reader begins: in the clone, or in the folder that has it."""

ALL_CHECKS = "make test"
"""Not typed here, because it runs this test. ``.ci/run`` types it in a fresh clone."""


def page(name: str) -> list[Step]:
    """The steps of a page."""
    return [step for step in steps(PAGES[name][0].read_text(encoding="utf-8")) if not is_all_checks(step)]


def is_all_checks(step: Step) -> bool:
    """Whether a step is the one that runs this test."""
    return isinstance(step, Typed) and step.command == ALL_CHECKS


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", PAGES)
def test_page_works_word_for_word_on_a_machine_that_has_nothing(name: str, tmp_path: Path) -> None:
    """In a fresh clone, with a fresh HOME and new environments, each command prints what the page shows below it."""
    todo = page(name)
    assert len([step for step in todo if isinstance(step, Typed)]) >= 5
    ports = dict(zip(("8080", "9000"), map(str, free_ports(2)), strict=True))
    with Desk(tmp_path, ports) as desk:
        clone(desk.work_in(CLONE))
        for path in desk.work_in(CLONE).glob("*.ini"):
            path.write_text(desk.with_ports(path.read_text(encoding="utf-8")), encoding="utf-8")
        desk.work_in(PAGES[name][1])
        for step in todo:
            desk.do(step)
        desk.finish()


def test_the_one_command_that_is_left_out_is_typed_by_the_check_of_a_clean_clone() -> None:
    """``make test`` is in README, and ``.ci/run`` ends with it."""
    left_out = [step for step in steps(PAGES["README"][0].read_text(encoding="utf-8")) if is_all_checks(step)]
    assert len(left_out) == 1
    last = (ROOT / ".ci" / "run").read_text(encoding="utf-8").rstrip().splitlines()[-1]
    assert re.fullmatch(r"exec make .*test", last)


def test_output_is_compared_to_the_end() -> None:
    """A line too few, a line too many and a wrong line are differences; numbers that vary are none."""
    said = lines_of("Starting server in PID 17.\n\nserving\nworker 3 is hung: GET /a has run for 3.1 s\n")
    shown = ["Starting server in PID 4711.", "serving", "worker 8 is hung: GET /a has run for 3.0 s"]
    assert is_whole(shown, said)
    assert is_whole([shown[0], ANY_LINES], said)
    assert is_whole([shown[0], ANY_LINES, shown[2]], said)
    assert not is_whole(shown[:2], said)
    assert not is_whole([*shown, "more"], said)
    assert not is_whole([shown[0], "answering", shown[2]], said)
    assert not is_whole([ANY_LINES, "answering"], said)


def test_output_of_a_server_is_read_in_order() -> None:
    """What was found once is not found again; lines between two blocks are passed over."""
    said = lines_of("serving\nnoise\nhung\n  stack\n    end\nhung\n")
    first = find(["hung", ANY_LINES, "    end"], said)
    assert first == 5
    assert find(["hung"], said, first) == 6
    assert find(["serving"], said, first) is None
