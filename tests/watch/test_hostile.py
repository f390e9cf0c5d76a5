"""Whatever a client sends and a file is called: it is shown as text, on one line, bounded, and without secrets."""

from __future__ import annotations

import json
import re
import threading
from html.parser import HTMLParser
from typing import Any

import pytest

from pastepool.errors import WorkerKilled
from tests.watch.watching import Held, Watched, until, watched

SCRIPT = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
HUGE = "A" * 7000
BINARY = "\x85\x9b31m\xff\xfe\xad\xa0"
SECRET = "s3cr3t-s3cr3t-s3cr3t-S3CR3T"

FIELDS = (
    "User-Agent",
    "Referer",
    "Host",
    "Content-Type",
    "X-Request-Id",
    "X-Forwarded-For",
    "Accept-Language",
    "X-New",
)
PRIVATE = ("Cookie", "Authorization", "Proxy-Authorization", "X-Api-Key", "X-Auth-Token", "X-Csrf-Token", "X-Anything")
SECRET_QUERIES = (
    "token={}",
    "api_key={}",
    "password={}",
    "code={}",
    "sig={}",
    "next=https://u:{}@h/",
    "a=1&SESSIONID={}",
    "x={}",
    "{}",
    "to%6ben={}",
)
TARGETS = (
    "/%3Cscript%3Ealert(1)%3C/script%3E?%3Cimg%20src=x%20onerror=1%3E",
    "/a;b=<script>alert(1)</script>?c=<img>",
    f"/{HUGE}?{'b' * 900}",
    "/%00%1b%5b31m%0d%0aX:%20y%e2%80%ae%ff%fe?%0d%0a=%00",
    "/%ed%a0%80%f0%9f%92%a9%e4%b8%ad%e6%96%87" + "%e4%b8%ad" * 90,
)


class Tags(HTMLParser):
    """Collects what a browser would take for markup."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def everything(run: Watched) -> dict[str, str]:
    """All that can be read from the page, by kind."""
    row = next((row for row in run.busy() if row["can_kill"]), None)
    shown = {
        "json": run.ask("/api/v1/state").body.decode("utf-8"),
        "html": run.ask("/").body.decode("utf-8"),
        "text": run.ask("/", "Accept: text/plain").body.decode("utf-8"),
    }
    if row is not None:
        shown["question"] = run.ask(f"/kill?worker={row['worker']}&serial={row['serial']}").body.decode("utf-8")
    return shown


def assert_harmless(shown: dict[str, str]) -> None:
    """No markup of others, no control character, and lines that fit."""
    for kind in ("html", "question"):
        tags = Tags(shown.get(kind, ""))
        assert "img" not in tags.tags and "onerror" not in tags.attributes
        assert "<script>" not in shown.get(kind, "") and "alert(1)</script>" not in shown.get(kind, "")
    for text in shown.values():
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert "\n" not in shown["json"]
    assert max(map(len, shown["text"].splitlines())) <= 100
    json.loads(shown["json"])


@pytest.mark.parametrize("value", [SCRIPT, HUGE, BINARY], ids=["script", "huge", "binary"])
@pytest.mark.parametrize("field", FIELDS)
def test_header_of_any_kind_is_shown_as_text(field: str, value: str) -> None:
    """Each header that is shown, and some that are not, with markup, far too long, and in bytes that are no text."""
    with Held() as held, watched(held, allow_kill=True, threadpool_workers=2) as run, run.client() as client:
        host = value if field == "Host" and value is not BINARY and value is not SCRIPT else "example.org"
        lines = [f"Host: {host}", *([f"{field}: {value}"] if field != "Host" else [])]
        client.send("\r\n".join(["GET /x HTTP/1.1", *lines, "", ""]).encode("latin-1"))
        held.await_calls()
        shown = everything(run)
        assert_harmless(shown)
        assert all(len(text) < 80000 for text in shown.values())
        held.release()


@pytest.mark.parametrize("target", TARGETS)
def test_path_and_query_of_any_kind_are_shown_as_text(target: str) -> None:
    """Markup, length, control characters, direction marks, broken UTF-8 and wide letters in the request's target."""
    with Held() as held, watched(held, allow_kill=True, threadpool_workers=2) as run, run.client() as client:
        client.ask(target)
        held.await_calls()
        assert_harmless(everything(run))
        held.release()
        client.response()
        until(lambda: run.state()["totals"]["requests"] == 1, "it is over")
        assert_harmless(everything(run))


@pytest.mark.parametrize("field", PRIVATE)
def test_secret_header_is_nowhere(field: str) -> None:
    """What is not on the list of what may be shown is in no answer, not even masked."""
    with Held() as held, watched(held, allow_kill=True, threadpool_workers=2) as run, run.client() as client:
        client.ask("/x", f"{field}: Bearer {SECRET}")
        held.await_calls()
        assert not [kind for kind, text in everything(run).items() if SECRET in text or "Bearer" in text]
        held.release()


@pytest.mark.parametrize("query", SECRET_QUERIES)
@pytest.mark.parametrize("where", ["query", "path", "referer"])
def test_secret_in_an_address_is_masked(where: str, query: str) -> None:
    """A secret-looking value of a query, of a path parameter and of the referer is masked, live and afterwards."""
    filled = query.format(SECRET)
    target = {"query": f"/x?{filled}", "path": f"/x;session={SECRET}/y", "referer": "/x"}[where]
    lines = [f"Referer: https://example.org/p?{filled}#{SECRET}"] if where == "referer" else []
    settings: dict[str, Any] = {"threadpool_workers": 2, "threadpool_hung_thread_limit": "20ms"}
    with Held() as held, watched(held, allow_kill=True, **settings) as run, run.client() as client:
        client.ask(target, *lines)
        held.await_calls()
        until(lambda: any(event["kind"] == "hung" for event in run.state()["events"]), "the event is there")
        assert not [kind for kind, text in everything(run).items() if SECRET in text]
        held.release()
        client.response()
        until(lambda: run.state()["slowest"], "it is among the slowest")
        assert not [kind for kind, text in everything(run).items() if SECRET in text]


def test_names_in_code_are_shown_as_text() -> None:
    """A file, a function, a source line and a background task may be called anything."""
    began, release = threading.Event(), threading.Event()
    name = f"/srv/{SCRIPT}\x1b[31m\u202e/x.py"
    space: dict[str, Any] = {"began": began, "release": release}
    exec(compile("def work():\n    began.set()\n    release.wait(10)\n", name, "exec"), space)
    work = space["work"]
    work.__qualname__ = work.__name__ = SCRIPT
    with watched(Held(), allow_kill=True, threadpool_workers=2, threadpool_hung_thread_limit="20ms") as run:
        run.server.parts.paste_pool.add_task(work)
        assert began.wait(5.0)
        until(lambda: any(event["stack"] for event in run.state()["events"]), "the event is there")
        shown = everything(run)
        release.set()
        assert_harmless(shown)
        assert "background task" in shown["text"]


def test_application_that_spoils_its_environ_is_survived() -> None:
    """Values of a wrong type, or none at all, cost a row's facts and not the page."""
    inside, release = threading.Event(), threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        for key in ("PATH_INFO", "QUERY_STRING", "REMOTE_ADDR", "HTTP_USER_AGENT", "SCRIPT_NAME"):
            environ[key] = object()
        environ[b"x"] = 1  # type: ignore[index]
        inside.set()
        try:
            release.wait(10.0)
        except WorkerKilled:
            pass
        start_response("200 OK", [])
        return [b""]

    with watched(app, allow_kill=True, threadpool_workers=2) as run, run.client() as client:
        client.ask("/x")
        assert inside.wait(5.0)
        assert run.state()["workers"]
        assert run.ask("/").status == run.ask("/", "Accept: text/plain").status == 200
        release.set()
        client.response()
