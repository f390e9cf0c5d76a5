"""The page and the JSON look the same above our own server and above the servers of others, but for the host's name."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cheroot", reason="cheroot is not installed")
pytest.importorskip("flup", reason="flup is not installed")
pytest.importorskip("twisted", reason="Twisted is not installed")

from tests.adapters import scgi
from tests.adapters.clients import connect
from tests.adapters.programs import running
from tests.meta.repository import ROOT
from tests.server.fronts import free_port
from tests.waiting import PROGRAM_WATCHDOG, until

TOKEN = "t" * 20

APPLICATION = """
import threading
from pastepool.entrypoints import watch_threads

page = watch_threads(token={token!r}, allow_kill="true")
def application(environ, start_response):
    if environ["PATH_INFO"].startswith("/threads"):
        environ["SCRIPT_NAME"], environ["PATH_INFO"] = "/threads", environ["PATH_INFO"][8:]
        return page(environ, start_response)
    if environ["PATH_INFO"] == "/hang":
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"up"]
"""
"""It is one file for all hosts, so that all stacks name the same place."""

START = """
import sys
sys.path[:0] = [{folder!r}, {root!r}]
from shop import application

port, pool = {port}, dict(max_workers=8, hung_thread_limit=0.3, kill_thread_limit=600)
"""

HOSTS = {
    "pastepool": """
from pastepool import ServerThread
options = dict(("threadpool_" + key, value) for key, value in pool.items())
server = ServerThread(dict(options, port=port, threadpool_workers=2, threadpool_spawn_if_under=2), application)
server.start()
server.wait()
""",
    "cheroot": """
from pastepool.adapters.cheroot import Server
Server(("127.0.0.1", port), application, numthreads=2, max=2, **pool).start()
""",
    "twisted": """
from pastepool.adapters.twisted import ThreadPool
from twisted.internet import reactor
from twisted.web.server import Site
from twisted.web.wsgi import WSGIResource
threads = ThreadPool(2, 2, "twisted", **pool)
threads.serve(reactor)
reactor.listenTCP(port, Site(WSGIResource(reactor, threads, threads.wrap(application))), interface="127.0.0.1")
reactor.run()
""",
    "flup": """
from flup.server.scgi import WSGIServer
from pastepool.adapters.flup import on_our_pool
on_our_pool(WSGIServer)(
    application, scriptName="", bindAddress=("127.0.0.1", port), minSpare=2, maxSpare=2, maxThreads=2, **pool
).run()
""",
}


OWN = {
    "for", "ran_for", "kill_in", "unmoved_for", "cpu_share", "sentence", "serial", "worker", "name", "native_id", "stack",
    "request", "served", "doing",
}  # fmt: skip
"""What of a row is another each time that one looks."""

LIMITS = ("workers", "max_workers", "hung_after", "kill_after", "dying_for", "max_zombies", "draining", "condemned")

GIVEN = {"Authorization": f"Bearer {TOKEN}", "Host": "127.0.0.1"}


class Host:
    """One of the programs, with a request that hangs in it."""

    def __init__(self, name: str, folder: Path, leave: contextlib.ExitStack) -> None:
        self.name = name
        self.port = free_port()
        start = START.format(folder=str(folder), root=str(ROOT), port=self.port)
        self.program = leave.enter_context(running("-c", start + HOSTS[name]))
        self._leave = leave

    def hang(self) -> None:
        """Wait until it serves, then have a request hang, and wait until it counts as hung."""
        until(lambda: self.get("/") == "up", f"{self.name} answers: {self.program.said()}", PROGRAM_WATCHDOG)
        if self.name == "flup":
            self._leave.enter_context(scgi.send(self.port, "/hang"))
        else:
            connection = self._leave.enter_context(contextlib.closing(connect(self.port)))
            connection.request("GET", "/hang")
        until(lambda: self.state()["pool"]["counts"]["hung"] == 1, "it hangs", PROGRAM_WATCHDOG)

    def get(self, path: str) -> str:
        """Ask for a path, and return the content."""
        if self.name == "flup":
            fields = {f"HTTP_{name.upper()}": value for name, value in GIVEN.items()}
            return scgi.ask(self.port, path, fields).decode()
        try:
            with contextlib.closing(connect(self.port)) as connection:
                connection.request("GET", path, headers=GIVEN)
                return connection.getresponse().read().decode()
        except OSError:
            return ""

    def got(self, path: str) -> str:
        """Ask until there is an answer: flup closes the connection where no thread is free."""
        answers: list[str] = []

        def asked() -> str:
            answers.append(self.get(path))
            return answers[-1]

        until(asked, f"{self.name} answers {path}", PROGRAM_WATCHDOG)
        return answers[-1]

    def state(self) -> Any:
        """Return the JSON."""
        return json.loads(self.got("/threads/api/v1/state"))


def shape(value: Any) -> Any:
    """Return the names in a JSON value, and of a list those of its first item."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value and isinstance(value[0], dict) else None


def parts_of(page: str, host: str) -> list[str]:
    """
    Return what a person sees of the page besides its numbers: headings, words of tables and lists, and the places of
    frames of the application. Settings are left out, because each program has other ones, and the host's name.
    """
    page = page.partition('id="settings"')[0].replace(f" under {host},", ",")
    found = re.findall(r"<(?:h\d|th|dt|caption|summary)\b[^>]*>(.*?)</", page) + re.findall(
        r'data-label="([^"]*)"', page
    )
    found += re.findall(r'class="frame own[^"]*"><span[^>]*>(.*?)</span>', page) + re.findall(
        r"<dd>(pastepool .*?)</dd>", page
    )
    words = {re.sub(r"<[^>]*>", "", one) for one in found} - {"content length"}  # some tell an empty one
    return sorted(word for word in words if not re.search(r"\d+ calls? in|\d ms|\d s", word))


def test_page_and_json_of_four_hosts(folder: Path) -> None:
    """
    With a request that hangs: the same names in the JSON, the same row, group, events and counts; the same words on
    the page. Only our own server knows its connections, and each names its own settings.
    """
    (folder / "shop.py").write_text(APPLICATION.format(token=TOKEN))
    with contextlib.ExitStack() as leave:
        hosts = [Host(name, folder, leave) for name in HOSTS]
        for host in hosts:
            host.hang()
        states = {host.name: host.state() for host in hosts}
        pages = {host.name: parts_of(host.got("/threads/"), host.name) for host in hosts}
    ours = states["pastepool"]
    assert pages["pastepool"] and any("shop.py" in words for words in pages["pastepool"])
    for name, state in states.items():
        assert state["host"] == name
        assert shape(state | {"events": []}) == shape(ours | {"events": []})
        assert {key: state["pool"][key] for key in LIMITS} == {key: ours["pool"][key] for key in LIMITS}
        (row,), (our_row,) = ([one for one in each["workers"] if one["status"] == "hung"] for each in (state, ours))
        assert {key: row[key] for key in row.keys() - OWN} == {key: our_row[key] for key in our_row.keys() - OWN}
        assert dict(row["request"]).keys() - dict(our_row["request"]).keys() == set()
        assert [one | {"workers": []} for one in state["groups"]] == [one | {"workers": []} for one in ours["groups"]]
        assert {"spawned", "hung"} <= {one["kind"] for one in state["events"]}
        assert {key for key, _ in state["settings"]} <= {key for key, _ in ours["settings"]}
        assert (state["connections"]["open"] is None) is (name != "pastepool")
        assert pages[name] == pages["pastepool"], name
