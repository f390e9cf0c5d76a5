"""The fence around the core's tests bites."""

from __future__ import annotations

import socket
import threading
import time

import pytest


def test_a_thread_cannot_start_in_a_test_of_the_core() -> None:
    """Thread.start raises here."""
    with pytest.raises(AssertionError, match="starts no thread"):
        threading.Thread(target=int).start()


def test_a_socket_cannot_be_opened_in_a_test_of_the_core() -> None:
    """socket.socket raises here."""
    with pytest.raises(AssertionError, match="opens no socket"):
        socket.socket()


def test_nothing_sleeps_in_a_test_of_the_core() -> None:
    """time.sleep raises here."""
    with pytest.raises(AssertionError, match="does not sleep"):
        time.sleep(0)
