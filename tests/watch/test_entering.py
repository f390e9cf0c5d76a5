"""Logging in and out, trying tokens, and what anybody may send before that: served, refused, and never a traceback."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from webtest import TestApp

from pastepool.settings.networks import LOOPBACK
from pastepool.testing import FakeClock
from pastepool.watch.access import COOKIE, Gate
from pastepool.watch.answers import SECURITY
from pastepool.watch.app import WatchApp
from pastepool.watch.forms import UnreadableForm, form_fields, query_fields
from pastepool.watch.options import WatchOptions
from pastepool.watch.sessions import LOGGED_IN_FOR
from pastepool.watch.tries import TRIES, TRY_EVERY, Tries
from pastepool.watch.visitor import Visitor
from tests.server.serving import plain
from tests.watch.watching import Client, watched

TOKEN = "correct-horse-battery"
FORM = "application/x-www-form-urlencoded"
NOW = 1_800_000_000.0


def visiting(**extra: str) -> TestApp:
    """The page with a token, at its own address, and a visitor from this machine."""
    page = WatchApp(WatchOptions(token=TOKEN))
    return TestApp(page, extra_environ={"REMOTE_ADDR": "127.0.0.1", **extra})


def asked(**fields: Any) -> tuple[int, dict[str, str], bytes]:
    """The answer to an environ that no sound server would make."""
    said: list[Any] = []
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/",
        "REMOTE_ADDR": "127.0.0.1",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        **fields,
    }
    body = WatchApp(WatchOptions(token=TOKEN))(environ, lambda *given: said.extend(given))
    return int(said[0].split()[0]), dict(said[1]), b"".join(body)


BROKEN = {
    "static name of 300 letters": ("GET", "/static/" + "a" * 300, "", b"", 404),
    "static name with a null byte": ("GET", "/static/a%00b.css", "", b"", 404),
    "static name of bytes": ("GET", "/static/%ff", "", b"", 400),
    "path of bytes": ("GET", "/%ff%fe", "", b"", 400),
    "query of bytes": ("GET", "/kill?worker=%ff&serial=%fe", "", b"", 401),
    "multipart without a boundary": ("POST", "/login", "multipart/form-data", b"x", 400),
    "multipart with a boundary": ("POST", "/login", "multipart/form-data; boundary=b", b"--b--", 400),
    "multipart with a strange boundary": ("POST", "/login", "multipart/form-data; boundary=\xff\xfe", b"--b", 400),
    "unknown charset": ("POST", "/login", f"{FORM}; charset=klingon", b"token=x", 400),
    "charset of two bytes": ("POST", "/login", f"{FORM}; charset=utf-16", b"token=x", 400),
    "charset that is a codec of bytes": ("POST", "/login", f"{FORM}; charset=base64", b"token=x", 400),
    "bytes that are no UTF-8": ("POST", "/login", FORM, b"token=\xff\xfe&%ff=%fe", 401),
    "thousand fields": ("POST", "/login", FORM, b"a=1&" * 1000, 400),
    "form that is too large": ("POST", "/login", FORM, b"token=" + b"x" * 20000, 413),
    "JSON": ("POST", "/login", "application/json", b'{"token": 1}', 401),
    "content type of nonsense": ("POST", "/login", ";;;=", b"token=x", 401),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_request_before_the_login_is_answered(name: str) -> None:
    """Through a real server: the status of the client's mistake, guarded, and no line about an error of ours."""
    method, target, kind, body, status = BROKEN[name]
    head = [f"Content-Type: {kind}"] if kind else []
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", *head, f"Content-Length: {len(body)}", "", ""]
    with watched(plain(), token=TOKEN) as run, Client(run.admin_port) as client:
        client.send("\r\n".join(lines).encode("latin-1") + body)
        response = client.response(method)
        assert response.status == status, response.body
        assert b"Traceback" not in response.body
        if status != 400 or "UTF-8" not in response.body.decode():
            assert "content-security-policy" in response.fields


@pytest.mark.parametrize("name", [name for name in BROKEN if BROKEN[name][0] == "POST"])
@pytest.mark.parametrize("address", ["kill", "api/v1/kill", "dump", "logout"])
def test_broken_form_after_the_login_is_answered(name: str, address: str) -> None:
    """An admitted visitor gets the same statuses for the same forms."""
    _, _, kind, body, _ = BROKEN[name]
    page = visiting(HTTP_X_PASTEPOOL_TOKEN=TOKEN)
    response = page.post(f"/{address}", body, headers={"Content-Type": kind.encode().decode("latin-1")}, status="*")
    assert response.status_int in (200, 303, 400, 403, 413, 501), response.text


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "REQUEST_METHOD": st.sampled_from(["GET", "POST", "HEAD", "PUT", "OPTIONS", "get", "\xff"]),
            "PATH_INFO": st.one_of(
                st.text("\x00\xff\u20ac/.ab%", max_size=20).map("/".__add__),
                st.sampled_from(["", "/login", "/static/", "/logout", "/kill", "/api/v1/events", "/health"]),
            ),
            "SCRIPT_NAME": st.text("\r\n\xff\u20ac/ab", max_size=9),
            "QUERY_STRING": st.text("&=%;\xff\u20acab", max_size=20),
            "CONTENT_TYPE": st.text("multipart/form-data;boundary=\xff\u20ac ", max_size=40),
            "CONTENT_LENGTH": st.one_of(st.text("-+ 1\u0663x", max_size=3), st.just("9" * 5000)),
            "REMOTE_ADDR": st.sampled_from(["127.0.0.1", "::1", "::1%lo", "", "unix:", "\xff", "1.2.3.4.5"]),
            "HTTP_COOKIE": st.text("=;. -\xff\u20ac1", max_size=20).map(f"{COOKIE}=".__add__),
            "HTTP_AUTHORIZATION": st.text(max_size=9).map("Bearer ".__add__),
            "HTTP_X_PASTEPOOL_TOKEN": st.text(max_size=9),
            "HTTP_HOST": st.text("[]:.\xff\u20acab1", max_size=9),
            "HTTP_ORIGIN": st.text("https:/[]\xff\u20ac", max_size=12),
            "HTTP_SEC_FETCH_SITE": st.text(max_size=5),
            "HTTP_ACCEPT": st.text("text/html,;q=*\xff\u20ac.", max_size=20),
        },
    ),
    st.binary(max_size=20),
)
@settings(max_examples=400, deadline=None)
def test_nothing_that_anybody_sends_raises(fields: dict[str, str], body: bytes) -> None:
    """Before the token is checked there is no exception, whatever the environ holds, and every answer is guarded."""
    status, headers, _ = asked(**{"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body)), **fields})
    assert status in (200, 303, 400, 401, 403, 404, 405, 413, 429, 503)
    assert status != 200 or fields["PATH_INFO"].startswith("/static/") or fields["PATH_INFO"] == "/health"
    for name in ("Content-Security-Policy", "X-Content-Type-Options"):
        assert headers[name] == SECURITY[name]
    assert not any("\r" in value or "\n" in value for value in headers.values())


def test_environ_without_what_may_be_missing_is_answered() -> None:
    """PEP 3333 lets a server leave out empty paths and the length of the content."""
    environ = {"REQUEST_METHOD": "POST", "REMOTE_ADDR": "127.0.0.1", "wsgi.url_scheme": "http"}
    said: list[Any] = []
    WatchApp(WatchOptions(token=TOKEN))(environ, lambda *given: said.extend(given))
    assert said[0].startswith("303 ")


def test_fields_are_read_once_and_the_first_counts() -> None:
    """Names repeat, values are empty, and what is no form has no field."""
    body = b"a=1&a=2&b=&c=%e2%82%ac&d=x+y"
    given = {"CONTENT_TYPE": FORM.upper(), "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body)}
    assert form_fields(given) == {"a": "1", "b": "", "c": "\u20ac", "d": "x y"}
    assert query_fields({"QUERY_STRING": "a=1&a=2"}) == {"a": "1"}
    assert form_fields({}) == query_fields({}) == {}
    for length in ("x", "-1", "+1", "1.0"):
        with pytest.raises(UnreadableForm):
            form_fields({"CONTENT_LENGTH": length})


def logged_in(page: TestApp) -> tuple[str, str]:
    """Log in: the cookie as a browser sends it back, and the value for forms."""
    cookie = page.post("/login", {"token": TOKEN}, status=303).headers["Set-Cookie"].partition(";")[0]
    found = re.search('pastepool-csrf" content="([^"]+)', page.get("/", headers={"Cookie": cookie}, status=501).text)
    assert found is not None
    return cookie, found[1]


def test_logout_ends_the_session_and_no_other() -> None:
    """A cookie that was copied before the logout lets nobody in after it; a second login goes on."""
    page, again = visiting(), visiting()
    (cookie, csrf), (other, _) = logged_in(page), logged_in(again)
    assert page.post("/logout", {"csrf": csrf}, headers={"Cookie": cookie}, status=303)
    page.reset()
    assert page.get("/api/v1/state", headers={"Cookie": cookie}, status=401)
    assert page.post("/api/v1/dump", {"csrf": csrf}, headers={"Cookie": cookie}, status=401)
    assert again.get("/api/v1/state", headers={"Cookie": other}, status=200)


def test_logout_with_the_token_in_a_header_ends_the_session_of_the_cookie_too() -> None:
    """Whatever let the visitor in, the cookie that came along is no use afterwards."""
    page = visiting()
    cookie, _ = logged_in(page)
    page.post("/logout", headers={"Cookie": cookie, "X-Pastepool-Token": TOKEN}, status=303)
    page.reset()
    page.get("/api/v1/state", headers={"Cookie": cookie}, status=401)


def test_session_is_the_same_in_every_process_with_the_token() -> None:
    """Cookie and form of one process are good in another, and of no use to another session."""
    one, other, home = Gate(TOKEN, LOOPBACK), Gate(TOKEN, LOOPBACK), Visitor("127.0.0.1")
    first, second = (other.judge({"HTTP_COOKIE": f"{COOKIE}={one.cookie(NOW)}"}, home, NOW).session for _ in range(2))
    assert first and second and first != second
    assert other.judge_change({}, one.csrf_of(first), "cookie", first).status == 200
    assert other.judge_change({}, one.csrf_of(first), "cookie", second).status == 403
    assert other.judge_change({}, one.csrf, "cookie", first).status == 403
    assert Gate("another-long-token-x", LOOPBACK).csrf_of(first) != one.csrf_of(first)


def test_stream_ends_with_its_session() -> None:
    """A stream that is open when its visitor logs out ends; so does one whose twelve hours are over."""
    with watched(plain(), token=TOKEN) as run:
        response = run.ask("/login", method="POST", body=f"token={TOKEN}".encode())
        cookie = f"Cookie: {response.fields['set-cookie'].partition(';')[0]}"
        page = run.ask("/", cookie).body.decode()
        found = re.search('pastepool-csrf" content="([^"]+)', page)
        assert found is not None
        with Client(run.admin_port) as streaming:
            streaming.ask("/api/v1/events", cookie, f"Host: localhost:{run.admin_port}", version="1.0")
            assert b"200 OK" in streaming.read_until(b"event: state")
            assert run.ask("/logout", cookie, method="POST", body=f"csrf={found[1]}".encode()).status == 303
            streaming.rest()
    gate, home = Gate(TOKEN, LOOPBACK), Visitor("127.0.0.1")
    admission = gate.judge({"HTTP_COOKIE": f"{COOKIE}={gate.cookie(NOW)}"}, home, NOW)
    assert gate.still_admits(admission, NOW + LOGGED_IN_FOR - 1)
    assert not gate.still_admits(admission, NOW + LOGGED_IN_FOR)
    assert gate.still_admits(gate.judge({"HTTP_X_PASTEPOOL_TOKEN": TOKEN}, home, NOW), NOW + 2 * LOGGED_IN_FOR)


@pytest.mark.parametrize(
    ("origin", "scheme", "secure"),
    [
        ("https://shop.example", "http", True),
        ("HTTPS://shop.example", "http", True),
        ("http://shop.example", "http", False),
        ("", "http", False),
        ("", "https", True),
    ],
)
def test_cookie_is_secure_where_the_browser_uses_https(origin: str, scheme: str, secure: bool) -> None:
    """Behind a proxy that takes TLS off, the Origin of the form says so; the cookie is deleted with the same words."""
    page = visiting(**{"wsgi.url_scheme": scheme})
    headers = {"Host": "shop.example", **({"Origin": origin} if origin else {})}
    given = page.post("/login", {"token": TOKEN}, headers=headers, status=303).headers["Set-Cookie"]
    assert ("; Secure" in given) is secure
    headers |= {"X-Pastepool-Token": TOKEN}
    gone = page.post("/logout", headers=headers, status=303).headers["Set-Cookie"]
    assert ("; Secure" in gone) is secure and "Max-Age=0" in gone


@pytest.mark.parametrize("door", ["header", "bearer", "form"])
def test_wrong_tokens_are_logged_and_slowed_down(door: str, caplog: pytest.LogCaptureFixture) -> None:
    """
    Ten different ones are looked at, and each has a line with its address. Then nothing is looked at for a while, not
    even the right one; the answer says how long. A visitor with a session is not affected.
    """
    page = visiting()
    cookie, _ = logged_in(page)
    page.reset()

    def tried(token: str) -> Any:
        if door == "form":
            return page.post("/login", {"token": token}, status="*")
        name, value = ("Authorization", f"Bearer {token}") if door == "bearer" else ("X-Pastepool-Token", token)
        return page.get("/api/v1/state", headers={name: value}, status="*")

    assert [tried(f"wrong-{number}").status_int for number in range(TRIES)] == [401] * TRIES
    for token in ("wrong-again", TOKEN, "wrong-once-more"):
        response = tried(token)
        assert response.status_int == 429 and 1 <= int(response.headers["Retry-After"]) <= TRY_EVERY
        assert "Set-Cookie" not in response.headers
    page.reset()
    assert page.get("/api/v1/state", headers={"Cookie": cookie}, status=200).json["you"]["logged_in"]
    assert page.get("/static/style.css", status=200)
    told = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert len(told) == TRIES and all(line.startswith("127.0.0.1: refused ") for line in told)
    assert not any("wrong-" in line or TOKEN in line for line in told)


def test_client_that_is_slowed_down_may_try_again_after_a_while() -> None:
    """One try every two seconds, and all ten again after a pause."""
    tries = Tries()
    for number in range(TRIES):
        assert tries.wait_for("10.0.0.1", str(number), NOW) == 0
        assert tries.wrong("10.0.0.1", str(number), NOW)
    assert tries.wait_for("10.0.0.1", "x", NOW) == TRY_EVERY
    assert tries.wait_for("10.0.0.1", "x", NOW + TRY_EVERY) == 0
    assert tries.wrong("10.0.0.1", "x", NOW + TRY_EVERY)
    assert tries.wait_for("10.0.0.1", "y", NOW + TRY_EVERY) == TRY_EVERY
    for number in range(TRIES):
        assert tries.wait_for("10.0.0.1", str(number), NOW + 100) == 0
        tries.wrong("10.0.0.1", str(number), NOW + 100)
    assert tries.wait_for("10.0.0.1", "z", NOW + 100) == TRY_EVERY


def test_clients_are_counted_apart() -> None:
    """One that tries does not slow down another; the addresses of one IPv6 network are one client."""
    tries = Tries()
    for number in range(TRIES):
        tries.wrong("10.0.0.1", str(number), NOW)
        tries.wrong(f"2001:db8::{number}", str(number), NOW)
    assert tries.wait_for("10.0.0.1", "x", NOW) == tries.wait_for("::ffff:10.0.0.1", "x", NOW) == TRY_EVERY
    assert tries.wait_for("2001:db8::ffff", "x", NOW) == TRY_EVERY
    assert tries.wait_for("10.0.0.2", "x", NOW) == tries.wait_for("2001:db8:1::1", "x", NOW) == 0


def test_old_token_of_a_program_is_one_try() -> None:
    """A program with a token that was changed asks on and on: it guesses nothing, fills no log, and bars nobody."""
    tries = Tries()
    told = [tries.wrong("10.0.0.1", "old", NOW + second) for second in range(300)]
    assert told.count(True) == 5
    assert tries.wait_for("10.0.0.1", "old", NOW) == tries.wait_for("10.0.0.1", "new", NOW) == 0


@pytest.mark.parametrize("jump", [86400.0, -86400.0], ids=["forward", "back"])
def test_wall_clock_that_jumps_changes_no_wait(jump: float) -> None:
    """It gives a client that guesses no more tries, and makes no client wait longer: the wait is a duration."""
    clock, home = FakeClock(), Visitor("127.0.0.1")
    gate = Gate(TOKEN, LOOPBACK, clock=clock)
    for number in range(TRIES):
        assert gate.judge({"HTTP_X_PASTEPOOL_TOKEN": f"wrong-{number}"}, home, NOW).status == 401
    right = {"HTTP_X_PASTEPOOL_TOKEN": TOKEN}
    refused = gate.judge(right, home, NOW + jump)
    assert (refused.status, refused.retry_after) == (429, TRY_EVERY)
    clock.advance(TRY_EVERY)
    assert gate.judge(right, home, NOW + jump).status == 200


def test_clients_that_are_remembered_are_bounded() -> None:
    """A whole network of clients does not fill the memory."""
    tries = Tries()
    for number in range(3000):
        tries.wrong(f"10.0.{number // 250}.{number % 250}", "x", NOW)
    assert len(tries._clients) <= 1000


def test_refusal_of_a_try_is_answered_in_every_kind() -> None:
    """A browser gets the form again, a program JSON."""
    page = visiting()
    for number in range(TRIES):
        page.post("/login", {"token": f"wrong-{number}"}, status=401)
    html = page.post("/login", {"token": TOKEN}, headers={"Accept": "text/html"}, status=429)
    assert 'type="password"' in html.text and "try again in 2 s" in html.text
    said = page.get("/api/v1/state", headers={"X-Pastepool-Token": TOKEN}, status=429)
    assert json.loads(said.text)["ok"] is False
