"""What holds for every test of the page."""

from __future__ import annotations

import pytest

from pastepool.watch import observer


@pytest.fixture(autouse=True)
def every_look_is_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks are shared for a quarter of a second otherwise, which would make tests wait."""
    monkeypatch.setattr(observer, "FRESH_FOR", 0.0)
    monkeypatch.setattr(observer, "COST_LIMIT", 0.0)
