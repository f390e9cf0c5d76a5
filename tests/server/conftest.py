"""Servers for tests that end with the test, and an eye on their log."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.certificates import server_pem
from tests.server.fronts import Front, accepts
from tests.server.serving import App, Running, running
from tests.waiting import PROGRAM_WATCHDOG, until

Serve = Callable[..., Running]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """
    Run each test of a module with the mark ``over_tls`` twice, unless it has the mark ``plain_only``.

    ``PLAIN_ONLY`` in the environment leaves the second run out. tox sets it: on the other CPythons ``test_tls`` is enough.
    """
    marks = metafunc.definition
    if "carrier" in metafunc.fixturenames and marks.get_closest_marker("over_tls"):
        plain_only = marks.get_closest_marker("plain_only") or "PLAIN_ONLY" in os.environ
        carriers = ["plain"] if plain_only else ["plain", "tls"]
        metafunc.parametrize("carrier", carriers, indirect=True)


@pytest.fixture
def carrier(request: pytest.FixtureRequest) -> str:
    """What the bytes go through: ``plain`` or ``tls``."""
    return str(getattr(request, "param", "plain"))


@pytest.fixture
def serve(carrier: str) -> Iterator[Serve]:
    """Start servers (``serve(app, queue_limit=3)``), each stopped, and seen to end, when the test does."""
    more = {"ssl_pem": server_pem()} if carrier == "tls" else {}
    with contextlib.ExitStack() as stack:

        def start(app: App, **options: object) -> Running:
            return stack.enter_context(running(app, **{**more, **options}))

        yield start


@pytest.fixture
def front() -> Iterator[Front]:
    """Start programs that stand in front of the server, each ended when the test ends."""
    started: list[subprocess.Popen[bytes]] = []

    def start(words: list[str], place: int | Path) -> None:
        started.append(subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        until(lambda: accepts(place), f"{words[0]} listens", PROGRAM_WATCHDOG)

    yield start
    for process in started:
        process.terminate()
        process.wait(PROGRAM_WATCHDOG)


@pytest.fixture(autouse=True)
def nothing_is_to_be_reported(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail the test in which the server found an error of its own."""
    caplog.set_level(logging.INFO)
    yield
    ours = [record.getMessage() for record in caplog.get_records("call") if "please report" in record.getMessage()]
    assert not ours, ours
