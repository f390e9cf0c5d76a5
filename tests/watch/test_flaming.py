"""The flame graph of the running pool: what it sees, what it costs, and that it ends."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from pastepool.core.ownership import own_file
from pastepool.core.telling.report import CodePlace
from pastepool.watch.flaming import applications_part
from tests.server.serving import plain
from tests.watch.watching import Watched, form, until, watched


def draw(run: Watched) -> None:
    """Have a graph drawn of a tenth of a second, which the page does not offer, and wait for it."""
    assert not run.state()["flame"]["ready"]
    server_view = run.server.parts.paste_pool.server_view
    assert server_view is not None and server_view.common["watch"].flames.start(0.1, 0)
    until(lambda: run.state()["flame"]["ready"], "it is drawn")


class Spinning:
    """An application that computes until it is told to stop."""

    def __init__(self) -> None:
        self.stop = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        deadline = time.monotonic() + 20.0
        self.turn_a_wheel(deadline)
        start_response("200 OK", [])
        return [b"done\n"]

    def turn_a_wheel(self, deadline: float) -> None:
        while not self.stop.is_set() and time.monotonic() < deadline:
            pass


@pytest.fixture
def spinning() -> Iterator[Watched]:
    """A server with one request that computes."""
    app = Spinning()
    with watched(app, threadpool_workers=2) as run, run.client() as client:
        client.ask("/")
        until(lambda: run.busy(), "it runs")
        yield run
        app.stop.set()
        client.response()


def test_graph_shows_where_the_time_goes(spinning: Watched) -> None:
    """The application's calls are boxes, the server's and the threads' first calls are not."""
    draw(spinning)
    told = spinning.state()["flame"]
    assert told["title"].startswith("all workers for 0.1 s: ") and 0 <= told["cost_share"] < 1
    picture = spinning.ask("/flame.svg")
    assert picture.fields["content-type"].startswith("image/svg+xml")
    text = picture.body.decode()
    ElementTree.fromstring(text)
    assert "turn_a_wheel" in text and "_take_turns" not in text and "bootstrap" not in text
    assert b'src="flame.svg"' in spinning.ask("/").body


def test_one_graph_at_a_time(spinning: Watched) -> None:
    """A second one is refused while the first is drawn, what remains is told, and a stop ends it."""
    status, said = spinning.post("flame", seconds=60)
    assert (status, said["outcome"]) == (202, "started")
    status, said = spinning.post("flame", seconds=5)
    assert (status, said["outcome"]) == (409, "running")
    told = json.loads(spinning.ask("/api/v1/flame").body)
    assert told["running"] and told["seconds"] == 60 and 50 < told["left"] <= 60
    assert b"Looking for" in spinning.ask("/").body


@pytest.mark.parametrize("seconds", ["", "4", "600", "-5", "x", "5.0"])
def test_only_three_lengths_are_offered(spinning: Watched, seconds: str) -> None:
    """Nobody can have the server looked at for hours."""
    assert spinning.post("flame", seconds=seconds)[0] == 400


def test_form_without_script_works_too(spinning: Watched) -> None:
    """A plain form answers with a page."""
    response = spinning.ask("/flame", method="POST", body=form(csrf=spinning.csrf(), seconds=5, worker=1))
    assert response.status == 202 and b"Looking at worker 1 for 5 s." in response.body


def test_graph_of_an_idle_pool_is_empty() -> None:
    """Nobody ran anything: a picture without boxes."""
    with watched(plain(), threadpool_workers=1) as run:
        assert run.ask("/flame.svg").status == 404
        draw(run)
        assert b"<rect" in run.ask("/flame.svg").body and b"<g>" not in run.ask("/flame.svg").body


def test_looking_costs_two_hundredths_of_a_processor_at_most(
    spinning: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a look takes ten milliseconds the next one comes half a second later; what it cost is told."""
    taken = itertools.count()
    monkeypatch.setattr("pastepool.watch.flaming.time", SimpleNamespace(thread_time=lambda: 0.01 * next(taken)))
    draw(spinning)
    told = spinning.state()["flame"]
    assert told["title"].startswith("all workers for 0.1 s: 1 look, ")
    assert 0 < told["cost_share"] <= 0.1, "one look of 10 ms in 100 ms"


def test_applications_part_is_cut_out() -> None:
    """What is below the application is left out; a worker in the server's own code is one call of it."""
    server = [CodePlace(own_file(f"{module}.py"), 1, "run") for module in ("wsgi/call", "runtime/pool/worker")]
    lock = CodePlace("/usr/lib/python3.11/threading.py", 1, "wait")
    own = CodePlace("/srv/app.py", 1, "view")
    assert applications_part((lock, own, *server)) == (lock, own)
    assert list(applications_part((lock, *server))) == [server[0]]
    assert list(applications_part(tuple(server))) == [server[0]]
    assert applications_part((own,)) == (own,) and applications_part(()) == ()
