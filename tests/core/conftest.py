"""The core is values: whatever starts a thread, opens a socket or sleeps here is a mistake, and fails."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import NoReturn

import pytest


@pytest.fixture(autouse=True, scope="module")
def nothing_but_values() -> Iterator[None]:
    """Make threads, sockets and sleeping raise for every test of the core."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        patch.setattr(socket, "socket", refuse)
        patch.setattr(time, "sleep", refuse)
        yield


def refuse(*args: object, **named: object) -> NoReturn:
    """Stand in for what the core may not do."""
    raise AssertionError("the core starts no thread, opens no socket and does not sleep")
