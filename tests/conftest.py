"""
Check after every test that it left no thread running and no socket open, let every test hear SIGINT, and give Hypothesis
the time that it needs on a busy machine.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from pastepool.core.interpreter import runs_without_gil
from tests import needs_the_gil
from tests.waiting import PROGRAM_WATCHDOG, WATCHDOG

collect_ignore = needs_the_gil.NEED_TRUSTME if importlib.util.find_spec("trustme") is None else []


@pytest.fixture(autouse=True)
def nothing_is_left_running() -> Iterator[None]:
    """Fail the test that leaves a thread or an open socket behind."""
    threads_before = set(threading.enumerate())
    sockets_before = open_sockets()
    yield
    left = [thread for thread in threading.enumerate() if thread not in threads_before]
    deadline = time.monotonic() + WATCHDOG
    for thread in left:
        thread.join(max(0.0, deadline - time.monotonic()))
    alive = [thread.name for thread in left if thread.is_alive()]
    assert not alive, f"threads left running: {alive}"
    if open_sockets() - sockets_before:
        gc.collect()
        leaked = open_sockets() - sockets_before
        assert not leaked, f"sockets left open: {sorted(leaked)}"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory that every user may enter, with a short name: a path of a unix socket has 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="pp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def notified(folder: Path) -> Iterator[socket.socket]:
    """The socket of a service manager."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"{folder}/notify")
        sock.settimeout(PROGRAM_WATCHDOG)
        yield sock


def open_sockets() -> set[tuple[str, str]]:
    """Return descriptor and inode of every open socket of this process. Empty on a system without /proc."""
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        return set()
    found = set()
    for name in names:
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if target.startswith("socket:"):
            found.add((name, target))
    return found


@pytest.hookimpl(tryfirst=True)  # before a choice by name takes tests out
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what cannot pass without the GIL, and see on every interpreter that the list of these tests is true."""
    selected = any("::" in argument for argument in config.args)
    wrong = [] if selected else list(needs_the_gil.unknown(item.nodeid for item in items))
    if wrong:
        raise pytest.UsageError(f"tests/needs_the_gil.py names tests that are not there: {', '.join(wrong)}")
    if runs_without_gil():
        for item in items:
            why = needs_the_gil.reason_for(item.nodeid)
            if why:
                item.add_marker(pytest.mark.skip(reason=why))


def pytest_configure() -> None:
    """
    Handle SIGINT in this process, and in its children. A shell that runs us in the background has it ignored.

    Hypothesis measures how long an example takes. That says something about the machine, and nothing about the code.
    """
    settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("any machine")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
