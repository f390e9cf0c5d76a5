"""The application by itself: addresses, kinds of answers, headers, and servers that are not ours."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest
from paste.deploy import loadapp
from paste.urlmap import URLMap
from webtest import TestApp

from pastepool.server import Server
from pastepool.settings import read
from pastepool.watch.answers import POLICY
from pastepool.watch.app import WatchApp
from pastepool.watch.finding import POOL_KEY
from pastepool.watch.options import WatchOptions
from tests.server.serving import plain

TOKEN = "correct-horse-battery"
KINDS = {"text/html": "<!DOCTYPE html>", "application/json": '{"format":', "text/plain": "pastepool "}


def visiting(options: WatchOptions | None = None, pool: Any = None, prefix: str = "/threads") -> TestApp:
    """
    The application under a prefix, with the protocol checked on both sides.

    ``options``: None for a page with a token, which every request carries.
    """
    mounted = URLMap()
    mounted[prefix] = validator(WatchApp(options or WatchOptions(token=TOKEN)))
    extra = {"REMOTE_ADDR": "127.0.0.1", **({POOL_KEY: pool} if pool is not None else {})}
    if options is None:
        extra["HTTP_X_PASTEPOOL_TOKEN"] = TOKEN
    return TestApp(validator(mounted), extra_environ=extra)


@pytest.fixture(scope="module")
def pool() -> Any:
    """The pool of a server that was never started: everything can be looked at all the same."""
    return Server(read({"port": 0}, {}), plain()).parts.paste_pool


@pytest.fixture
def page(pool: Any) -> Iterator[TestApp]:
    """The page of that server; what looking started is stopped."""
    yield visiting(pool=pool)
    pool.server_view.sampler.close(5.0)
    pool.server_view.sampler._stop.clear()


def test_mount_point_is_redirected_to_its_slash(page: TestApp) -> None:
    """A relative redirect, which no proxy in between can spoil."""
    response = page.get("/threads", status=303)
    assert response.headers["Location"] == "threads/" or response.headers["Location"].endswith("/threads/")


def test_page_comes_in_the_kind_that_is_liked_best(page: TestApp) -> None:
    """HTML for browsers and where the client does not say, JSON and text where it asks for them."""
    for kind, start in KINDS.items():
        response = page.get("/threads/", headers={"Accept": kind})
        assert response.content_type == kind and response.text.startswith(start)
        assert response.headers["Vary"] == "Accept"
    assert page.get("/threads/").content_type == "text/html"
    assert (
        page.get("/threads/", headers={"Accept": "text/html,application/xml;q=0.9,*/*;q=0.8"}).content_type
        == "text/html"
    )


@pytest.mark.parametrize(
    "address",
    ["", "api/v1/state", "api/v1/events", "api/v1/counters", "api/v1/flame", "static/style.css", "health", "nothing"],
)
def test_every_answer_is_guarded(page: TestApp, address: str) -> None:
    """The headers that keep a browser from doing anything with the page but show it."""
    response = page.get(f"/threads/{address}", expect_errors=True)
    assert response.headers["Content-Security-Policy"] == POLICY
    assert "unsafe" not in POLICY and "frame-ancestors 'none'" in POLICY and POLICY.startswith("default-src 'none'")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert "Access-Control-Allow-Origin" not in response.headers
    assert response.headers["Cache-Control"] == (
        "no-cache" if address.startswith("static") and response.status_int == 200 else "no-store"
    )


@pytest.mark.parametrize(
    ("method", "address", "status"),
    [
        ("GET", "", 401),
        ("GET", "api/v1/events", 401),
        ("POST", "login", 401),
        ("POST", "api/v1/kill", 401),
        ("GET", "static/app.js", 200),
    ],
)
def test_refusals_are_guarded_too(pool: Any, method: str, address: str, status: int) -> None:
    """Who has no token yet gets the same headers with the refusal, whatever he asks for."""
    page = visiting(WatchOptions(token=TOKEN), pool)
    response = page.request(f"/threads/{address}", method=method, expect_errors=True)
    assert response.status_int == status
    assert response.headers["Content-Security-Policy"] == POLICY
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_changes_and_their_refusals_are_guarded(page: TestApp) -> None:
    """Every POST is answered with the same headers, done or not."""
    for address in ("kill", "api/v1/kill", "dump", "reset", "flame", "logout", "nothing"):
        response = page.post(f"/threads/{address}", {"csrf": "x" * 20000}, expect_errors=True)
        assert response.status_int in (404, 413)
        assert response.headers["Content-Security-Policy"] == POLICY
        assert response.headers["Cache-Control"] == "no-store"


def test_page_has_nothing_inline(page: TestApp) -> None:
    """No style attribute, no event attribute, no inline script or style, no address outside."""
    text = page.get("/threads/").text
    assert 'pastepool-csrf" content="' in text
    for bad in (" style=", " onclick=", " onload=", "<style", "<script>", "http://", "https://", "<!--slot"):
        assert bad not in text.replace('xmlns="http://www.w3.org/2000/svg"', ""), bad


def test_head_is_get_without_its_body(page: TestApp) -> None:
    """HEAD works wherever GET does."""
    for address in ("", "api/v1/state", "api/v1/events", "flame.svg", "static/page.html"):
        get, head = (
            page.get(f"/threads/{address}", expect_errors=True),
            page.head(f"/threads/{address}", expect_errors=True),
        )
        assert (head.status_int, head.body) == (get.status_int, b"")


def test_counters_are_flat_numbers(page: TestApp) -> None:
    """Names to numbers, ready for a collector."""
    counters = page.get("/threads/api/v1/counters").json
    assert counters["pastepool_workers_wanted"] == 10 and counters["pastepool_requests_total"] == 0
    assert all(value is None or isinstance(value, (int, float)) for value in counters.values())


def test_events_in_the_main_server_end_at_once(page: TestApp) -> None:
    """One event and when to come back, so that an open tab holds no worker."""
    response = page.get("/threads/api/v1/events")
    assert response.content_type == "text/event-stream"
    lines = response.text.split("\n")
    assert lines[:4] == ["retry: 1000", "", "event: state", lines[3]]
    assert json.loads(lines[3].removeprefix("data: "))["version"] == 1 and lines[4:] == ["", ""]


def test_unknown_address_and_method_are_told(page: TestApp) -> None:
    """404 and 405, the latter with what is allowed."""
    assert page.get("/threads/nothing", status=404).content_type == "text/html"
    assert page.get("/threads/api/v1/nothing", status=404).json["ok"] is False
    response = page.get("/threads/api/v1/kill", status=405)
    assert response.headers["Allow"] == "POST"
    assert page.put("/threads/dump", status=405).headers["Allow"] == "POST"


@pytest.mark.parametrize(
    "name", ["..%2Fapp.py", "../app.py", "%2e%2e/app.py", ".hidden", "page.html", "", "no.css", "a/b.css", "..\\app.py"]
)
def test_only_assets_are_served(page: TestApp, name: str) -> None:
    """Nothing above or beside the folder of assets can be had."""
    assert page.get(f"/threads/static/{name}", expect_errors=True).status_int == 404


def test_health_tells_one_word_to_anybody(pool: Any) -> None:
    """A probe needs no token and learns nothing but whether somebody is served."""
    page = visiting(WatchOptions(token=TOKEN), pool)
    response = page.get("/threads/health", extra_environ={"REMOTE_ADDR": "192.0.2.7"}, status=503)
    assert response.json == {"status": "hung"}  # this server has no worker yet
    assert visiting().get("/threads/health", status=503).json == {"status": "unknown"}


def test_token_is_asked_for_and_kept_as_a_cookie(pool: Any) -> None:
    """A form asks for the token, the right one gives a cookie that no script and no other site can use."""
    page = visiting(WatchOptions(token=TOKEN), pool)
    asked = page.get("/threads/", status=401)
    assert asked.headers["WWW-Authenticate"].startswith("Bearer ") and 'type="password"' in asked.text
    assert page.get("/threads/api/v1/state", status=401).json["ok"] is False
    assert page.get("/threads/static/style.css", expect_errors=True).status_int in (200, 404)
    assert page.post("/threads/login", {"token": "wrong"}, status=401).headers.getall("Set-Cookie") == []
    assert page.post("/threads/login", {}, status=401).headers.getall("Set-Cookie") == []
    assert page.post("/threads/login", {"token": TOKEN}, headers={"Origin": "http://evil.example"}, status=403)
    given = page.post("/threads/login", {"token": TOKEN}, status=303).headers["Set-Cookie"]
    for part in ("Path=/threads/", "HttpOnly", "SameSite=Strict", "Max-Age=43200"):
        assert part in given
    assert TOKEN not in given
    state = page.get("/threads/api/v1/state").json
    assert state["you"]["logged_in"] and TOKEN not in json.dumps(state)
    page.post("/threads/logout", {"csrf": "x"}, status=403)
    pool.server_view.sampler.close(5.0)
    pool.server_view.sampler._stop.clear()


def test_token_in_the_address_is_no_token(pool: Any) -> None:
    """A URL ends up in logs and histories."""
    page = visiting(WatchOptions(token=TOKEN), pool)
    page.get(f"/threads/?token={TOKEN}", status=401)


def test_other_machines_are_sent_away(page: TestApp) -> None:
    """By default only this machine is let in, also with the token, judged by the connection, not by a header."""
    for extra in ({"REMOTE_ADDR": "192.0.2.7"}, {"REMOTE_ADDR": "192.0.2.7", "HTTP_X_FORWARDED_FOR": "127.0.0.1"}):
        response = page.get("/threads/api/v1/state", extra_environ=extra, status=403)
        assert "not let in" in response.json["text"]
    page.get("/threads/api/v1/state", extra_environ={"REMOTE_ADDR": ""}, status=403)


def test_no_pool_is_told_clearly() -> None:
    """Under a server without a pool the page says which server it needs, and keeps its whole shape."""
    page = visiting()
    for kind in KINDS:
        response = page.get("/threads/", headers={"Accept": kind}, status=501)
        assert "egg:pastepool#http" in response.text.replace("\n", " ")
    state = page.get("/threads/api/v1/state").json
    assert state["kind"] == "none" and state["actions"] == {
        "kill": False,
        "dump": False,
        "reset": False,
        "flame": False,
    }
    page.get("/threads/flame.svg", status=404)


class PastesPool:
    """Something in the shape of ``paste.httpserver.ThreadPool``."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.began = threading.Event()
        self.thread = threading.Thread(target=self.work, name="paste worker")
        self.thread.start()
        assert self.began.wait(5.0)
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/slow", "QUERY_STRING": "token=abc", "HTTP_COOKIE": "s=1"}
        self.nworkers = 1
        self.workers = [self.thread]
        self.worker_tracker = {self.thread.ident: [time.time() - 40.0, environ]}
        self.idle_workers: list[int] = []
        self.dying_threads: dict[int, Any] = {}
        self.hung_thread_limit = 30

    def work(self) -> None:
        self.began.set()
        self.release.wait(10.0)


def test_pastes_own_pool_is_shown() -> None:
    """Paste's pool gets rows, statuses and stacks, and nothing that could be killed or leaked."""
    pool = PastesPool()
    try:
        page = visiting(WatchOptions(allow_kill=True, token=TOKEN), pool)
        page.extra_environ["HTTP_X_PASTEPOOL_TOKEN"] = TOKEN
        state = page.get("/threads/api/v1/state").json
        text = page.get("/threads/", headers={"Accept": "text/plain"}).text
        html = page.get("/threads/").text
    finally:
        pool.release.set()
        pool.thread.join(5.0)
    (row,) = state["workers"]
    assert (state["kind"], row["status"], row["title"], row["query"]) == ("paste", "hung", "GET /slow", "token=***")
    assert not row["can_kill"] and not state["actions"]["kill"]
    assert any("release.wait" in frame["source"] for frame in state["stacks"][0]["frames"])
    assert "GET /slow" in text and "GET /slow" in html and "not pastepool" in html


@pytest.mark.parametrize("thing", [object(), "pool", 5])
def test_strange_pool_is_no_pool(thing: Any) -> None:
    """Anything may lie under Paste's key."""
    assert visiting(pool=thing).get("/threads/api/v1/state").json["kind"] == "none"


def test_logout_gives_the_cookie_back(pool: Any) -> None:
    """After it the page asks for the token again."""
    page = visiting(WatchOptions(token=TOKEN), pool)
    page.post("/threads/login", {"token": TOKEN}, status=303)
    found = re.search('pastepool-csrf" content="([^"]+)', page.get("/threads/").text)
    assert found is not None
    csrf = found[1]
    given = page.post("/threads/logout", {"csrf": csrf}, status=303).headers["Set-Cookie"]
    assert "Max-Age=0" in given
    page.cookiejar.clear()
    page.get("/threads/", status=401)
    pool.server_view.sampler.close(5.0)
    pool.server_view.sampler._stop.clear()


def test_paste_deploy_finds_the_application(tmp_path: Path) -> None:
    """``use = egg:pastepool#watch_threads`` in a composite, with options, as in a real file."""
    ini = tmp_path / "site.ini"
    ini.write_text(
        "[composite:main]\nuse = egg:Paste#urlmap\n/threads = watch\n"
        "[app:watch]\nuse = egg:pastepool#watch_threads\nallow_kill = true\n"
        f"token = {TOKEN}\n"
    )
    extra = {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_PASTEPOOL_TOKEN": TOKEN}
    page = TestApp(loadapp(f"config:{ini}"), extra_environ=extra)
    assert page.get("/threads/api/v1/state").json["kind"] == "none"
