"""Servers for tests that end with the test, and an eye on their log."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator

import pytest

from tests.server.serving import App, Running, running

Serve = Callable[..., Running]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers (``serve(app, queue_limit=3)``), each stopped, and seen to end, when the test does."""
    with contextlib.ExitStack() as stack:

        def start(app: App, **options: object) -> Running:
            return stack.enter_context(running(app, **options))

        yield start


@pytest.fixture(autouse=True)
def nothing_is_to_be_reported(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail the test in which the server found an error of its own."""
    caplog.set_level(logging.INFO)
    yield
    ours = [record.getMessage() for record in caplog.get_records("call") if "please report" in record.getMessage()]
    assert not ours, ours
