"""The demonstration application, called as a server calls it, with wsgiref's validator in between."""

from __future__ import annotations

import hashlib
import logging
import re
from typing import Any
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest
from webtest import TestApp

from pastepool.demo import make_app
from pastepool.demo.app import ROUTES
from pastepool.demo.crashing import DemonstrationError
from pastepool.demo.hanging import KINDS

SMALL = {"seconds": "0.01", "lines": "3", "interval": "0", "mebibytes": "1"}


@pytest.fixture
def app() -> TestApp:
    """The demonstration behind the validator; no route takes longer than a twentieth of a second."""
    return TestApp(validator(make_app({}, hang_limit="0.05")), lint=False)


def links(body: str) -> list[str]:
    """Every address the page links to."""
    return [link.replace("&amp;", "&") for link in re.findall(r'href="(/[^"]*)"', body)]


def test_index_links_to_every_route(app: TestApp) -> None:
    """The first page has a link to each route of the table."""
    found = {link.partition("?")[0] for link in links(app.get("/").text)}
    assert found == {route.path for route in ROUTES}


def test_every_link_of_the_index_answers(app: TestApp) -> None:
    """Each link of the first page is served, or fails because that is what it demonstrates."""
    followed = 0
    for link in links(app.get("/").text):
        if link.startswith("/crashing") or "=64" in link or "1024" in link:
            continue
        assert app.get(link).status_int == 200, link
        followed += 1
    assert followed >= 15


def test_links_stay_below_the_mount_point(app: TestApp) -> None:
    """Mounted by urlmap below a path, the first page links below that path."""
    page = app.get("/", extra_environ={"SCRIPT_NAME": "/demo"})
    assert all(link.startswith("/demo/") for link in links(page.text))


def test_pages_are_accessible_html(app: TestApp) -> None:
    """Every page names its language, has one heading of the first level and follows the reader's colour scheme."""
    for path in ("/", "/fast", "/environ", "/upload", "/nowhere"):
        text = app.get(path, expect_errors=True).text
        assert '<html lang="en">' in text
        assert text.count("<h1>") == 1
        assert "color-scheme: light dark" in text


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_head_has_no_body(app: TestApp, route: Any) -> None:
    """HEAD is answered with the headers of GET and not one byte of body, and fails where GET fails."""
    if route.path == "/crashing":
        with pytest.raises(DemonstrationError):
            app.head(route.path)
    else:
        answer = app.head(route.path, SMALL)
        assert (answer.status_int, answer.body) == (200, b"")


def test_slow_takes_the_seconds_it_is_told(app: TestApp) -> None:
    """The slow route says how long it took."""
    assert "0.01 seconds" in app.get("/slow", {"seconds": "0.01"}).text


@pytest.mark.parametrize("seconds", ["-1", "nan", "soon"])
def test_seconds_have_to_be_seconds(app: TestApp, seconds: str) -> None:
    """What is no number of seconds is refused with 400 and named."""
    answer = app.get("/slow", {"seconds": seconds}, status=400)
    assert "seconds has to be a number from 0" in answer.text
    assert seconds in answer.text


@pytest.mark.parametrize("seconds", ["inf", "1e9", "0.06"])
def test_seconds_are_bounded(app: TestApp, seconds: str) -> None:
    """More seconds than the limit are the limit."""
    assert "0.05 seconds" in app.get("/slow", {"seconds": seconds}).text


def test_streaming_sends_each_line(app: TestApp) -> None:
    """The streaming route sends as many lines as it is told."""
    assert app.get("/streaming", {"lines": "3", "interval": "0.001"}).text == "line 1 of 3\nline 2 of 3\nline 3 of 3\n"


def test_upload_measures_a_form(app: TestApp) -> None:
    """An uploaded file is answered with its name, its size and its SHA-256."""
    content = b"\x00\xff" * 100_000
    text = app.post("/upload", upload_files=[("file", "two<words>.bin", content)]).text
    assert "200000" in text
    assert hashlib.sha256(content).hexdigest() in text
    assert "two&lt;words&gt;.bin" in text


def test_upload_measures_a_plain_body(app: TestApp) -> None:
    """A body that is no form is measured as it is."""
    text = app.post("/upload", b"abc", content_type="application/octet-stream").text
    assert hashlib.sha256(b"abc").hexdigest() in text


def test_upload_without_a_file_asks_for_one(app: TestApp) -> None:
    """A form sent without a file is answered 400 and shown again."""
    answer = app.post("/upload", upload_files=[("other", "x", b"y")], status=400)
    assert "Choose a file" in answer.text


def test_environ_keeps_secrets(app: TestApp) -> None:
    """Cookies, credentials and headers that are not on the list are not shown."""
    secret = {"Cookie": "s3cret", "Authorization": "Basic s3cret", "X-Forwarded-User": "s3cret"}
    text = app.get("/environ", headers=secret, extra_environ={"pastepool.example": "s3cret"}).text
    assert "s3cret" not in text
    assert "pastepool.example" in text
    assert "REQUEST_METHOD" in text


def test_big_file_without_a_wrapper(app: TestApp) -> None:
    """The big file arrives whole from a server that has no file wrapper."""
    answer = app.get("/big-file", {"mebibytes": "1"})
    assert answer.body == bytes(1024 * 1024)


def test_big_file_goes_through_the_wrapper() -> None:
    """Where the server offers a file wrapper, the file is handed to it."""
    wrapped = []

    def wrapper(file: Any, size: int = 8192) -> FileWrapper:
        wrapped.append(size)
        return FileWrapper(file, size)

    environ = {"wsgi.file_wrapper": wrapper}
    answer = TestApp(make_app({}), lint=False).get("/big-file", {"mebibytes": "1"}, extra_environ=environ)
    assert len(answer.body) == 1024 * 1024
    assert wrapped


@pytest.mark.parametrize("kind", KINDS)
def test_hanging_ends_at_the_limit(app: TestApp, kind: str) -> None:
    """Every kind of hanging lets its worker go at the limit."""
    assert f"0.05 seconds ({kind})" in app.get("/hanging", {"kind": kind}).text


def test_hanging_knows_its_kinds(app: TestApp) -> None:
    """A kind that does not exist is refused with those that do."""
    assert "sleep, loop" in app.get("/hanging", {"kind": "<b>"}, status=400).text


def test_crash_before_the_first_byte(app: TestApp) -> None:
    """The exception reaches the server before start_response was called."""
    with pytest.raises(DemonstrationError, match="before"):
        app.get("/crashing", {"when": "before"})


def test_crash_after_the_first_byte() -> None:
    """The exception reaches the server after some of the body did."""
    body = iter(
        make_app({})({"PATH_INFO": "/crashing", "QUERY_STRING": "when=after", "REQUEST_METHOD": "GET"}, print_no)
    )
    assert next(body).startswith(b"The first half")
    with pytest.raises(DemonstrationError, match="after"):
        next(body)


def test_crash_by_exit(app: TestApp) -> None:
    """An application that calls sys.exit() raises SystemExit into the server."""
    with pytest.raises(SystemExit):
        app.get("/crashing", {"when": "exit"})


def test_crash_knows_its_moments(app: TestApp) -> None:
    """A moment that does not exist is refused with those that do."""
    assert "before, after or exit" in app.get("/crashing", {"when": "never"}, status=400).text


def test_work_stops_when_the_client_has_gone(caplog: pytest.LogCaptureFixture) -> None:
    """The work ends, with one line in the log, as soon as the server says that nobody waits."""
    answers = iter([False, True])
    environ = {"pastepool.client_gone": lambda: next(answers)}
    with caplog.at_level(logging.INFO, "pastepool.demo"):
        TestApp(make_app({}), lint=False).get("/gone", {"seconds": "5"}, extra_environ=environ)
    assert [record.name for record in caplog.records] == ["pastepool.demo"]
    assert "the client left" in caplog.text


def test_work_goes_on_for_a_client_that_stays(app: TestApp) -> None:
    """A client that stays is served, also by a server that cannot tell."""
    assert "You stayed" in app.get("/gone", {"seconds": "0.01"}).text
    environ = {"pastepool.client_gone": lambda: False}
    assert "asked all along" in app.get("/gone", {"seconds": "0.01"}, extra_environ=environ).text


def test_unknown_page_and_method(app: TestApp) -> None:
    """What does not exist is answered 404; a method a route does not take, 405 with those it does."""
    assert "<script>" not in app.get("/%3Cscript%3E", status=404).text
    answer = app.post("/fast", status=405)
    assert answer.headers["Allow"] == "GET, HEAD"


def test_options_are_checked() -> None:
    """An unknown option, or a limit that is no number, stops the application from loading, by name."""
    with pytest.raises(ValueError, match="does not know bogus"):
        make_app({}, bogus="1")
    with pytest.raises(ValueError, match=r"hang_limit .* 'soon'"):
        make_app({}, hang_limit="soon")


def print_no(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
    """A start_response that throws away what it is told."""
    return lambda data: None
