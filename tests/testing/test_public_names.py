"""What ``from pastepool import ...`` has."""

from __future__ import annotations

import pytest

import pastepool


def test_public_names_are_loaded_when_they_are_asked_for() -> None:
    """They are the classes of the manual; another name is an ordinary error."""
    assert {name: getattr(pastepool, name).__module__ for name in pastepool.__all__ if name[0] != "_"} == {
        "CallableWork": "pastepool.pooling.work",
        "ServerThread": "pastepool.embedding.server_thread",
        "Work": "pastepool.pooling.work",
        "WorkerPool": "pastepool.embedding.worker_pool",
        "subscribe": "pastepool.pooling.hub",
    }
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        pastepool.nothing  # noqa: B018
