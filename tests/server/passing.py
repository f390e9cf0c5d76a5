"""Programs whose listening sockets are opened by another process, as systemd does."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence

from tests.server.commands import environment


def start_with(source: str, passed: Sequence[socket.socket], names: str, **variables: str) -> subprocess.Popen[str]:
    """
    Start a program as systemd does: the sockets from descriptor 3 on, and variables that tell of them.

    ``source``: has to set ``LISTEN_PID`` to its own process id, which is not known before.
    """
    targets = [sock.fileno() for sock in passed]

    def arrange() -> None:
        high = [os.dup2(descriptor, 100 + at) for at, descriptor in enumerate(targets)]
        for at, descriptor in enumerate(high):
            os.dup2(descriptor, 3 + at)
        os.closerange(3 + len(high), 1024)

    return subprocess.Popen(
        [sys.executable, "-c", source],
        env=environment(LISTEN_FDS=str(len(passed)), LISTEN_FDNAMES=names, **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        close_fds=False,
        preexec_fn=arrange,
    )
