"""What the tests of several processes share."""

from __future__ import annotations

import socket

import pytest

from tests.server.conftest import front

__all__ = ["front"]


@pytest.fixture
def unused_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
