"""The page of the manual about ``pastepool.testing``: its examples run, and it names every helper."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import pastepool.testing

PAGE = (Path(__file__).parent.parent.parent / "docs" / "reference" / "testing.md").read_text(encoding="utf-8")
CODE = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("code", CODE, ids=lambda code: re.findall(r"def (test_\w+)", code)[0])
def test_example_runs(code: str) -> None:
    """Each example imports what it uses and holds at least one test, and each of its tests passes."""
    names: dict[str, Any] = {}
    exec(compile(code, "docs/reference/testing.md", "exec"), names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert tests
    for test in tests:
        test()


def test_page_names_every_helper() -> None:
    """Each public name of the package stands in the table of the page and is imported by an example, and no other is."""
    table = re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.+?) \|", PAGE, re.MULTILINE)))
    assert sorted(table) == sorted(pastepool.testing.__all__)
    imported = re.findall(r"^from pastepool\.testing import (\w+)$", "".join(CODE), re.MULTILINE)
    assert sorted(imported) == sorted(pastepool.testing.__all__)
