"""CherryPy on our pool: a page that hangs is shown by ``watch_threads`` in the same application, and can be killed."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("cheroot", reason="cheroot is not installed")
cherrypy = pytest.importorskip("cherrypy", reason="CherryPy is not installed")

from pastepool.adapters.cheroot import use_in
from pastepool.watch.app import WatchApp
from pastepool.watch.options import WatchOptions
from tests.adapters.clients import ask, connect
from tests.waiting import WATCHDOG

TOKEN = "t" * 20
ENTERED = threading.Event()
RELEASED = threading.Event()


class Shop:
    """An application of CherryPy with a page that hangs."""

    @cherrypy.expose
    def index(self) -> str:
        return "shop"

    @cherrypy.expose
    def slow(self) -> str:
        ENTERED.set()
        while not RELEASED.is_set():
            time.sleep(0.001)
        return "slow"


@pytest.fixture
def port() -> Iterator[int]:
    """CherryPy as its documentation starts it, with our pool in its server."""
    cherrypy.config.update(
        {
            "environment": "embedded",
            "server.socket_host": "127.0.0.1",
            "server.socket_port": 0,
            "server.thread_pool": 2,
            "server.thread_pool_max": 2,
            "log.screen": False,
        }
    )
    cherrypy.tree.mount(Shop(), "/")
    cherrypy.tree.graft(WatchApp(WatchOptions(allow_kill=True, token=TOKEN)), "/threads")
    server, _ = cherrypy.server.httpserver_from_self()
    use_in(server, hung_thread_limit=0.2, max_workers=8)
    cherrypy.server.httpserver = server
    server.prepare()
    serving = threading.Thread(target=server.serve, name="cherrypy")
    serving.start()
    cherrypy.engine.state = cherrypy.engine.states.STARTED
    try:
        yield server.bind_addr[1]
    finally:
        RELEASED.set()
        server.stop()
        serving.join(WATCHDOG)
        cherrypy.engine.exit()
        cherrypy.server.httpserver = None


def watched(port: int, path: str, method: str = "GET") -> Any:
    """Ask ``watch_threads`` in the application."""
    connection = connect(port)
    connection.request(method, f"/threads/api/v1/{path}", headers={"Authorization": f"Bearer {TOKEN}"})
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def test_hung_page_is_shown_and_killed(port: int) -> None:
    """Two threads, one page that hangs: the others are served, the page shows URL, time and stack, and kills it."""
    told: list[object] = []
    asking = threading.Thread(target=lambda: told.append(ask(port, "/slow")))
    asking.start()
    assert ENTERED.wait(WATCHDOG)
    assert ask(port, "/") == (200, b"shop")
    state = watched(port, "state")
    (row,) = [row for row in state["workers"] if row["path"] == "/slow"]
    assert state["host"] == "cheroot" and row["status"] in ("busy", "hung") and row["ran_for"] >= 0
    (stack,) = [stack for stack in state["stacks"] if stack["id"] == row["stack"]]
    assert stack["frames"][0]["function"].endswith("slow")
    answer = watched(port, f"kill?worker={row['worker']}&serial={row['serial']}", "POST")
    assert answer["outcome"] in ("killed", "dying")
    asking.join(WATCHDOG)
    assert told in ([(504, b"The request took too long and was ended by the server.\n")], [(0, b"")])
    assert ask(port, "/")[0] == http.client.OK
