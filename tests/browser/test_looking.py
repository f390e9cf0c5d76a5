"""What is behind the numbers: stacks, groups, filters, curves, events."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.page import Page
from tests.browser.stage import Stage
from tests.browser.states import counted, crowd, sample, worker

Show = Callable[[], Page]


def test_stack_unfolds(show: Show) -> None:
    """A row unfolds to its stack: own calls with their lines, the rest folded, and since when it stands still."""
    page = show()
    assert not page.visible("#detail-1")
    page.click("#worker-1 .toggle")
    assert page.js("document.querySelector('#worker-1 .toggle').getAttribute('aria-expanded')") == "true"
    assert page.text("#detail-1 .frames > li:first-child .place") == "shop/db.py:88"
    assert page.text("#detail-1 .frame.telling code") == "data = self.sock.recv(4096)"
    assert page.texts("#detail-1 .frames > .own .function") == ["Connection._fetch", "Connection.query", "report"]
    assert page.text("#detail-1 .fold summary") == "4 calls in pyramid, pastepool"
    assert not page.visible("#detail-1 .fold .frame")
    assert page.text("#detail-1 .moved") == "has not moved for 41 s"
    page.click("#detail-1 .fold summary")
    assert page.visible("#detail-1 .fold .frame.library")
    page.keep("unfolded")
    page.click("#worker-1 .toggle")
    assert not page.js("document.querySelector('#detail-1')")


def test_stack_that_moves_shows_its_new_calls(stage: Stage, show: Show) -> None:
    """Between two looks at a stack, the calls that were not there before are marked as new."""
    page = show()
    page.click("#worker-3 .toggle")
    assert page.text("#detail-3 .moved") == "moves"
    later = sample()
    stack = next(each for each in later["stacks"] if each["id"] == 1)
    fresh = {**stack["frames"][0], "line": 23, "function": "rank", "source": "return sorted(found)"}
    stack["frames"].insert(0, fresh)
    stage.send(later)
    page.until("document.querySelector('#detail-3 .frame.fresh')", "the new call")
    assert page.texts("#detail-3 .fresh .function") == ["rank"]


def test_stack_can_be_copied(show: Show) -> None:
    """The clipboard receives the stack as Python prints it, the innermost call last."""
    page = show()
    text = page.module("frames.js", "it.asTraceback(args[1])", sample()["stacks"][0]["frames"])
    lines = text.splitlines()
    assert lines[-2:] == [
        '  File "/srv/shop/shop/db.py", line 88, in Connection._fetch',
        "    data = self.sock.recv(4096)",
    ]
    assert page.visible("#stacks summary")


def test_identical_stacks_are_one_group(show: Show) -> None:
    """Threads at the same place are one line that counts them, and each is a link to its row, which unfolds."""
    page = show()
    assert page.texts("#stacks .count") == ["3 threads are here", "1 thread is here", "1 thread is here"]
    assert page.text("#stacks .who") == "blocked in recv, 2 hung, 1 zombie, the longest for 35 min 12 s"
    page.click("#stacks summary")
    assert page.texts("#stacks .groups > details:first-child .links a")[0] == "worker 1: GET /report"
    page.click("#stacks .links a")
    page.until("document.querySelector('#detail-1')", "the row of worker 1")
    assert page.js("document.activeElement.closest('tr').id") == "worker-1"


def test_rows_say_what_they_have_to(show: Show) -> None:
    """A row has number, native id, state, duration, request, client, phase, what it waits for, CPU and served."""
    page = show()
    row = page.text("#worker-1").replace("\u202f", " ")
    for text in ("1", "tid 4701", "hung", "42 s", "GET", "/report?month=11&token=***", "203.0.113.7", "running"):
        assert text in row, text
    for text in ("blocked in recv from 10.0.0.5:5432", "shop/db.py:88 Connection._fetch", "0 %", "20 412"):
        assert text in row, text
    assert "waiting for the client" in page.text("#worker-4")
    assert "98 %" in page.text("#worker-3")
    assert page.text("#worker-8 .phase") == "this page"


FOUND = [("report", [1, 2]), ("ZOMBIE", [5]), ("198.51", [3]), ("4706", [6]), ("nothing", [])]


@pytest.mark.parametrize(("typed", "left"), FOUND)
def test_filter_finds_workers(show: Show, typed: str, left: list[int]) -> None:
    """Typing leaves the workers whose path, client, place, state or number holds it."""
    page = show()
    page.write("input[type=search]", typed)
    page.until("document.querySelectorAll('tr[data-worker]').length === args[0]", "the filter", len(left))
    assert page.js("[...document.querySelectorAll('tr[data-worker]')].map((row) => Number(row.dataset.worker))") == left


def test_tile_shows_its_workers_alone(show: Show) -> None:
    """Pressing a number of the strip shows these workers alone; pressing it again, all."""
    page = show()
    page.click(".strip .status-busy .tile")
    assert page.texts("tr[data-worker] span.status") == ["busy"] * 3
    assert page.js("document.querySelector('.strip .status-busy .tile').getAttribute('aria-pressed')") == "true"
    page.click(".strip .status-busy .tile")
    assert len(page.texts("tr[data-worker]")) == 8


def test_many_idle_workers_are_one_line(stage: Stage, show: Show) -> None:
    """Idle workers beyond a few are one line, until somebody wants to see them."""
    state = sample()
    idle = worker(state, 6)
    state["workers"] += [{**copy.deepcopy(idle), "worker": number} for number in range(20, 60)]
    stage.send(state)
    page = show()
    assert not page.js("document.querySelector('tr[data-worker].status-idle')")
    assert page.text(".rest") == "Show 42 idle workers"
    page.click(".rest")
    assert len(page.texts("tr[data-worker].status-idle")) == 42


def test_strip_draws_a_cell_for_each_thread(show: Show) -> None:
    """The bar has a cell for each thread in its colour, hollow ones up to the cap, and a mark at the target."""
    page = show()
    kinds = page.js("[...document.querySelectorAll('.occupancy rect')].map((each) => each.getAttribute('class'))")
    assert kinds == [*["fill-zombie"], *["fill-hung"] * 2, *["fill-busy"] * 3, *["fill-idle"] * 2, *["free"] * 12]
    assert page.js("document.querySelector('.target').getAttribute('d')").startswith("M248.5")
    assert page.text(".figures") == "8 threads: target 5, cap 20"


def test_curves_and_histograms_speak(show: Show) -> None:
    """Every drawing that carries facts says them in words as well."""
    page = show()
    labels = page.js("[...document.querySelectorAll('svg[role=img]')].map((each) => each.getAttribute('aria-label'))")
    labels = [label.replace("\u202f", " ") for label in labels]
    assert "requests a second: now 31, highest 61 in the last 12 s" in labels
    assert "workers in use: now 5, highest 5 in the last 12 s" in labels
    application = "application: half of the requests within 4.2 ms, 95 of 100 within 178 ms, 99 within 750 ms"
    assert application in labels
    assert page.js("[...document.querySelectorAll('.histogram .bars')].every((bars) => bars.getAttribute('d') !== '')")


def test_events_keep_the_stack_of_their_moment(show: Show) -> None:
    """An event unfolds to the stack of its moment; several of a kind are one event with a number."""
    page = show()
    assert page.texts("#events .status")[:3] == ["hung", "shed ×17", "hung"]
    assert not page.js("document.querySelector('#events .frame')")
    page.click("#events summary")
    page.until("document.querySelector('#events .frame')", "the stack")
    assert page.text("#events .frame code") == "data = self.sock.recv(4096)"


def test_smaller_sections_are_complete(show: Show) -> None:
    """Backlog, slowest requests, process and settings hold what the state holds."""
    page = show()
    assert "The oldest has waited for 310 ms" in page.text("#backlog")
    assert page.texts("#backlog td.request") == ["GET /cart", "GET /"]
    assert page.texts("#slowest td.answer") == ["200", "504 killed"]
    assert "65.1 MiB, at most 66.8 MiB" in page.text("#process")
    assert "57 of 1 024" in page.text("#process")
    assert page.texts("#settings dd") == ["127.0.0.1", "8080", "5", "***"]


LISTS = ("workers", "stacks", "events", "slowest")


@pytest.mark.parametrize("kind", ["paste", "none"])
def test_foreign_server_is_said_plainly(page: Page, kind: str) -> None:
    """Under a server that is not ours the note stands at the top and what has nothing to say is not there."""
    state = sample()
    state.update(kind=kind, note="The server is not pastepool.", totals={}, **{key: [] for key in LISTS})
    state["process"].update(uptime=None, started_at=None)
    state["backlog"].update(length=0, oldest_for=None, waiting=[])
    empty: dict[str, Any] = {"count": 0, "buckets": [], **dict.fromkeys(("mean", "max", "p50", "p95", "p99"))}
    state["latency"] = dict.fromkeys(state["latency"], empty)
    state["series"].update(requests=[], busy=[], hung=[], backlog=[], limit=0)
    with Stage(state) as stage:
        page.open(stage.address)
        page.until("document.querySelector('#note').textContent !== ''", "the note")
        assert page.text("#note") == "The server is not pastepool."
        assert not page.visible("#latency")
        assert page.visible("#workers") is (kind == "paste")
        assert "NaN" not in page.js("document.body.innerText")
        page.leave()


def test_places_are_bounded(page: Page) -> None:
    """Five hundred workers at five hundred places are forty places and a number."""
    state = crowd(500)
    frame = state["stacks"][0]["frames"][0]
    state["stacks"] = [
        {"id": at, "workers": [at + 1], "telling": 0, "frames": [{**frame, "line": at}], "cut": False}
        for at in range(500)
    ]
    for at, row in enumerate(state["workers"]):
        row.update(stack=at, place=f"shop/db.py:{at} Connection._fetch")
    with Stage(counted(state)) as stage:
        page.open(stage.address)
        page.until("document.querySelector('#stacks details')", "the places")
        assert len(page.texts("#stacks .groups > details")) == 40
        assert "40 most crowded of 500 places" in page.text("#stacks")
        page.leave()


DURATIONS = {
    0: "0 ms",
    0.0004: "0.4 ms",
    0.0042: "4.2 ms",
    0.31: "310 ms",
    0.9996: "0.9 s",
    6.48: "6.4 s",
    29.99: "29 s",
    119: "119 s",
    312: "5 min 12 s",
    300: "5 min",
    8130: "2 h 15 min",
    273600: "3 d 4 h",
}


def test_durations_read_well(show: Show) -> None:
    """Durations have the two figures that matter and are never rounded up across a limit."""
    page = show()
    said = page.module("words.js", "args[1].map(it.duration)", list(DURATIONS))
    assert [text.replace("\u202f", " ") for text in said] == list(DURATIONS.values())
    assert page.module("words.js", "it.duration(null)") == "–"


def test_numbers_and_sizes_read_well(show: Show) -> None:
    """Thousands are set apart, bytes have a unit, shares are per cent, and what is not known is a dash."""
    page = show()
    calls = ("it.number(1234567)", "it.size(68251648)", "it.size(512)", "it.size(null)", "it.percent(0.984)")
    said = page.module("words.js", f"[{', '.join(calls)}]")
    assert [text.replace("\u202f", " ") for text in said] == ["1 234 567", "65.1 MiB", "512 B", "–", "98 %"]


def test_curve_has_gaps_where_nobody_measured(show: Show) -> None:
    """A curve is interrupted at null and ends at the right edge."""
    page = show()
    path = page.module("series.js", "it.trace(args[1], {top: 10, limit: 5}, false)", [1, None, 2, 3])
    assert path.count("M") == 2
    assert path.rpartition("L")[2].startswith("300.0 ")


def test_histogram_counts_every_bucket(show: Show) -> None:
    """Requests below and above the scale are in its first and last bar; a bound of null is infinity."""
    page = show()
    bars = page.module("latency.js", "it.barPath([[0, 5], [0.01, 7], [5000, 1], [null, 1]])")
    assert bars.count("M") == 3
    assert bars.startswith("M0.75 ")
