"""Who is let in, and which POST is believed. Pure: environs in, verdicts out."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from pastepool.settings.networks import LOOPBACK
from pastepool.watch.access import COOKIE, Gate, cookie_value, judge_origin
from pastepool.watch.sessions import LOGGED_IN_FOR
from pastepool.watch.visitor import FORWARDED_BY, Visitor, identify

TOKEN = "correct-horse-battery"
HOME = Visitor("127.0.0.1")
NOW = 1_800_000_000.0


def environ(**fields: Any) -> dict[str, Any]:
    """A request for this machine's own name."""
    return {"HTTP_HOST": "localhost:8081", "REMOTE_ADDR": "127.0.0.1", **fields}


def open_gate(*networks: str) -> Gate:
    """A gate with a token, for these networks or this machine."""
    return Gate(TOKEN, tuple(map(ipaddress.ip_network, networks)) or LOOPBACK)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_this_machine_is_let_in_without_a_token(address: str) -> None:
    """Loopback in each of its spellings passes."""
    assert Gate("", LOOPBACK).judge(environ(), Visitor(address), NOW).status == 200


@pytest.mark.parametrize("address", ["10.0.0.5", "2001:db8::1", "::ffff:10.0.0.5", "", "unix", "127.0.0.1.evil"])
def test_other_machines_are_sent_away_without_a_token(address: str) -> None:
    """An address that is not loopback, and one that is not known, is refused with a remedy."""
    verdict = Gate("", LOOPBACK).judge(environ(), Visitor(address), NOW)
    assert verdict.status == 403 and verdict.text.endswith(".")


def test_client_on_a_unix_socket_is_on_this_machine() -> None:
    """It has no address, and the server vouches that it came by a unix socket. Networks that leave loopback out shut it out."""
    local = Visitor("", is_local=True)
    assert Gate("", LOOPBACK).judge(environ(), local, NOW).status == 200
    assert open_gate().judge(environ(HTTP_X_PASTEPOOL_TOKEN=TOKEN), local, NOW).status == 200
    assert open_gate("10.0.0.0/8").judge(environ(HTTP_X_PASTEPOOL_TOKEN=TOKEN), local, NOW).status == 403


def test_networks_alone_do_not_open_the_page() -> None:
    """A gate with networks but no token still lets in only this machine."""
    gate = Gate("", (ipaddress.ip_network("0.0.0.0/0"),))
    assert gate.judge(environ(), Visitor("10.0.0.5"), NOW).status == 403


@pytest.mark.parametrize("key", FORWARDED_BY)
def test_a_proxy_on_this_machine_opens_nothing(key: str) -> None:
    """Behind a local proxy everybody is loopback, so without a token its traces shut the door, whatever they say."""
    visitor = identify(environ(**{key: "127.0.0.1"}), None)
    assert Gate("", LOOPBACK).judge(environ(), visitor, NOW).status == 403
    assert open_gate().judge(environ(HTTP_X_PASTEPOOL_TOKEN=TOKEN), visitor, NOW).status == 200


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8081", "127.0.0.1:8081", "[::1]:8081", "app.localhost", "localhost."]
)
def test_names_of_this_machine_are_known(host: str) -> None:
    """Each way to write this machine's own name passes."""
    assert Gate("", LOOPBACK).judge(environ(HTTP_HOST=host), HOME, NOW).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8081", "127.0.0.1.evil.example", "localhost.evil.example", "", "[::2]"]
)
def test_foreign_names_are_refused_without_a_token(host: str) -> None:
    """A page of another site that made its own name point here (DNS rebinding) is told nothing."""
    assert Gate("", LOOPBACK).judge(environ(HTTP_HOST=host), HOME, NOW).status == 403
    assert open_gate().judge(environ(HTTP_HOST=host, HTTP_X_PASTEPOOL_TOKEN=TOKEN), HOME, NOW).status == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"HTTP_AUTHORIZATION": f"Bearer {TOKEN}"},
        {"HTTP_AUTHORIZATION": f"bearer  {TOKEN}"},
        {"HTTP_X_PASTEPOOL_TOKEN": TOKEN},
    ],
)
def test_token_in_a_header_lets_in(fields: dict[str, str]) -> None:
    """Either header carries the token."""
    verdict = open_gate("10.0.0.0/8").judge(environ(**fields), Visitor("10.1.2.3"), NOW)
    assert (verdict.status, verdict.by) == (200, "header")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"HTTP_AUTHORIZATION": f"Basic {TOKEN}"},
        {"HTTP_AUTHORIZATION": "Bearer "},
        {"HTTP_X_PASTEPOOL_TOKEN": TOKEN[:-1]},
        {"HTTP_X_PASTEPOOL_TOKEN": TOKEN + " "},
        {"HTTP_X_PASTEPOOL_TOKEN": "\udcff\xe9"},
        {"QUERY_STRING": f"token={TOKEN}"},
        {"HTTP_COOKIE": f"{COOKIE}={TOKEN}"},
    ],
)
def test_anything_but_the_token_is_asked_for_it(fields: dict[str, str]) -> None:
    """A wrong token, a token in the URL, and the bare token as a cookie are no token."""
    assert open_gate().judge(environ(**fields), HOME, NOW).status == 401


@pytest.mark.parametrize("fields", [{}, {"HTTP_X_PASTEPOOL_TOKEN": "of-yesterday"}], ids=["none", "wrong"])
def test_visitor_is_told_where_a_drawn_token_is(fields: dict[str, str]) -> None:
    """Also after a wrong one: each start draws another token, and a browser may have kept the old one."""
    drawn = Gate(TOKEN, LOOPBACK, drawn=True).judge(environ(**fields), HOME, NOW)
    assert drawn.status == 401 and "log (logger pastepool.watch)" in drawn.text and TOKEN not in drawn.text
    assert "pastepool.watch" not in open_gate().judge(environ(**fields), HOME, NOW).text


def test_token_does_not_help_from_elsewhere() -> None:
    """The network is judged first, by the connection's own address."""
    verdict = open_gate("10.0.0.0/8").judge(environ(HTTP_X_PASTEPOOL_TOKEN=TOKEN), Visitor("192.0.2.1"), NOW)
    assert verdict.status == 403 and "10.0.0.0" not in verdict.text


def test_cookie_lets_in_until_it_is_old() -> None:
    """What a login gives lasts a working day, works in every process with the same token, and in none with another."""
    cookie = open_gate().cookie(NOW)
    given = environ(HTTP_COOKIE=f"other=1; {COOKIE}={cookie}")
    assert open_gate().judge(given, HOME, NOW + LOGGED_IN_FOR - 1).by == "cookie"
    assert open_gate().judge(given, HOME, NOW + LOGGED_IN_FOR + 1).status == 401
    assert Gate("another-long-token-x", LOOPBACK).judge(given, HOME, NOW).status == 401
    assert TOKEN not in cookie


@pytest.mark.parametrize(
    "change", [lambda c: "9" + c, lambda c: c[:-1] + "0" + c[-1], lambda c: "", lambda c: "." + c, lambda c: "٣" + c]
)
def test_cookie_cannot_be_made_up(change: Any) -> None:
    """A prolonged, a damaged and an empty cookie are none."""
    cookie = change(open_gate().cookie(NOW))
    assert open_gate().judge(environ(HTTP_COOKIE=f"{COOKIE}={cookie}"), HOME, NOW).status == 401


def test_secrets_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Token, cookie and csrf value are compared by what takes as long for a near miss as for a far one."""
    compared = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(other)
        return one == other

    monkeypatch.setattr("pastepool.watch.access.hmac.compare_digest", compare)
    gate = open_gate()
    gate.judge(environ(HTTP_X_PASTEPOOL_TOKEN="wrong"), HOME, NOW)
    assert compared == [TOKEN.encode()] or compared == [TOKEN.encode(), b""]
    compared.clear()
    cookie = gate.cookie(NOW)
    assert gate.judge(environ(HTTP_COOKIE=f"{COOKIE}={cookie}"), HOME, NOW).by == "cookie"
    assert compared == [cookie.partition(".")[2].encode()]
    compared.clear()
    assert gate.judge_change(environ(), "wrong", "cookie").status == 403
    assert compared == [gate.csrf.encode()]


def test_cookie_is_found_among_others() -> None:
    """The name must be whole."""
    assert cookie_value(f"x{COOKIE}=no; {COOKIE} = yes ;y=1") == "yes"
    assert cookie_value("") == ""


@pytest.mark.parametrize("fields", [{"HTTP_SEC_FETCH_SITE": site} for site in ("cross-site", "same-site", "none", "")])
def test_browsers_word_on_other_sites_is_taken(fields: dict[str, str]) -> None:
    """Only same-origin may change anything, whatever Origin says."""
    assert judge_origin(environ(HTTP_ORIGIN="http://localhost:8081", **fields)).status == 403


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:8082", "http://localhost:8081.evil.example"]
)
def test_foreign_origin_is_refused(origin: str) -> None:
    """Where a browser sends no Sec-Fetch-Site its Origin decides."""
    verdict = judge_origin(environ(HTTP_ORIGIN=origin))
    assert verdict.status == 403
    assert f"Origin is {origin}, but Host is localhost:8081. If a proxy" in verdict.text


def test_own_origin_and_no_browser_pass_as_far_as_csrf() -> None:
    """Our own page passes with its value; without the value nothing does, except a token in a header."""
    gate = open_gate()
    for fields in ({"HTTP_SEC_FETCH_SITE": "same-origin"}, {"HTTP_ORIGIN": "http://localhost:8081"}, {}):
        assert gate.judge_change(environ(**fields), gate.csrf, "cookie").status == 200
        assert gate.judge_change(environ(HTTP_X_PASTEPOOL_CSRF=gate.csrf, **fields), "", "cookie").status == 200
        for wrong in ("", "x", gate.csrf[:-1], open_gate().csrf, "\udcff"):
            assert gate.judge_change(environ(**fields), wrong, "cookie").status == 403
    assert gate.judge_change(environ(), "", "header").status == 200
