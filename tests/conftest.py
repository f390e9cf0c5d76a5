"""What holds for every test: nothing is left running, nothing is left open, nothing waits for ever."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from tests.waiting import WATCHDOG


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


def open_sockets() -> set[tuple[str, str]]:
    """Descriptor and inode of every socket of this process; nothing where there is no /proc."""
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


def pytest_configure() -> None:
    """Hear SIGINT, and have child processes hear it, also where a shell has put us into the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
