"""The page of the manual about the pool: its examples run."""

from __future__ import annotations

import re

import pytest

from tests.meta.repository import ROOT

PAGE = (ROOT / "docs" / "reference" / "worker-pool.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("code", EXAMPLES)
def test_example_runs(code: str) -> None:
    """Each block is a program that ends by itself, without an error and without a thread that is left."""
    exec(compile(code, "docs/reference/worker-pool.md", "exec"), {"__name__": "example"})


def test_there_are_examples() -> None:
    """They were found."""
    assert len(EXAMPLES) == 3
