"""``admin_listen`` of a ``WorkerPool``: the page on a port of its own, with the same rules of access as in the server."""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import os
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from pastepool import WorkerPool
from pastepool.errors import SettingsError, StartError
from tests.server.fronts import accepts, free_port
from tests.waiting import WATCHDOG, until

TOKEN = "t" * 20


@contextlib.contextmanager
def pool_on(port: int, **options: Any) -> Iterator[WorkerPool]:
    """A pool that shows itself on a port."""
    pool = WorkerPool("shop", workers=1, spawn_if_under=1, admin_listen=f"127.0.0.1:{port}", **options)
    pool.start()
    try:
        yield pool
    finally:
        pool.stop()


def ask(port: int, path: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    """Send one request to the page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WATCHDOG)
    with contextlib.closing(connection):
        connection.request(method, path, headers=dict(headers or {}))
        response = connection.getresponse()
        return response.status, response.read()


def test_work_that_hangs_is_shown_and_killed() -> None:
    """Also while every worker hangs. The port is there from ``start`` to the end of ``stop``, and again after it."""
    port, entered, ended = free_port(), threading.Event(), threading.Event()

    def hang() -> None:
        try:
            while True:
                entered.set()
                threading.Event().wait(0.001)
        finally:
            ended.set()

    with pool_on(port, admin_allow_kill=True) as pool:
        pool.start()
        pool.submit(hang)
        assert entered.wait(WATCHDOG)
        status, body = ask(port, "/api/v1/state")
        state = json.loads(body)
        assert (status, state["host"]) == (200, "shop")
        (row,) = [row for row in state["workers"] if row["serial"]]
        assert "hang" in row["title"]
        page = ask(port, "/")[1].decode()
        csrf = re.search(r'csrf" content="([^"]+)"', page)
        assert csrf is not None
        query = f"/api/v1/kill?worker={row['worker']}&serial={row['serial']}"
        status, body = ask(port, query, "POST", {"X-Pastepool-CSRF": csrf[1], "Content-Length": "0"})
        assert status in (200, 202), body
        assert ended.wait(WATCHDOG)
    assert not accepts(port)
    pool.start()
    try:
        assert ask(port, "/api/v1/state")[0] == 200
    finally:
        pool.stop()
    assert not accepts(port)


def test_rules_of_access_are_those_of_the_server() -> None:
    """A token is asked for; nobody else may be let in without one; no other options of a server are taken."""
    port = free_port()
    with pool_on(port, admin_token=TOKEN):
        assert ask(port, "/api/v1/state")[0] == 401
        assert ask(port, "/api/v1/state", headers={"Authorization": f"Bearer {TOKEN}"})[0] == 200
    refused: tuple[tuple[dict[str, Any], str], ...] = (
        ({"admin_listen": "0.0.0.0:1"}, "without a secret the page is served on a loopback address only"),
        ({"admin_allow_from": "10.0.0.0/8"}, "other machines are let in with a secret only"),
    )
    for options, sentence in refused:
        with pytest.raises(SettingsError, match=sentence):
            WorkerPool("shop", **options)
    with pytest.raises(SettingsError, match="it is an option of the server and not of its pool"):
        WorkerPool("shop", port=8080)


def test_port_that_is_taken_is_a_sentence_and_leaves_no_thread() -> None:
    """The pool does not start without its page."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        pool = WorkerPool("shop", workers=1, spawn_if_under=1, admin_listen=f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(StartError, match="the port is taken"):
            pool.start()
    assert pool.workers == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_child_of_a_fork_leaves_the_port_to_its_parent(caplog: pytest.LogCaptureFixture) -> None:
    """Its pool works, with a warning that it is not shown; the parent's page goes on."""
    port = free_port()
    with pool_on(port) as pool, caplog.at_level(logging.WARNING):
        read, write = os.pipe()
        pid = os.fork()
        if not pid:
            done = threading.Event()
            pool.submit(done.set)
            os.write(write, b"%d" % done.wait(10))
            told = [line for line in caplog.messages if "are not shown in this process" in line]
            os.write(write, b"%d" % len(told))
            os._exit(0)
        os.waitpid(pid, 0)
        assert os.read(read, 10) == b"11"
        os.close(read)
        os.close(write)
        assert ask(port, "/api/v1/state")[0] == 200
        until(lambda: accepts(port), "the parent listens")
