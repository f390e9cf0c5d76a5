"""How many system calls a request makes: as few as there can be, counted by strace."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from benchmarks import system_calls
from benchmarks.scenarios import SCENARIOS
from pastepool._fast import fast


def can_trace() -> bool:
    """Say whether strace is here and may trace: a container may forbid it."""
    if shutil.which("strace") is None:
        return False
    done = subprocess.run(
        ["strace", "-qq", "-e", "trace=none", sys.executable, "-c", ""], capture_output=True, check=False
    )
    return done.returncode == 0


LOADS = {row.name: row.load for row in SCENARIOS}

AT_LEAST = {"epoll_wait": 1, "recvfrom": 1, "sendto": 1}
"""Receive and send. The poll is one for each batch of requests, and here each batch is one request."""

CONNECTION = {
    **AT_LEAST,
    "epoll_wait": 2,  # for the client, and for its request
    "accept4": 2,  # the second one finds nobody
    "getsockname": 1,  # CPython's socket asks this when it is made of a descriptor
    "epoll_ctl": 1,  # what is closed is not watched any more, as long as the application has not forked
    "close": 1,  # it ends the connection, as long as the application has not forked
    **({"ioctl": 1} if fast.accept_client is None else {}),  # without the accelerator: that the socket does not block
}

EXPECTED = {
    "hello": AT_LEAST,
    "close": CONNECTION,
    "large": {"epoll_wait": 1, "recvfrom": 1, "sendmsg": 1},  # the head and 100 KB together
    "stream": {**AT_LEAST, "sendto": 9},  # the head and the first piece, the second, and seven times some fifteen
    "upload": {**AT_LEAST, "recvfrom": 2},
}


@pytest.mark.skipif(not can_trace(), reason="needs strace")
@pytest.mark.parametrize("scenario", EXPECTED)
def test_request_makes_no_system_call_that_is_not_needed(scenario: str) -> None:
    """A call more for each request is a failure; one more now and then is the wake-up of a sweep."""
    found = system_calls.per_request(sys.executable, LOADS[scenario])
    assert {name: round(count) for name, count in found.items() if count > 0.25} == EXPECTED[scenario]


def test_only_calls_between_two_marks_are_counted() -> None:
    """With one receipt: that of the second mark. A call that another thread interrupts is counted once."""
    trace = """
7  accept4(3, {...}, [16], SOCK_CLOEXEC) = 8
7  recvfrom(8, "GET /hello?mark HTTP/1.1"..., 16384, 0, NULL, NULL) = 70
7  sendto(8, "HTTP/1.1 200 OK", 154, 0, NULL, 0 <unfinished ...>
9  close(9)                             = 0
7  <... sendto resumed>)                = 154
7  recvfrom(8,  <unfinished ...>
7  <... recvfrom resumed>"GET /hello?mark HTTP/1.1"..., 16384, 0, NULL, NULL) = 70
7  sendto(8, "HTTP/1.1 200 OK", 154, 0, NULL, 0) = 154
"""
    assert system_calls.between_marks(trace) == {"sendto": 1, "close": 1, "recvfrom": 2}
    with pytest.raises(system_calls.ServerFailed, match="1 marked"):
        system_calls.between_marks(trace.partition("9  close")[0])
