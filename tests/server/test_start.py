"""A start that does not succeed: one sentence, and nothing left behind."""

from __future__ import annotations

import socket
import threading

import pytest

from pastepool.errors import StartError
from pastepool.server import Server
from pastepool.settings import read
from tests.server.serving import path_echo

THREADS = ["pastepool scribe", "pastepool forced exit", "pastepool mailer", "pastepool supervisor", "pastepool admin"]


@pytest.mark.parametrize("name", THREADS)
def test_server_that_finds_no_thread_says_which_limit_to_raise(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Whichever of its threads the system has no more room for: an error that names the limits, the port is free again,
    and none of the threads that could be started lives on.
    """
    start = threading.Thread.start

    def refuse_one(thread: threading.Thread) -> None:
        if thread.name == name:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse_one)
    options = {"port": 0, "admin_listen": "127.0.0.1:0", "error_email": "ops@example.org", "threadpool_workers": 2}
    server = Server(read(options, {}), path_echo, path_echo)
    port = server.bind()[0].endpoint.port
    with pytest.raises(StartError, match=r"can't start new thread\. Raise the limit on threads \(ulimit -u; pids\.max"):
        server.serve()
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
