"""One place is one group in every account of a state: headline, page, text and JSON."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from pastepool.watch.groups import fill_in_waits, groups_of
from pastepool.watch.html import stacks, workers
from pastepool.watch.verdict import verdict_of
from tests.waiting import until
from tests.watch.watching import watched

SAMPLE = Path(__file__).with_name("sample-v1.json")


def row(worker: int, place: str, wait: str = "", stack: int | None = None) -> dict[str, Any]:
    """One worker, as far as groups look at it."""
    return {"worker": worker, "place": place, "wait": wait, "stack": stack}


def test_line_and_wait_make_a_group() -> None:
    """The same line and the same wait; how the workers came there does not matter."""
    rows = [
        row(1, "a.py:1 f", "blocked in recv", 0),
        row(2, "b.py:2 g", "computing", 1),
        row(3, "b.py:2 g", "computing", 2),
        row(4, "b.py:2 g", "computing", 2),
        row(5, "b.py:2 g", "waiting for a lock"),
        row(6, ""),
    ]
    assert groups_of(rows) == [
        {"id": 0, "place": "b.py:2 g", "wait": "computing", "workers": [2, 3, 4], "stack": 2},
        {"id": 1, "place": "a.py:1 f", "wait": "blocked in recv", "workers": [1], "stack": 0},
        {"id": 2, "place": "b.py:2 g", "wait": "waiting for a lock", "workers": [5], "stack": None},
    ]
    assert groups_of([]) == []


def test_unknown_wait_is_that_of_most_at_the_line() -> None:
    """A worker that was seen just outside of its system call is no group of its own."""
    rows = [row(1, "a", "x"), row(2, "a"), row(3, "a", "y"), row(4, "a", "y"), row(5, "b"), row(6, "")]
    fill_in_waits(rows)
    assert [one["wait"] for one in rows] == ["x", "y", "y", "y", "", ""]


@pytest.mark.parametrize("alone", ["computing", "blocked in recv"])
def test_every_stack_is_on_the_page_without_the_script(alone: str) -> None:
    """A worker that shares its stack, but not its group, has the stack in its row: no link leads to nothing."""
    state = json.loads(SAMPLE.read_text(encoding="utf-8"))
    sharing = [row for row in state["workers"] if row["stack"] == 0]
    sharing[0]["wait"] = alone
    state["groups"] = groups_of(state["workers"])
    page = workers(state) + stacks(state)
    assert set(re.findall('href="#(place-[0-9]+)"', page)) == set(re.findall('id="(place-[0-9]+)"', page))
    shown = {row["worker"] for row in state["workers"] if row["stack"] is not None and not row["own"]}
    in_rows = {int(row) for row in re.findall(r'data-worker="(\d+)"(?:(?!</tr>).)*class="stack"', page)}
    assert in_rows == shown


FIGURES = "used {} s of CPU in the last 1.0 s"


@pytest.mark.parametrize(
    ("doings", "said"),
    [
        (["spinning: " + FIGURES.format(0.91)], "It is in a.py:1 f, spinning: used 0.91 s of CPU in the last 1.0 s."),
        (["running: " + FIGURES.format(one) for one in (0.31, 0.32, 0.31)], "All 3 are in a.py:1 f, running."),
        (
            ["spinning: " + FIGURES.format(0.91), *("running: " + FIGURES.format(one) for one in (0.3, 0.4))],
            "All 3 are in a.py:1 f, 2 of them running.",
        ),
        (
            ["blocked in recv from 10.0.0.5:1", "blocked in recv from 10.0.0.6:1"],
            "All 2 are in a.py:1 f, blocked in recv.",
        ),
        (["blocked in recv from ::1:5432"] * 2, "All 2 are in a.py:1 f, blocked in recv from ::1:5432."),
    ],
)
def test_headline_says_what_all_do_in_whole_words(doings: list[str], said: str) -> None:
    """Figures differ from thread to thread; the sentence does not end where they begin."""
    state = json.loads(SAMPLE.read_text(encoding="utf-8"))
    rows = [
        {**state["workers"][0], "worker": at, "place": "a.py:1 f", "doing": doing} for at, doing in enumerate(doings)
    ]
    state.update(workers=rows, groups=groups_of(rows))
    assert verdict_of(state).reason == said


COUNT = 12


class Crowd:
    """Requests that come to one line on three ways, and wait there for one event."""

    def __init__(self) -> None:
        self.release = threading.Event()

    def own_line(self) -> None:
        """Wait."""
        self.release.wait(30.0)

    def first(self) -> None:
        """One way."""
        self.own_line()

    def second(self) -> None:
        """Another way."""
        self.first()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        """Serve."""
        way = int(environ["PATH_INFO"].lstrip("/")) % 3
        (self.own_line, self.first, self.second)[way]()
        start_response("200 OK", [])
        return [b""]


def test_every_account_counts_the_same_crowd() -> None:
    """Twelve workers at one line on three ways: twelve in the headline, on the page, in the text and in the JSON."""
    app = Crowd()
    limits: dict[str, Any] = {
        "threadpool_workers": COUNT,
        "threadpool_max_workers": COUNT,
        "threadpool_hung_thread_limit": "50ms",
    }
    with watched(app, **limits) as run, contextlib.ExitStack() as clients:
        try:
            for number in range(COUNT):
                clients.enter_context(run.client()).ask(f"/{number}")
            until(lambda: run.state()["pool"]["counts"]["hung"] == COUNT, "all hang")
            until(lambda: len(run.state()["groups"]) == 1, "all are at the line")
            state = run.state()
            html = run.ask("/").body.decode()
            text = run.ask("/", "Accept: text/plain").body.decode()
        finally:
            app.release.set()
    (group,) = state["groups"]
    assert len(group["workers"]) == COUNT and len(state["stacks"]) == 3
    place = group["place"]
    assert place.endswith("own_line") and group["wait"].startswith("waiting for")
    assert f"All {COUNT} are in {place}, " in html
    assert re.findall(r"<b>(\d+) threads are here</b> <code>([^<]+)", html) == [(str(COUNT), place)]
    assert len(re.findall(r'href="#place-0"', html)) == COUNT and 'id="place-0"' in html
    assert re.findall(r"(\d+) workers at ", text) == [str(COUNT)]
