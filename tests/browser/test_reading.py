"""Who reads it, and on what: dark and light, phone and desk, eyes and ears, hostile data, five hundred workers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from pastepool.watch.verdict import verdict_of
from tests.browser.page import DESKTOP, PHONE, Page
from tests.browser.stage import CSRF, Stage
from tests.browser.states import SHOWN, State, calm, counted, crowd, sample, several, worker

Show = Callable[[], Page]
HOSTILE = "</td></script><img src=x onerror=alert(1)><script>alert(2)</script>\u202e\" ' javascript:alert(3)"
ENUMERATED = {"status", "kind", "format", "started_at", "at", "taken_at", "host"}
"""Fields whose values are words of ours, instants, or what a restart is told by."""

UPDATE_LIMIT = 200.0
"""Milliseconds of processor time that an update of five hundred rows may take, style and layout included."""

UNREADABLE = """
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (element) => {
    for (let each = element; each !== null; each = each.parentElement) {
      const colour = parts(getComputedStyle(each).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) { return colour; }
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const style = getComputedStyle(element);
    const seen = element.getClientRects().length > 0 && element.closest(':disabled, .unseen') === null;
    if (walker.currentNode.data.trim() === '' || !seen) { continue; }
    const [one, other] = [light(parts(style.color)), light(behind(element))].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    const large = parseFloat(style.fontSize) >= 24;
    if (ratio < (large ? 3 : 4.5)) {
      found.push(`${ratio.toFixed(2)} ${element.className}: ${walker.currentNode.data.slice(0, 30)}`);
    }
  }
  done([found, document.querySelectorAll('body *').length]);
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(page: Page, stage: Stage, show: Show, scheme: str) -> None:
    """Every text has the contrast of WCAG AA against what is behind it, in both schemes, with stacks open."""
    state = sample()
    worker(state, 4).update(status="dying", can_kill=False)
    worker(state, 6).update(status="retiring")
    worker(state, 7).update(status="starting")
    state["note"] = "A note, to be read as well."
    stage.send(state)
    page.prefers(scheme)
    show()
    page.click("#worker-1 .toggle")
    page.click("#stacks summary")
    page.click("#events summary")
    page.until("document.querySelector('#events .frame')", "the stack of the event")
    unreadable, elements = page.measure(UNREADABLE)
    assert elements > 300
    assert unreadable == []
    page.keep(f"desktop-{scheme}", whole=True)


def test_scheme_follows_the_system_until_the_reader_chooses(page: Page, stage: Stage, show: Show) -> None:
    """The page is dark where the system is; the button overrides it, and a reload remembers, without a flash."""
    page.prefers("dark")
    show()
    dark = page.style("body", "background-color")
    page.prefers("light")
    light = page.style("body", "background-color")
    assert dark != light
    chosen = "#actions .body > button:nth-of-type(4)"
    page.click(chosen)
    assert page.text(chosen) == "Colours: light"
    page.click(chosen)
    assert page.text(chosen) == "Colours: dark"
    assert page.style("body", "background-color") == dark
    page.open(stage.address)
    assert page.style("body", "background-color") == dark, "before any script of ours but the smallest has run"
    page.until("document.querySelector('#actions button')", "the buttons")
    page.click(chosen)
    assert page.text(chosen) == "Colours: system"
    assert page.style("body", "background-color") == light


@pytest.mark.parametrize("width", [320, PHONE[0], 414, 768, 1024, DESKTOP[0], 1920])
def test_nothing_scrolls_sideways(page: Page, stage: Stage, show: Show, width: int) -> None:
    """At every width, with a stack unfolded and a path that has no end, the page is no wider than the window."""
    state = sample()
    long = {"path": "/" + "long" * 100, "query": "q=" + "x" * 300, "place": "/srv/" + "deep/" * 40 + "file.py:1 f"}
    worker(state, 1).update(long)
    stage.send(state)
    page.size(width, 800)
    show()
    page.click("#worker-1 .toggle")
    page.click("#stacks summary")
    assert page.js("[document.documentElement.scrollWidth, innerWidth]") == [width, width]
    if width in (PHONE[0], 768):
        page.keep(f"width-{width}", whole=True)


def test_phone_shows_all_of_a_worker(page: Page, show: Show) -> None:
    """On a phone a worker is a card with everything a row has, and everything can be pressed with a thumb."""
    page.size(*PHONE, scale=2)
    show()
    for part in (".status", ".for", ".path", ".doing", ".client", ".cpu", ".served", ".toggle", ".kill"):
        assert page.visible(f"#worker-1 {part}"), part
    assert page.js("document.querySelector('#worker-1 .kill').getBoundingClientRect().height") >= 24
    page.click("#worker-1 .toggle")
    assert page.visible("#detail-1 .frame")
    page.keep("phone")


def test_markup_is_accessible(show: Show) -> None:
    """Tables have captions and scopes, sections names, pictures words, ids no twins, headings no gaps."""
    page = show()
    page.click("#worker-1 .toggle")
    all_of = "[...document.querySelectorAll(args[0])]"
    assert page.js(f"{all_of}.every((table) => table.caption?.textContent)", "table")
    assert page.js(f"{all_of}.length > 10 && {all_of}.every((cell) => cell.scope)", "th")
    name_of = "document.getElementById(each.getAttribute('aria-labelledby'))?.textContent"
    unnamed = f"{all_of}.filter((each) => !(each.getAttribute('aria-label') || {name_of})).map((each) => each.id)"
    assert page.js(unnamed, "section, dialog") == []
    assert page.js(f"{all_of}.every((each) => each.getAttribute('aria-label') ?? each.alt)", "svg[role=img], img")
    assert page.js(f"{all_of}.every((each) => each.matches('[role=img], [aria-hidden=true]'))", "svg")
    ids = page.js(f"{all_of}.map((each) => each.id)", "[id]")
    assert len(ids) == len(set(ids))
    levels = page.js(f"{all_of}.map((each) => Number(each.tagName[1]))", "main h2, main h3, h1")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert page.js(f"{all_of}.every((each) => each.textContent || each.getAttribute('aria-label'))", "button")
    assert page.js(f"{all_of}.every((each) => each.labels.length > 0)", "input:not([type=hidden])")
    assert page.js("document.documentElement.lang") == "en"


def test_status_is_never_colour_alone(show: Show) -> None:
    """Each status has its word and a mark of its own shape."""
    page = show()
    shape = "((s) => [s.clipPath, s.borderTopStyle, s.borderRadius].join())(getComputedStyle(each, '::before'))"
    all_tiles = "[...document.querySelectorAll('.strip li:not([hidden]) .status')]"
    tiles = page.js(f"{all_tiles}.map((each) => [each.textContent, {shape}])")
    assert [word for word, _ in tiles] == ["idle", "busy", "hung", "dying", "zombie"]
    assert len({mark for _, mark in tiles}) == 5


def hung_in(*doings: str) -> State:
    """The example with so many hung workers in one place, each with something else to do."""
    state = crowd(len(doings))
    for row, doing in zip(state["workers"], doings, strict=True):
        row.update(status="hung", doing=doing, place="shop/db.py:88 fetch", stack=0)
    state["stacks"] = [{**state["stacks"][0], "workers": [row["worker"] for row in state["workers"]]}]
    return counted(state)


def without_anybody_free() -> State:
    """Every worker busy, and requests that wait."""
    state = crowd(4)
    for row in state["workers"]:
        row["status"] = "busy"
    return counted(state)


VERDICTS: dict[str, Callable[[], State]] = {
    "stuck": sample,
    "calm": calm,
    "crowd": lambda: crowd(40),
    "full": without_anybody_free,
    "different peers": lambda: hung_in("blocked in recv from 10.0.0.5:1", "blocked in recv from 10.0.0.6:1"),
    "different figures": lambda: hung_in(
        *(f"running: used 0.{one} s of CPU in the last 1.0 s" for one in (31, 32, 31))
    ),
    "mixed figures": lambda: hung_in("spinning: used 0.91 s of CPU in the last 1.0 s", *2 * ("running: used 0.1 s",)),
    "alike": lambda: hung_in("waiting for a lock", "waiting for a lock"),
    "nothing known": lambda: hung_in("", ""),
    "one": lambda: hung_in("spinning"),
    "no pool": lambda: {**sample(), "kind": "none"},
    "several": several,
    "one silent": lambda: several(silent_for=12.5, silent_since=SHOWN["since"], stacks="File"),
    "one stands still": lambda: several(state="stuck"),
    "none serves": lambda: {**several(), "processes": [{**SHOWN, "state": "booting"}]},
}


@pytest.mark.parametrize("name", list(VERDICTS))
def test_server_and_script_say_the_same_sentence(show: Show, name: str) -> None:
    """What a browser without JavaScript reads first is what the script writes: headline, reason and mood."""
    state = VERDICTS[name]()
    told = verdict_of(state)
    said = show().module("strip.js", "it.verdict(args[1])", state)
    plain = {key: text.replace("\u202f", " ") for key, text in said.items()}
    assert plain == {"headline": told.headline, "reason": told.reason, "mood": told.mood}


def test_keyboard_reaches_everything_and_is_seen(show: Show) -> None:
    """The tabulator goes through skip link, buttons, tiles, filter and rows; each shows that it has the focus."""
    page = show()
    seen = []
    for _ in range(16):
        page.press("TAB")
        seen.append(page.js("((each) => [each.tagName, each.className, each.type ?? ''])(document.activeElement)"))
        outline = page.js("((s) => s.outlineStyle + s.outlineWidth)(getComputedStyle(document.activeElement))")
        assert outline == "solid2px", seen[-1]
    assert seen[0][:2] == ["A", "skip"]
    assert ["INPUT", "", "search"] in seen
    assert ["BUTTON", "toggle", "button"] in seen
    assert ["BUTTON", "kill", "button"] in seen


def test_motion_is_reduced_on_request(page: Page, stage: Stage, show: Show) -> None:
    """A row that changes flashes, except for a reader who asked for stillness."""
    show()
    later = sample()
    worker(later, 3)["status"] = "hung"
    stage.send(later)
    page.until("document.querySelector('#worker-3.changed')", "the change")
    assert page.style("#worker-3", "animation-name") == "changed"
    page.prefers("light", motion="reduce")
    assert page.style("#worker-3", "animation-name") == "none"
    assert page.style(".toggle", "transition-duration") == "0s"


def hostile(value: Any, name: str = "") -> Any:
    """The same with every free text replaced by one that attacks."""
    if isinstance(value, dict):
        return {key: hostile(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [hostile(each, name) for each in value]
    return HOSTILE if isinstance(value, str) and name not in ENUMERATED else value


def test_hostile_texts_stay_texts(page: Page) -> None:
    """Markup in any field of the state is shown as it is written: nothing becomes an element, runs, or is asked for."""
    state = hostile(sample())
    state["kind"] = "pastepool"
    with Stage(state) as stage:
        page.open(stage.address)
        page.until("document.querySelector('tr[data-worker]')", "the table")
        before = page.js("document.querySelectorAll('script').length")
        page.click("#worker-1 .toggle")
        page.click("#stacks summary")
        page.click("#events summary")
        page.click("#worker-1 button.kill")
        shown = "#note, #worker-1 .path, #detail-1 dd, #detail-1 code, #stacks .place, #events .text, dialog .request"
        for selector in shown.split(", "):
            assert HOSTILE in page.text(selector), selector
        assert page.js("document.querySelectorAll('script').length") == before == 2
        assert page.js("document.querySelectorAll('img').length") == 1, "the flame graph's own"
        assert page.js("[...document.querySelectorAll('a[href]')].every((each) => !each.href.startsWith('javascript'))")
        page.leave()


def test_everything_comes_from_the_server_itself(show: Show) -> None:
    """Not one byte is loaded from anywhere else, and the policy that forbids it is in force."""
    page = show()
    origins = page.js("[...new Set(performance.getEntriesByType('resource').map((each) => new URL(each.name).origin))]")
    assert origins == [page.js("location.origin")]
    blocked = page.measure("fetch('https://example.invalid/').then(() => done('let through'), () => done('stopped'))")
    assert blocked == "stopped"
    assert [line for line in page.console() if "Content Security Policy" not in line] == []
    assert page.js("document.querySelector('meta[name=pastepool-csrf]').content") == CSRF


def test_five_hundred_workers_are_updated_in_time(page: Page, record_property: Callable[[str, object], None]) -> None:
    """Updates of five hundred busy rows, with a new order each, hold the page up for less than a fifth of a second."""
    with Stage(crowd(500), every=60, stream=True) as stage:
        page.open(stage.address)
        page.until("document.querySelectorAll('tr[data-worker]').length === 500", "the rows")
        page.js("document.querySelector('#worker-250').marked = true")
        page.js(
            "(() => { window.draws_ = [];"
            " new PerformanceObserver((list) => draws_.push(...list.getEntries().map((each) => each.duration)))"
            ".observe({type: 'measure'}); })()"
        )
        worked = [page.worked_for()]
        for second in range(1, 6):
            state = crowd(500, second=second)
            stage.send(state)
            page.until("draws_.length >= args[0]", f"update {second}", second)
            served = "document.querySelector('#worker-7 .served').textContent"
            page.until(f"{served}.endsWith(args[0])", "row 7", f"00{second}")
            worked.append(page.worked_for())
        took = [after - before for before, after in pairwise(worked)]
        record_property("milliseconds in the script, by the clock", [round(each) for each in page.js("draws_")])
        record_property("milliseconds of processor time", [round(each) for each in took])
        assert len(page.js("draws_")) == 5
        assert all(0 < each < UPDATE_LIMIT for each in took), took
        assert page.js("document.querySelector('#worker-250').marked") is True
        page.keep("five-hundred")
        page.leave()


def test_reordering_moves_as_few_rows_as_can_be(show: Show) -> None:
    """What stays in place is the longest rising part of the list; new rows, which were nowhere, never belong to it."""
    page = show()
    lists = [[], [0, 1, 2], [2, 0, 1, 3], [3, 2, 1], [-1, 5, -1, 6, 0]]
    staying = page.module("keyed.js", "args[1].map((values) => [...it.longestRising(values)].sort())", lists)
    assert staying == [[], [0, 1, 2], [1, 2, 3], [2], [1, 3]]
