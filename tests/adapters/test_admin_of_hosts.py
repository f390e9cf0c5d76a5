"""``admin_listen`` under cheroot, flup and Twisted: the page on a port of its own, also before the first request."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.adapters.clients import Application, ask
from tests.server.fronts import accepts, free_port
from tests.waiting import WATCHDOG, until


def cheroot(admin: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return what serves, and what stops it."""
    pytest.importorskip("cheroot", reason="cheroot is not installed")
    from pastepool.adapters.cheroot import Server

    server = Server(("127.0.0.1", 0), Application(), numthreads=1, admin_listen=admin)
    return server.start, server.stop


def flup(admin: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return what serves, and what stops it."""
    scgi = pytest.importorskip("flup.server.scgi", reason="flup is not installed")
    from pastepool.adapters.flup import on_our_pool

    server = on_our_pool(scgi.WSGIServer)(
        Application(), scriptName="", bindAddress=("127.0.0.1", free_port()), admin_listen=admin
    )
    return server.run, server.stop


def twisted(admin: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return what serves, and what stops it."""
    pytest.importorskip("twisted", reason="Twisted is not installed")
    from pastepool.adapters.twisted import ThreadPool

    pool = ThreadPool(0, 1, "twisted", admin_listen=admin)
    return pool.start, pool.stop


@pytest.mark.parametrize("host", [cheroot, flup, twisted])
def test_page_is_on_its_own_port(host: Callable[[str], Any]) -> None:
    """It needs no request to the program, and goes with it."""
    port = free_port()
    serve, stop = host(f"127.0.0.1:{port}")
    serving = threading.Thread(target=serve, name=host.__name__)
    serving.start()
    try:
        until(lambda: accepts(port), "the page is there")
        status, body = ask(port, "/api/v1/state")
        assert (status, json.loads(body)["host"]) == (200, host.__name__)
    finally:
        stop()
        serving.join(WATCHDOG)
    assert not serving.is_alive()
    until(lambda: not accepts(port), "the page is gone")
