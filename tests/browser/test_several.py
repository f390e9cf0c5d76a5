"""The page of a server with several processes: which there are, whose each thread is, and where a kill goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pastepool.watch.merging import WORKERS_OF_ONE
from tests.browser.page import Page
from tests.browser.stage import Stage
from tests.browser.states import SHOWN, sample, several

Show = Callable[[], Page]


def test_processes_stand_above_the_threads(stage: Stage, show: Show) -> None:
    """One row for each; the stacks of one that does not answer are behind it."""
    stage.state = several(silent_for=12.5, silent_since=SHOWN["since"], stacks='File "shop.py", line 7 in report')
    page = show()
    rows = "document.querySelectorAll('#processes tbody tr')"
    page.until(f"{rows}.length === 2", "both are shown")
    assert page.visible("#processes h2")
    assert "does not answer since 12" in page.text("#processes tbody tr:nth-child(2)")
    assert page.js(f"{rows}[1].querySelector('pre').textContent") == 'File "shop.py", line 7 in report'
    assert page.text(".headline") == "1 of 2 processes does not answer"
    above = "document.querySelector('#processes').compareDocumentPosition(document.querySelector('#workers'))"
    assert page.js(f"{above} === Node.DOCUMENT_POSITION_FOLLOWING")


def test_mold_stands_below_the_processes(stage: Stage, show: Show) -> None:
    """As soon as there is one, while the page is open; and it goes with its generation."""
    stage.state = several()
    page = show()
    rows = "document.querySelectorAll('#processes tbody tr')"
    page.until(f"{rows}.length === 2", "both processes are shown")
    mold = {"pid": 4700, "generation": 3, "state": "forking", "since": SHOWN["since"], "for": 2.5, "memory": 64 << 20}
    stage.state = {**several(), "molds": [mold]}
    page.until(f"{rows}.length === 3", "the mold is shown")
    cells = page.js(f"[...{rows}[2].cells].map((cell) => cell.innerText.trim())")
    assert cells == ["mold", "4700", "3", "forking", "2.5\u202fs", "\u2013", "\u2013", "64.0\u202fMiB", "\u2013", ""]
    stage.state = several()
    page.until(f"{rows}.length === 2", "it has gone")


def test_kill_names_the_process(stage: Stage, show: Show) -> None:
    """The question has the number for people, the form that of the page."""
    stage.state = several()
    page = show()
    number = 5 * WORKERS_OF_ONE + 1
    page.click(f"#worker-{number} button.kill")
    assert page.text("dialog h2") == "Kill the request of worker 2.1?"
    page.click("dialog .danger")
    page.until("!document.querySelector('.toast .box').hidden", "the answer")
    name, form = stage.posted[-1]
    told: dict[str, Any] = {key: form[key] for key in ("worker", "serial", "slot", "pid")}
    serial = next(row["serial"] for row in sample()["workers"] if row["worker"] == 1)
    assert (name, told) == ("kill", {"worker": str(number), "serial": str(serial), "slot": "2", "pid": "4712"})


def test_server_with_one_process_shows_none(stage: Stage, show: Show) -> None:
    """The section is there, and nobody sees it."""
    page = show()
    page.until("document.querySelectorAll('.workers tr').length > 2", "the page is drawn")
    assert not page.visible("#processes h2")
