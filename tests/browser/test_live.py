"""The page as time goes by: states that change, a server that falls silent, a reader who wants it to stand still."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.browser.page import Page
from tests.browser.stage import Stage
from tests.browser.states import calm, crowd, sample, worker

Show = Callable[[], Page]
HUNG_ROW = "document.querySelector('#worker-1.status-hung')"


@pytest.mark.parametrize("stream", [False, True], ids=["polling", "streaming"])
def test_request_that_hangs_turns_red(page: Page, stream: bool) -> None:
    """A worker that becomes hung turns red by itself: in its row, the numbers, the headline, the title and the icon."""
    with Stage(calm(), stream=stream) as stage:
        page.open(stage.address)
        page.until("document.querySelector('#worker-1.status-idle')", "the idle row")
        assert page.text(".headline") == "Nothing hangs"
        before = page.style("#worker-1", "background-color")
        stage.send(sample())
        page.until(HUNG_ROW, "the hung row")
        assert page.text("#worker-1 span.status") == "hung"
        assert reddish(page.style("#worker-1 span.status", "color"))
        assert page.style("#worker-1", "background-color") != before
        assert page.text(".headline") == "2 hung, 1 zombie of 8 threads"
        where, what = "shop/db.py:88 Connection._fetch", "blocked in recv from 10.0.0.5:5432"
        assert page.text(".reason") == f"All 3 are in {where}, 2 of them {what}."
        assert page.text(".strip li.status-hung b") == "2"
        assert page.js("document.title") == "2 hung, 1 zombie - watch_threads on web1"
        assert page.js("document.getElementById('icon').getAttribute('href')") == "static/icon-hung.svg"
        assert page.text(".live").startswith("streaming" if stream else "live")
        page.leave()


def test_change_is_announced(stage: Stage, show: Show) -> None:
    """A polite live region says who hangs, and when nobody does any more, and says nothing at the first look."""
    page = show()
    live = "[aria-live=polite]"
    assert page.text(live) == ""
    stage.send(calm())
    page.until("document.querySelector('[aria-live=polite]').textContent !== ''", "the relief")
    assert page.text(live) == "No worker hangs any more."
    stage.send(sample())
    page.until("document.querySelector('[aria-live=polite]').textContent.includes('is hung')", "the alarm")
    assert "worker 2 is hung: GET /report; worker 5 is zombie: POST /import" in page.text(live)


def test_many_changes_are_announced_as_a_number(page: Page) -> None:
    """Twenty workers that hang at once are one sentence with a number, not twenty names."""
    with Stage(calm()) as stage:
        page.open(stage.address)
        page.until("document.querySelector('#worker-1.status-idle')", "the idle row")
        stage.send(crowd(40))
        page.until("document.querySelector('[aria-live=polite]').textContent !== ''", "the alarm")
        assert re.search(r"\d\d workers are hung", page.text("[aria-live=polite]"))
        page.leave()


def test_stream_that_breaks_is_replaced_by_questions(page: Page) -> None:
    """When the stream ends the page goes on by asking, and shows what came meanwhile."""
    with Stage(calm(), stream=True) as stage:
        page.open(stage.address)
        page.until("document.querySelector('.live.live')?.textContent.startsWith('streaming')", "the stream")
        assert stage.asked == 0
        stage.closing = True
        stage.send(sample())
        page.until(HUNG_ROW, "the hung row")
        page.until("document.querySelector('.live').textContent.startsWith('live')", "polling")
        assert stage.asked > 0
        page.leave()


def test_silent_server_is_told_and_forgiven(stage: Stage, show: Show) -> None:
    """While the server gives no state the page says so and keeps the last one; then it goes on by itself."""
    page = show()
    page.noise = re.compile("503")
    stage.refusal = 503
    page.until("document.querySelector('.live.lost')", "the warning")
    assert page.text(".live").startswith("the server answered 503; this was")
    assert page.js("document.title").startswith("? ")
    assert page.visible("#worker-1")
    page.keep("lost")
    stage.refusal = 0
    page.until("document.querySelector('.live.live') && !document.title.startsWith('?')", "the way back")


def test_paused_page_stands_still(stage: Stage, show: Show) -> None:
    """Paused, the page asks nothing and changes nothing; then it shows what is."""
    page = show()
    page.click("#actions button[aria-pressed]")
    assert page.text(".live").startswith("paused at")
    asked = stage.asked
    stage.send(calm())
    page.measure("setTimeout(done, args[0])", 3 * 1000 * stage.every)
    assert stage.asked <= asked + 1, "one question may have been on its way"
    assert page.js(HUNG_ROW) is not None
    page.click("#actions button[aria-pressed]")
    page.until("document.querySelector('#worker-1.status-idle')", "the present")
    assert page.text("#actions button[aria-pressed]") == "Pause"


def test_rows_keep_their_elements_their_focus_and_what_is_unfolded(stage: Stage, show: Show) -> None:
    """An update touches no element that stays: a mark, the focus and an unfolded stack survive a new order."""
    page = show()
    page.click("#worker-3 .toggle")
    page.js("document.querySelector('#worker-3').marked = true")
    page.click("#detail-3 .fold summary")
    page.js("document.querySelector('#worker-3 .toggle').focus()")
    later = sample()
    later["workers"].reverse()
    worker(later, 3)["served"] = 4711
    stage.send(later)
    page.until("document.querySelector('#worker-3 .served').textContent.replace(/\\D/g, '') === '4711'", "the update")
    assert page.js("document.querySelector('#worker-3').marked") is True
    assert page.js("document.activeElement.closest('tr').id") == "worker-3"
    assert page.js("document.querySelector('#detail-3 .fold details').open") is True
    shown = page.js("[...document.querySelectorAll('tr[data-worker]')].map((row) => Number(row.dataset.worker))")
    busy = [row["worker"] for row in later["workers"] if row["status"] != "idle"]
    assert shown == [*busy, 6, 7], "as the server has it, the idle ones by number"


def test_worker_that_has_gone_takes_its_row_with_it(stage: Stage, show: Show) -> None:
    """A worker that is no longer there has no row any more, and a new one has one."""
    page = show()
    later = sample()
    worker(later, 3).update(worker=12, name="pastepool worker 12")
    stage.send(later)
    page.until("document.querySelector('#worker-12')", "the new row")
    assert not page.js("document.querySelector('#worker-3')")


def test_new_process_reloads_the_page(stage: Stage, show: Show) -> None:
    """After a restart the page loads itself again, because what proves that it is the process's own has changed."""
    page = show()
    page.js("window.before = true")
    later = sample()
    later["process"].update(pid=5000, uptime=2.0)
    stage.send(later)
    page.comes_to("window.before !== true && document.querySelector('tr[data-worker]')", "the new page")


def test_session_that_has_ended_leads_to_the_login(stage: Stage, show: Show) -> None:
    """When the server asks for the token again the page loads itself, which shows the form."""
    page = show()
    page.noise = re.compile("401")
    page.js("window.before = true")
    stage.refusal = 401
    page.comes_to("window.before !== true", "the new page")
    stage.refusal = 0
    page.comes_to("document.querySelector('tr[data-worker]')", "the page itself")


def reddish(colour: str) -> bool:
    """Whether a computed colour is clearly red."""
    red, green, blue = (int(part) for part in re.findall(r"\d+", colour)[:3])
    return red > 150 and green < red / 2 and blue < red / 2
