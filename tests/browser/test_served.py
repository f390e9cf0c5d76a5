"""The real page of a real server: the demonstration under paster, hung on purpose, watched through both doors."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.browser.page import PHONE, Page
from tests.server.commands import Command, arguments
from tests.server.serving import Client

CONFIGURATION = """
[server:main]
use = egg:pastepool#http
port = 0
threadpool_workers = 2
threadpool_max_workers = 4
threadpool_spawn_if_under = 2
threadpool_hung_thread_limit = 1s
threadpool_kill_thread_limit = 10m
admin_listen = 127.0.0.1:0
{more}

[composite:main]
use = egg:Paste#urlmap
/ = demo
/watch/threads = threads

[app:demo]
use = egg:pastepool#demo

[app:threads]
use = egg:pastepool#watch_threads
allow_kill = true
token = {token}
"""
TOKEN = "open-sesame-and-come-in"

SERVING = re.compile(r"serving on http://127\.0\.0\.1:(\d+)")
SHOWN = re.compile(r"threads are shown on http://127\.0\.0\.1:(\d+)")
HUNG = "document.querySelectorAll('tr[data-worker].status-hung').length === args[0]"


class Served:
    """A server that runs: its port, the address of its page, and requests of ours that hang in it."""

    def __init__(self, port: int, admin_port: int, stack: contextlib.ExitStack) -> None:
        self.port = port
        self.admin = f"http://127.0.0.1:{admin_port}/"
        self.mounted = f"http://127.0.0.1:{port}/watch/threads"
        self._stack = stack

    def hang(self, kind: str, seconds: float = 50) -> Client:
        """Send a request that does not come back."""
        client = self._stack.enter_context(Client(self.port))
        client.ask(f"/hanging?kind={kind}&seconds={seconds:g}")
        return client


@pytest.fixture
def serve(tmp_path: Path, page: Page) -> Iterator[Callable[..., Served]]:
    """Start the demonstration with more lines in its server section; the page leaves before it ends."""
    with contextlib.ExitStack() as stack:

        def started(*more: str) -> Served:
            ini = tmp_path / "watched.ini"
            ini.write_text(CONFIGURATION.format(more="\n".join(more), token=TOKEN))
            command = stack.enter_context(Command(arguments("paster", ini), tmp_path))
            port = int(command.read_until(SERVING)[1])
            return Served(port, int(command.read_until(SHOWN)[1]), stack)

        yield started
        page.leave()


def test_hung_request_is_seen_understood_and_killed(page: Page, serve: Callable[..., Served]) -> None:
    """A request that hangs turns red by itself, its stack names the line, and a kill from the page ends it with 504."""
    served = serve("admin_allow_kill = true")
    page.open(served.admin)
    page.until("document.querySelector('.live.live')?.textContent.startsWith('streaming')", "the stream")
    assert page.text(".headline") == "Nothing hangs"
    client = served.hang("loop")
    page.until(HUNG, "the hung row", 1)
    assert page.text(".headline") == "1 hung of 3 threads" or page.text(".headline") == "1 hung of 2 threads"
    row = page.js("document.querySelector('tr.status-hung').id")
    assert "/hanging?kind=loop&seconds=50" in page.text(f"#{row} .path")
    page.click(f"#{row} .toggle")
    assert "in_loop" in page.texts("tr.detail .frame.own .function")
    assert "while time.monotonic() < until:" in page.texts("tr.detail .frame.own code")
    page.keep("served-hung")
    page.click(f"#{row} .kill")
    assert page.text("dialog .request") == "GET /hanging?kind=loop&seconds=50"
    page.click("dialog .danger")
    page.until("document.querySelector('.toast p')?.textContent.startsWith('Killed: GET /hanging')", "the answer")
    page.until(HUNG, "the end of the hung row", 0)
    assert client.response().status == 504
    page.until("document.querySelector('#events').textContent.includes('asked to kill')", "the event")
    page.keep("served-killed")


def test_page_answers_when_nobody_else_does(page: Page, serve: Callable[..., Served]) -> None:
    """With every worker hung, the pool at its cap and requests waiting, the page opens, and says which place it is."""
    served = serve()
    for _ in range(4):
        served.hang("lock")
    with Client(served.port) as waiting:
        waiting.ask("/fast")
        page.open(served.admin)
        page.until(HUNG, "four hung rows", 4)
        page.until("document.querySelector('#backlog .big').textContent === '1'", "the waiting request")
    assert page.text(".headline") == "4 hung of 4 threads"
    assert re.fullmatch(r"All 4 are in \S*hanging\.py:\d+ on_lock, waiting for a lock\.", page.text(".reason"))
    assert page.texts("#stacks .count") == ["4 threads are here"]
    assert not page.visible(".kill"), "it was not allowed"
    page.keep("served-full", whole=True)
    page.size(*PHONE)
    assert page.js("document.documentElement.scrollWidth") == PHONE[0]
    page.keep("served-phone")


def test_mounted_page_polls_and_knows_itself(page: Page, serve: Callable[..., Served]) -> None:
    """Mounted by urlmap, reached without its last slash, it polls, and marks the worker that answers as its own."""
    served = serve()
    page.noise = re.compile("401|favicon.ico")
    page.open(served.mounted)
    assert page.address() == f"{served.mounted}/"
    page.write("input[name=token]", TOKEN)
    page.click("form button")
    page.comes_to("document.querySelector('.live.live')", "the page, drawn by its script")
    page.until("document.querySelector('.live.live')?.textContent.startsWith('live')", "the first answer")
    page.until("document.querySelector('tr.own .phase')?.textContent === 'this page'", "the page's own worker")
    assert not page.visible("tr.own .kill")
    before = page.text(".live time")
    page.until("document.querySelector('.live time').textContent !== args[0]", "the next answer", before)


def test_policy_of_the_server_is_strict(page: Page, serve: Callable[..., Served]) -> None:
    """The real answer forbids inline script and style and every other origin, and is neither kept nor framed."""
    served = serve()
    page.open(served.admin)
    headers = page.measure("fetch('.').then((answer) => done(Object.fromEntries(answer.headers)))")
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "img-src", "connect-src", "form-action")} == {"'self'"}
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


def test_page_without_javascript_is_complete(page: Page, serve: Callable[..., Served]) -> None:
    """Without JavaScript the same page has every worker, its stack, every section and every action, and can kill."""
    served = serve("admin_allow_kill = true")
    served.hang("loop")
    page.noise = re.compile("favicon.ico")
    page.open(served.admin)
    page.until(HUNG, "the hung row", 1)
    page.scripted(False)
    page.open(served.admin)
    assert "Without JavaScript this is one moment" in page.source()
    rows = page.find("table.workers tbody tr")
    assert len(rows) >= 2
    assert page.find(".headline")[0].text.startswith("1 hung of ")
    assert "in_loop" in page.find(".reason")[0].text
    assert len(page.find(".spark .line")) == 4, "the server draws the curves"
    hung = page.find("tr.status-hung")[0].text
    for text in ("hung", "GET /hanging", "127.0.0.1", "in_loop"):
        assert text in hung, text
    page.find("tr.status-hung details.stack summary")[0].click()
    assert "while time.monotonic() < until:" in page.find("tr.status-hung .frames .telling")[0].text
    assert "urlmap" not in page.find("tr.status-hung .frames")[0].text, "the framework's calls are folded"
    page.find("tr.status-hung .fold summary")[0].click()
    assert "urlmap" in page.find("tr.status-hung .frames")[0].text
    for section in "strip stacks backlog latency events slowest process settings flame actions".split():
        assert page.find(f"#{section} .body > *"), section
    assert {form.get_attribute("action").rpartition("/")[2] for form in page.find("form")} >= {"dump", "reset", "flame"}
    page.keep("served-without-script")
    page.click("tr.status-hung a.kill")
    page.reads("main", "GET /hanging")
    page.click("button.danger")
    page.reads("main", "Killed: GET /hanging")
    page.keep("served-without-script-killed")
    page.click("main a")
    page.reads("table.workers", "idle")
    assert not page.find("tr.status-hung")


def test_link_to_a_shared_stack_unfolds_it(page: Page, serve: Callable[..., Served]) -> None:
    """Without JavaScript the stack of two workers is shown once; the link in a row leads there, and it is open."""
    served = serve()
    served.hang("lock")
    served.hang("lock")
    page.noise = re.compile("favicon.ico")
    page.open(served.admin)
    page.until(HUNG, "the hung rows", 2)
    page.scripted(False)
    page.open(served.admin)
    assert not page.find("#stacks details[open]")
    page.click("tr.status-hung a.stack")
    assert "on_lock" in page.find("#stacks details[open] .frames")[0].text


def test_token_opens_the_page(page: Page, serve: Callable[..., Served]) -> None:
    """With a token the page is a form first; a wrong one is told, the right one opens, and logging out closes it."""
    served = serve(f"admin_token = {TOKEN}")
    page.noise = re.compile("status of 401|favicon.ico")
    page.open(served.admin)
    page.keep("served-login")
    page.write("input[name=token]", "wrong")
    page.click("form button")
    page.reads("main", "The token is wrong.")
    page.write("input[name=token]", TOKEN)
    page.click("form button")
    page.comes_to("document.querySelector('.live.live')", "the page, drawn by its script")
    assert "sesame" not in page.address() + page.source()
    page.click("form[action=logout] button")
    page.reads("main", "Token")
