"""The same file with waitress and with pastepool: where they listen, and how many requests run at once."""

from __future__ import annotations

import contextlib
import json
import socket
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.server.serving import Client
from tests.server.test_like_waitress import pastepool_running, waitress_running
from tests.server.test_unix_sockets import UnixClient
from tests.waiting import WATCHDOG

BOTH = [waitress_running, pastepool_running]
ADDRESSES = {"127.0.0.1": socket.AF_INET, "127.0.0.2": socket.AF_INET, "::1": socket.AF_INET6}


def reached(names: list[Any]) -> set[str]:
    """Return at which addresses of this machine a client is taken."""
    found = set()
    for host, family in ADDRESSES.items():
        for name in names:
            with socket.socket(family) as sock:
                sock.settimeout(WATCHDOG)
                if sock.connect_ex((host, name[1])) == 0:
                    found.add(host)
    return found


@pytest.mark.parametrize(
    ("lines", "hosts"),
    [
        ("host = 127.0.0.1\nport = 0", {"127.0.0.1"}),
        ("host = ::1\nport = 0", {"::1"}),
        ("port = 0", {"127.0.0.1", "127.0.0.2"}),
        ("listen = 127.0.0.1:0 127.0.0.2:0 [::1]:0", {"127.0.0.1", "127.0.0.2", "::1"}),
        ("listen =\n  127.0.0.2:0\n  [::1]:0", {"127.0.0.2", "::1"}),
        ("listen = *:0", {"127.0.0.1", "127.0.0.2", "::1"}),
        ("listen = *:0\nipv6 = false", {"127.0.0.1", "127.0.0.2"}),
        ("listen = *:0\nipv4 = false", {"::1"}),
        ("listen = [::]:0", {"::1"}),
        ("host = *\nport = 0\nipv6 = no", {"127.0.0.1", "127.0.0.2"}),
    ],
)
def test_clients_are_taken_at_the_same_addresses(lines: str, hosts: set[str], tmp_path: Path) -> None:
    """Several addresses, ``*``, ``::``, one IP family alone, and no host at all."""
    for running in BOTH:
        with running(lines, tmp_path) as names:
            assert reached(names) == hosts, running


@pytest.mark.parametrize(("lines", "mode"), [("", 0o600), ("\nunix_socket_perms = 660", 0o660)])
def test_unix_socket_has_the_same_rights(lines: str, mode: int, folder: Path, tmp_path: Path) -> None:
    """The mode is that of ``unix_socket_perms``, and 600 without it; the application is called."""
    for running in BOTH:
        path = folder / "s"
        with running(f"unix_socket = {path}{lines}", tmp_path):
            assert stat.S_IMODE(path.stat().st_mode) == mode, running
            with contextlib.closing(UnixClient(str(path))) as client:
                assert json.loads(client.get("/a").body)["environ"]["PATH_INFO"] == "/a"
        path.unlink(missing_ok=True)  # waitress leaves its file


class Overlap:
    """
    An application that waits for another call of itself, and counts how many run at once.

    ``wanted``: how many calls release each other. ``most``: how many ran at once.
    """

    def __init__(self, wanted: int) -> None:
        self.most = self._running = 0
        self._wanted = wanted
        self._lock = threading.Lock()
        self._together = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        with self._lock:
            self._running += 1
            self.most = max(self.most, self._running)
            if self._running >= self._wanted:
                self._together.set()
        assert self._together.wait(WATCHDOG)
        with self._lock:
            self._running -= 1
        start_response("200 OK", [("Content-Length", "0")])
        return [b""]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_as_many_requests_run_at_once(threads: int, tmp_path: Path) -> None:
    """``threads`` is a floor: so many run together; and with 1 it is a cap: six requests run one after the other."""
    for running in BOTH:
        app = Overlap(threads)
        with running(f"listen = 127.0.0.1:0\nthreads = {threads}", tmp_path, app) as names:

            def ask(_: int, port: int = names[0][1]) -> int:
                with Client(port) as client:
                    return client.get().status

            with ThreadPoolExecutor(6) as clients:
                assert list(clients.map(ask, range(6))) == [200] * 6
        assert app.most == 1 if threads == 1 else app.most >= threads, running
