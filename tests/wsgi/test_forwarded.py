"""What a proxy says of the client: believed only from the trusted one, read as waitress reads it, removed otherwise."""

from __future__ import annotations

import copy
import logging
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from waitress.proxy_headers import proxy_headers_middleware

from pastepool.core.proxy_trust import FOR, FORWARDED, HOST, KEYS, KNOWN, PORT, PROTO, ProxyTrust
from pastepool.wsgi.forwarded import behind_proxy

PEER = "10.0.0.1"
REFUSED = "refused"
Environ = dict[str, Any]


def environ_of(peer: str = PEER, **fields: str) -> Environ:
    """An environ with fields of proxies, named by their words: ``x_forwarded_for``."""
    environ: Environ = {
        "REMOTE_ADDR": peer,
        "REMOTE_PORT": "50000",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8080",
        "HTTP_HOST": "inside",
        "wsgi.url_scheme": "http",
        "REQUEST_METHOD": "GET",
    }
    return environ | {f"HTTP_{name.upper()}": value for name, value in fields.items()}


def seen(wrapped: Any, environ: Environ) -> Environ | str:
    """Call a wrapped application, and return the environ that it saw, or that the request was refused."""
    statuses: list[str] = []
    body = b"".join(wrapped(environ, lambda status, headers, exc_info=None: statuses.append(status)))
    if statuses:
        assert statuses[0].startswith("400") and body
        return REFUSED
    return environ


def quiet(environ: Environ, start_response: Any) -> list[bytes]:
    """An application that answers nothing."""
    return []


def ours(trust: ProxyTrust, environ: Environ) -> Environ | str:
    """What the application sees here, without the keys that are ours alone."""
    found = seen(behind_proxy(quiet, trust, lambda text: None), copy.copy(environ))
    if not isinstance(found, str):
        found.pop("pastepool.peer", None)
        found.pop("pastepool.forwarded", None)
    return found


def theirs(trust: ProxyTrust, environ: Environ) -> Environ | str:
    """What the application sees with waitress."""
    logger = logging.Logger("waitress", logging.CRITICAL)
    wrapped = proxy_headers_middleware(
        quiet, trust.proxy or None, trust.count, set(trust.headers), trust.clear, trust.log_cleared, logger
    )
    try:
        return seen(wrapped, copy.copy(environ))
    except IndexError:  # a client without an address: waitress answers 500
        return REFUSED


ALL_X = frozenset(KNOWN) - {FORWARDED}


@pytest.mark.parametrize(
    ("fields", "changed"),
    [
        ({"x_forwarded_for": "192.0.2.1"}, {"REMOTE_ADDR": "192.0.2.1"}),
        ({"x_forwarded_for": "spoofed, 192.0.2.1"}, {"REMOTE_ADDR": "192.0.2.1", "HTTP_X_FORWARDED_FOR": "192.0.2.1"}),
        ({"x_forwarded_for": "192.0.2.1:4711"}, {"REMOTE_ADDR": "192.0.2.1", "REMOTE_PORT": "4711"}),
        ({"x_forwarded_for": "2001:db8::1"}, {"REMOTE_ADDR": "2001:db8::1", "REMOTE_PORT": "50000"}),
        ({"x_forwarded_for": '"[2001:db8::1]:4711"'}, {"REMOTE_ADDR": "2001:db8::1", "REMOTE_PORT": "4711"}),
        ({"x_forwarded_for": "unknown"}, {"REMOTE_ADDR": "unknown"}),
        ({"x_forwarded_for": ""}, {"REMOTE_ADDR": PEER}),
        ({"x_forwarded_proto": "HTTPS"}, {"wsgi.url_scheme": "https", "SERVER_PORT": "443"}),
        ({"x_forwarded_host": "shop.example"}, {"HTTP_HOST": "shop.example", "SERVER_NAME": "shop.example"}),
        ({"x_forwarded_host": "a, shop.example:81"}, {"HTTP_HOST": "shop.example:81", "SERVER_PORT": "81"}),
        (
            {"x_forwarded_host": "shop.example", "x_forwarded_proto": "https", "x_forwarded_port": "8443"},
            {"HTTP_HOST": "shop.example:8443", "SERVER_PORT": "8443", "wsgi.url_scheme": "https"},
        ),
        ({"x_forwarded_host": "[::1]", "x_forwarded_port": "443"}, {"HTTP_HOST": "[::1]:443", "SERVER_PORT": "443"}),
        ({"x_forwarded_by": "proxy"}, {"HTTP_X_FORWARDED_BY": "proxy"}),
        ({"forwarded": "for=1.2.3.4"}, {"REMOTE_ADDR": PEER, "HTTP_FORWARDED": None}),
    ],
)
def test_trusted_proxy_is_believed(fields: dict[str, str], changed: dict[str, str | None]) -> None:
    """Of a list the last entry counts: it is the one that the trusted proxy itself has added."""
    trust = ProxyTrust(PEER, 1, ALL_X, clear=True)
    found = ours(trust, environ_of(**fields))
    assert not isinstance(found, str)
    assert {key: found.get(key) for key in changed} == changed
    if "[" not in fields.get("x_forwarded_for", ""):  # waitress takes the port there for a part of the address
        assert found == theirs(trust, environ_of(**fields))


@pytest.mark.parametrize(
    ("text", "count", "client"),
    [
        ("for=192.0.2.1", 1, "192.0.2.1"),
        ('for="[2001:db8::1]:80";proto=https;host=Shop.Example', 1, "2001:db8::1"),
        ("for=spoofed, for=192.0.2.1", 1, "192.0.2.1"),
        ("for=spoofed, for=192.0.2.1, for=10.0.0.2", 2, "192.0.2.1"),
        ("for=192.0.2.1, proto=https", 2, "192.0.2.1"),
        ("by=proxy;unknown=1;;for=192.0.2.1", 1, "192.0.2.1"),
    ],
)
def test_forwarded_field_of_the_rfc(text: str, count: int, client: str) -> None:
    """RFC 7239: of so many entries from the right, the leftmost that names a client counts."""
    trust = ProxyTrust("*", count, frozenset({FORWARDED}), clear=True)
    found = ours(trust, environ_of(forwarded=text))
    assert not isinstance(found, str) and found["REMOTE_ADDR"] == client
    assert found == theirs(trust, environ_of(forwarded=text))


@pytest.mark.parametrize(
    "fields",
    [
        {"x_forwarded_proto": "ftp"},
        {"x_forwarded_proto": "https,http"},
        {"x_forwarded_port": "80,81"},
        {"x_forwarded_port": "http"},
        {"x_forwarded_for": '"192.0.2.1'},
        {"x_forwarded_for": '"a"b"'},
        {"x_forwarded_for": ".:80", "x_forwarded_host": 'a"'},
        {"x_forwarded_host": '"'},
        {"forwarded": "for"},
        {"forwarded": "for = 1"},
        {"forwarded": "for= 1"},
        {"forwarded": 'for="1'},
        {"forwarded": "proto=gopher"},
        {"forwarded": 'for=":80"'},
    ],
)
def test_field_of_a_trusted_proxy_that_cannot_be_understood_is_answered_400(fields: dict[str, str]) -> None:
    """The proxy is wrong, and a guess could be a spoofed client, so the application is not called."""
    told: list[str] = []
    headers = frozenset({FORWARDED}) if "forwarded" in fields else ALL_X
    wrapped = behind_proxy(quiet, ProxyTrust("*", 1, headers, clear=True), told.append)
    assert seen(wrapped, environ_of(**fields)) == REFUSED
    (line,) = told
    assert "is malformed: " in line and f"The request from {PEER} is answered 400." in line


@pytest.mark.parametrize("peer", ["10.0.0.2", "", "::1"])
def test_nobody_else_is_believed(peer: str) -> None:
    """From another address, every field is removed, and the application is told that there were some."""
    fields = {key[5:].lower(): "for=1" for key in (KEYS[name] for name in KNOWN)}
    trust = ProxyTrust(PEER, 1, ALL_X, clear=True)
    environ = environ_of(peer, **fields)
    found = seen(behind_proxy(quiet, trust, lambda text: None), environ)
    assert found == environ_of(peer) | {"pastepool.forwarded": True}


def test_fields_stay_where_they_are_not_to_be_removed() -> None:
    """Without ``clear_untrusted_proxy_headers`` a middleware may judge them."""
    environ = environ_of("10.0.0.2", x_forwarded_for="1.2.3.4")
    assert ours(ProxyTrust(PEER, 1, ALL_X), environ) == environ


def test_nothing_to_do_costs_nothing() -> None:
    """Where nobody is trusted and nothing removed, the application is called itself."""
    assert behind_proxy(quiet, ProxyTrust(), print) is quiet


def test_removed_fields_are_named_in_the_log_where_asked_for() -> None:
    """One line names them; a request without such fields has none."""
    told: list[str] = []
    wrapped = behind_proxy(quiet, ProxyTrust(clear=True, log_cleared=True), told.append)
    seen(wrapped, environ_of())
    seen(wrapped, environ_of(x_forwarded_for="1", forwarded="for=1"))
    assert len(told) == 1 and told[0].startswith("Removed untrusted fields: forwarded, x-forwarded-for.")


@pytest.mark.parametrize(("peer", "trusted"), [("::ffff:10.0.0.1", "10.0.0.1"), ("", "localhost")])
def test_peer_has_one_name(peer: str, trusted: str) -> None:
    """An IPv4 client at a socket of IPv6 has its IPv4 address; the peer of a unix socket is ``localhost``."""
    found = ours(ProxyTrust(trusted, 1, ALL_X), environ_of(peer, x_forwarded_for="192.0.2.1"))
    assert not isinstance(found, str) and found["REMOTE_ADDR"] == "192.0.2.1"


def test_address_of_the_connection_is_kept() -> None:
    """``pastepool.peer`` is there where REMOTE_ADDR is no longer the address of the connection."""
    wrapped = behind_proxy(quiet, ProxyTrust(PEER, 1, ALL_X), lambda text: None)
    environ = environ_of(x_forwarded_for="192.0.2.1")
    seen(wrapped, environ)
    assert environ["pastepool.peer"] == PEER


PIECES = st.sampled_from(
    [
        "192.0.2.1",
        "::1",
        "[::1]",
        ":80",
        '"',
        ",",
        ";",
        "=",
        " ",
        "for=",
        "host=",
        "proto=",
        "https",
        "http",
        "\\",
        "a",
        ".",
    ]
)
VALUES = st.lists(PIECES, max_size=8).map("".join).filter(lambda text: not text.strip(" ,") or text == text.strip())
HEADERS = st.sampled_from([*({name} for name in KNOWN), ALL_X, {FOR, PROTO}, {HOST, PORT}])


@example(values={"forwarded": '="'}, headers={"forwarded"}, count=1, clear=False, peer=PEER)
@example(values={"x_forwarded_for": "[::1"}, headers={FOR}, count=1, clear=True, peer=PEER)
@example(values={"x_forwarded_for": "[2001:db8::1]a"}, headers={FOR}, count=1, clear=True, peer=PEER)
@example(values={"x_forwarded_for": '"192.0.2.1,,'}, headers={FOR}, count=1, clear=True, peer=PEER)
@given(
    values=st.fixed_dictionaries({}, optional={key[5:].lower(): VALUES for key in (KEYS[name] for name in KNOWN)}),
    headers=HEADERS,
    count=st.integers(1, 3),
    clear=st.booleans(),
    peer=st.sampled_from([PEER, "10.0.0.2"]),
)
def test_any_fields_mean_what_they_mean_to_waitress(
    values: dict[str, str], headers: set[str], count: int, clear: bool, peer: str
) -> None:
    """Over random fields the application sees the same, and what is refused there is refused here."""
    trust = ProxyTrust(PEER, count, frozenset(headers), clear)
    environ = environ_of(peer, **values)
    here, there = ours(trust, environ), theirs(trust, environ)
    if FOR in headers and "]:" in environ.get(KEYS[FOR], ""):
        return  # a port behind an address in brackets is understood here, and not there
    if here == REFUSED and there != REFUSED:
        port = environ.get(KEYS[PORT], "")
        assert PORT in headers and not port.strip('"').isdigit(), "refused without need"
    else:
        assert here == there
