"""What a reader can do from the page: kill one request, dump, reset, draw a flame graph, leave."""

from __future__ import annotations

from collections.abc import Callable

from tests.browser.page import Page
from tests.browser.stage import CSRF, Stage
from tests.browser.states import sample, worker
from tests.waiting import PROGRAM_WATCHDOG

Show = Callable[[], Page]


def posted(stage: Stage) -> tuple[str, dict[str, str]]:
    """The form that came, waited for."""
    with stage.changed:
        assert stage.changed.wait_for(lambda: stage.posted, PROGRAM_WATCHDOG), "nothing was posted"
        return stage.posted[-1]


def test_kill_names_the_request_and_asks(stage: Stage, show: Show) -> None:
    """The question names request, client, duration and place; the focus is on the way out, and Escape kills nobody."""
    page = show()
    page.click("#worker-1 button.kill")
    assert page.js("document.querySelector('dialog').open")
    assert page.text("dialog h2") == "Kill the request of worker 1?"
    assert page.text("dialog .request") == "GET /report?month=11&token=***"
    assert "From 203.0.113.7, running for 42 s, now in shop/db.py:88" in page.text("dialog")
    assert page.js("document.activeElement.textContent") == "Let it run"
    page.keep("kill")
    page.press("ESCAPE")
    assert not page.js("document.querySelector('dialog').open")
    assert stage.posted == []


def test_kill_is_aimed_at_the_request_that_was_seen(stage: Stage, show: Show) -> None:
    """The form carries worker, serial and the process's proof, in the body and in a header, and the answer is told."""
    page = show()
    page.click("#worker-2 button.kill")
    page.click("dialog .danger")
    assert posted(stage) == ("kill", {"worker": "2", "serial": "81240", "csrf": CSRF, "header": CSRF})
    page.until("!document.querySelector('.toast .box').hidden", "the answer")
    assert page.text(".toast p") == "It is gone."
    assert not page.js("document.querySelector('.toast .box').classList.contains('bad')")
    page.click(".toast button")
    assert not page.visible(".toast .box")


def test_refused_kill_is_told_as_such(stage: Stage, show: Show) -> None:
    """A refusal is shown with the server's own sentence."""
    stage.answer = (409, {"ok": False, "outcome": "finished", "text": "That request had ended before."})
    page = show()
    page.click("#worker-1 button.kill")
    page.noise = None
    page.click("dialog .danger")
    page.until("document.querySelector('.toast .box.bad')", "the refusal")
    assert page.text(".toast p") == "That request had ended before."
    assert [line for line in page.console() if "409" not in line] == []


def box(page: Page) -> str:
    """The colour of the message: ``bad``, ``waiting``, or empty for a good one."""
    classes: str = page.js("document.querySelector('.toast .box').className")
    return classes.removeprefix("box").strip()


def kill_that_is(stage: Stage, page: Page, outcome: str) -> None:
    """Ask for the kill of worker 2's request, which is answered 202."""
    stage.answer = (202, {"ok": True, "outcome": outcome, "text": f"It is {outcome}."})
    page.click("#worker-2 button.kill")
    page.click("dialog .danger")
    page.until("document.querySelector('.toast p')?.textContent === args[0]", "the answer", f"It is {outcome}.")
    assert box(page) == "waiting"


def test_message_follows_a_kill_that_has_no_effect_yet(stage: Stage, show: Show) -> None:
    """It is not green while the request still runs, red when it has become a zombie, and green when it has ended."""
    page = show()
    kill_that_is(stage, page, "dying")
    seen = []
    for status in ("dying", "zombie", ""):
        later = sample()
        row = worker(later, 2)
        row.update(status=status, **{"for": 7.0})
        if not status:
            later["workers"].remove(row)
        stage.send(later)
        words = {"dying": "not ended yet", "zombie": "counts as a zombie", "": "has ended."}[status]
        page.until("document.querySelector('.toast p').textContent.includes(args[0])", status, words)
        seen.append((box(page), page.text(".toast p").partition(":")[0]))
    assert [colour for colour, _ in seen] == ["waiting", "bad", ""]
    assert [start for _, start in seen][1:] == ["Not killed", "Killed"]


def test_kill_of_a_request_that_ends_by_itself_is_not_told_as_a_kill(stage: Stage, show: Show) -> None:
    """The kill found no place to land, and then the request was over: the message says that nobody was killed."""
    page = show()
    kill_that_is(stage, page, "pending")
    later = sample()
    worker(later, 2)["serial"] = 99999
    stage.send(later)
    page.until("document.querySelector('.toast .box.bad')", "the end of the request")
    assert page.text(".toast p").startswith("Not killed: ") and "by itself" in page.text(".toast p")


def test_closed_message_stays_closed(stage: Stage, show: Show) -> None:
    """A kill that is followed no more does not come back."""
    page = show()
    kill_that_is(stage, page, "dying")
    page.click(".toast button")
    later = sample()
    later["workers"].remove(worker(later, 2))
    stage.send(later)
    page.until("!document.getElementById('worker-2')", "the end of the worker")
    assert not page.visible(".toast .box")


def test_request_that_ends_while_asked_about_cannot_be_killed(stage: Stage, show: Show) -> None:
    """When the request ends while the question is open, there is nothing left to confirm."""
    page = show()
    page.click("#worker-1 button.kill")
    later = sample()
    worker(later, 1)["serial"] = 99999
    stage.send(later)
    page.until("document.querySelector('dialog .danger').disabled", "the end of the request")
    assert "has ended in the meantime" in page.text("dialog")
    assert page.text("dialog .request").startswith("GET /report")


def test_nothing_to_kill_nothing_to_press(show: Show) -> None:
    """Workers that may not be killed have no button: the idle, the zombie, the page's own."""
    page = show()
    for number in (5, 6, 8):
        assert not page.visible(f"#worker-{number} .kill"), number
    assert page.visible("#worker-1 .kill")


def test_dump_and_reset(stage: Stage, show: Show) -> None:
    """Dumping stacks and resetting counters are one press each, told when done, absent when not allowed."""
    page = show()
    for name, label in (("dump", "Dump stacks"), ("reset", "Reset counters")):
        stage.posted.clear()
        at = page.texts("#actions button").index(label) + 1
        page.click(f"#actions .body > button:nth-of-type({at})")
        assert posted(stage)[0] == name
    later = sample()
    later["actions"].update(dump=False, reset=False)
    stage.send(later)
    page.until("document.querySelectorAll('#actions button[hidden]').length === 2", "the change")


def test_flame_graph(stage: Stage, show: Show) -> None:
    """A press samples for so many seconds, a bar shows how far it is, and then the picture is there."""
    state = sample()
    state["flame"].update(ready=False)
    stage.send(state)
    page = show()
    assert page.texts("#flame .buttons button") == ["5 s", "15 s", "60 s"]
    assert not page.visible("#flame img")
    page.click("#flame .buttons button:nth-child(2)")
    assert posted(stage) == ("flame", {"seconds": "15", "csrf": CSRF, "header": CSRF})
    running = sample()
    running["flame"].update(running=True, seconds=15, left=11.0, samples=200, ready=False)
    stage.send(running)
    page.until("document.querySelector('#flame progress').value === 4", "the progress")
    assert page.js("[...document.querySelectorAll('#flame button')].every((button) => button.disabled)")
    stage.send(sample())
    page.until("document.querySelector('#flame img').naturalWidth === 1200", "the picture")
    assert "15 s, 744 samples of 5 workers" in page.js("document.querySelector('#flame img').alt")


def test_logout_is_offered_to_who_logged_in(stage: Stage, show: Show) -> None:
    """Who came with a cookie finds a way to give it back, with the proof that the form is ours."""
    page = show()
    assert not page.visible("form[action=logout]")
    later = sample()
    later["you"]["logged_in"] = True
    stage.send(later)
    page.until("!document.querySelector('form[action=logout]').hidden", "the form")
    assert page.js("document.querySelector('form[action=logout] input[name=csrf]').value") == CSRF
