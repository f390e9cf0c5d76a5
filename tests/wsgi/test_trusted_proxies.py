"""What trusted proxies say of the client, what others say, and what a client can make up."""

from __future__ import annotations

import ipaddress
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pastepool.core.proxy_trust import FORWARDED, PREFIX, UNIX, X_FORWARDED, TrustedProxies
from pastepool.http1.target import is_host
from pastepool.wsgi.trusted_proxies import _Believed, behind_trusted_proxies

Environ = dict[str, Any]
PROXIES = TrustedProxies((ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")))
RFC7239 = TrustedProxies(PROXIES.peers, (FORWARDED,))


def environ_of(peer: str = "10.0.0.1", path: str = "/shop/cart", **fields: str) -> Environ:
    """An environ with fields, named by their words: ``x_forwarded_for``."""
    environ: Environ = {
        "REMOTE_ADDR": peer,
        "REMOTE_PORT": "50000",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8080",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "HTTP_HOST": "inside",
        "wsgi.url_scheme": "http",
    }
    return environ | {f"HTTP_{name.upper()}": value for name, value in fields.items()}


def seen(trusted: TrustedProxies, environ: Environ) -> Environ:
    """Return the environ with which the application is called."""
    given: list[Environ] = []

    def application(environ: Environ, start_response: Any) -> list[bytes]:
        given.append(environ)
        return []

    assert list(behind_trusted_proxies(application, trusted)(environ, lambda *ignored: None)) == []
    return given[0]


def client(chain: str, peer: str = "10.0.0.1", trusted: TrustedProxies = PROXIES) -> str:
    """Return the client's address that is found in X-Forwarded-For, or in Forwarded."""
    name = "forwarded" if FORWARDED in trusted.fields else "x_forwarded_for"
    return str(seen(trusted, environ_of(peer, **{name: chain}))["REMOTE_ADDR"])


def test_without_trusted_proxies_nothing_is_changed() -> None:
    """As with Paste: the application itself, not a wrapper."""
    assert behind_trusted_proxies(seen, TrustedProxies()) is seen  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("chain", "found"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("203.0.113.9, 192.0.2.1", "192.0.2.1"),
        ("192.0.2.1, 10.0.0.2", "192.0.2.1"),
        ("6.6.6.6, 192.0.2.1, 10.0.0.3, 10.0.0.2", "192.0.2.1"),
        ("10.0.0.9, 192.0.2.1", "192.0.2.1"),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("2001:db8::1, fd00::2", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1,, 10.0.0.2", "10.0.0.2"),
        ("192.0.2.1, unknown", "10.0.0.1"),
        ("192.0.2.1, _hidden, 10.0.0.2", "10.0.0.2"),
        ("192.0.2.1, garbage, 10.0.0.2", "10.0.0.2"),
        ("garbage", "10.0.0.1"),
        ("", "10.0.0.1"),
        (",", "10.0.0.1"),
        ("1.2.3", "10.0.0.1"),
        ("999.1.1.1", "10.0.0.1"),
        ("127.0.0.1'; DROP TABLE", "10.0.0.1"),
        ("192.0.2.1, " + ", ".join(["10.0.0.2"] * 16), "10.0.0.2"),
        ("192.0.2.1, " + ", ".join(["10.0.0.2"] * 15), "192.0.2.1"),
    ],
)
def test_the_walk_to_the_client(chain: str, found: str) -> None:
    """From the end over trusted addresses to the first other one. The left-most is never taken because it is there."""
    assert client(chain) == found


@pytest.mark.parametrize(
    ("chain", "found"),
    [
        ("for=192.0.2.1", "192.0.2.1"),
        ('for="[2001:db8::1]:1"', "2001:db8::1"),
        ("for=6.6.6.6, For=192.0.2.1;proto=http;by=10.0.0.1, for=10.0.0.2", "192.0.2.1"),
        ("for=192.0.2.1, for=unknown", "10.0.0.1"),
        ("for=192.0.2.1, for=_x, for=10.0.0.2", "10.0.0.2"),
        ('for=192.0.2.1, for="10.0.0.2', "10.0.0.1"),
        ('for=10.0.0.2;host="a, for=6.6.6.6"', "10.0.0.1"),
        ('for=10.0.0.2;host="a, for=6.6.6.6;b=\\""', "10.0.0.1"),
        ("192.0.2.1", "10.0.0.1"),
        ("for=192.0.2.1;", "10.0.0.1"),
        ("proto=https, for=10.0.0.2", "10.0.0.2"),
        ("for=192.0.2.1, proto=https", "10.0.0.1"),
        ('for="192\\.0.2.1"', "192.0.2.1"),
    ],
)
def test_the_walk_in_the_field_of_rfc_7239(chain: str, found: str) -> None:
    """Quotes, ports and hidden names are understood. A client cannot write an entry by a quoted comma."""
    assert client(chain, trusted=RFC7239) == found


def test_what_the_client_wrote_itself_is_removed() -> None:
    """An application that takes the left-most entry gets one that a proxy wrote."""
    environ = seen(PROXIES, environ_of(x_forwarded_for="6.6.6.6, 192.0.2.1, 10.0.0.2"))
    assert environ["HTTP_X_FORWARDED_FOR"] == "192.0.2.1, 10.0.0.2"
    assert (environ["pastepool.peer"], environ["REMOTE_PORT"]) == ("10.0.0.1", "")
    assert environ["pastepool.forwarded"] is True
    whole = seen(PROXIES, environ_of(x_forwarded_for="192.0.2.1, 10.0.0.2"))
    assert "pastepool.forwarded" not in whole
    assert "HTTP_X_FORWARDED_FOR" not in seen(PROXIES, environ_of(x_forwarded_for="6.6.6.6, unknown"))


@pytest.mark.parametrize("peer", ["192.0.2.7", "::1", ""])
@pytest.mark.parametrize("trusted", [PROXIES, RFC7239])
def test_from_another_peer_every_field_is_removed(peer: str, trusted: TrustedProxies) -> None:
    """Also those that only frameworks know."""
    fields = {"x_forwarded_for": "1.1.1.1", "x_forwarded_ssl": "on", "forwarded": "for=1.1.1.1"}
    environ = seen(trusted, environ_of(peer, **fields, x_other="kept"))
    assert environ == {**environ_of(peer, x_other="kept"), "pastepool.forwarded": True}


def test_a_client_on_a_unix_socket_is_trusted_by_a_word() -> None:
    """It has no address."""
    trusted = TrustedProxies((UNIX,))
    assert seen(trusted, environ_of("", x_forwarded_for="192.0.2.1"))["REMOTE_ADDR"] == "192.0.2.1"
    assert seen(trusted, environ_of("10.0.0.1", x_forwarded_for="192.0.2.1"))["REMOTE_ADDR"] == "10.0.0.1"


def test_only_the_chosen_family_counts() -> None:
    """A client could send the other one through the proxy."""
    both = {"x_forwarded_for": "192.0.2.1", "forwarded": "for=192.0.2.2;proto=https", "x_forwarded_proto": "http"}
    ours = seen(PROXIES, environ_of(**both))
    assert (ours["REMOTE_ADDR"], ours["wsgi.url_scheme"]) == ("192.0.2.1", "http")
    assert "HTTP_FORWARDED" not in ours
    ours = seen(RFC7239, environ_of(**both))
    assert (ours["REMOTE_ADDR"], ours["wsgi.url_scheme"]) == ("192.0.2.2", "https")
    assert not {key for key in ours if key.startswith("HTTP_X_FORWARDED")}


@pytest.mark.parametrize(
    ("proto", "scheme", "kept"),
    [
        ("https", "https", True),
        ("HTTPS", "https", True),
        ("https,http", "http", True),
        ("http, https", "https", True),
        ("javascript", "http", False),
        ("https\x00", "http", False),
        ("x" * 1024 * 1024, "http", False),
    ],
)
def test_the_scheme_is_that_of_the_nearest_proxy(proto: str, scheme: str, kept: bool) -> None:
    """Others than http and https are removed."""
    environ = seen(PROXIES, environ_of(x_forwarded_proto=proto))
    assert environ["wsgi.url_scheme"] == scheme
    assert environ["SERVER_PORT"] == ({"https": "443", "http": "80"}[scheme] if kept else "8080")
    assert ("HTTP_X_FORWARDED_PROTO" in environ) is kept


@pytest.mark.parametrize(
    ("field", "text", "left"),
    [
        ("proto", "https, http", "http"),
        ("host", "evil.example, shop.example", "shop.example"),
        ("port", "1,81", "81"),
        ("prefix", "/evil,/shop", "/shop"),
        ("proto", "https", "https"),
    ],
)
def test_of_a_list_only_what_the_nearest_proxy_says_is_left(field: str, text: str, left: str) -> None:
    """The client may have written what stands before it, and a framework such as Django takes the first."""
    environ = seen(PROXIES, environ_of(path="/shop/a", **{f"x_forwarded_{field}": text}))
    assert environ[f"HTTP_X_FORWARDED_{field.upper()}"] == left
    assert environ.get("pastepool.forwarded", False) is (text != left)


@pytest.mark.parametrize(
    ("fields", "host", "name", "port"),
    [
        ({"host": "shop.example"}, "shop.example", "shop.example", "8080"),
        ({"host": "shop.example:8443", "proto": "https"}, "shop.example:8443", "shop.example", "8443"),
        ({"host": "shop.example:443", "proto": "https"}, "shop.example", "shop.example", "443"),
        ({"host": "a, shop.example", "port": "81"}, "shop.example:81", "shop.example", "81"),
        ({"host": "[2001:db8::1]:81"}, "[2001:db8::1]:81", "[2001:db8::1]", "81"),
        ({"host": "[2001:db8::1]"}, "[2001:db8::1]", "[2001:db8::1]", "8080"),
        ({"port": "81"}, "inside", "127.0.0.1", "81"),
        ({"host": "user@shop"}, "inside", "127.0.0.1", "8080"),
        ({"host": "shop:0"}, "inside", "127.0.0.1", "8080"),
        ({"host": "shop:70000"}, "inside", "127.0.0.1", "8080"),
        ({"host": "shop/evil"}, "inside", "127.0.0.1", "8080"),
        ({"host": ":80"}, "inside", "127.0.0.1", "8080"),
        ({"port": "0"}, "inside", "127.0.0.1", "8080"),
        ({"port": "\u0661"}, "inside", "127.0.0.1", "8080"),
        ({"port": "x"}, "inside", "127.0.0.1", "8080"),
    ],
)
def test_host_and_port_that_the_client_asked_for(fields: dict[str, str], host: str, name: str, port: str) -> None:
    """They are checked by the rules for a Host field; what does not fit is removed."""
    environ = seen(PROXIES, environ_of(**{f"x_forwarded_{key}": value for key, value in fields.items()}))
    assert (environ["HTTP_HOST"], environ["SERVER_NAME"], environ["SERVER_PORT"]) == (host, name, port)


@pytest.mark.parametrize(
    ("prefix", "named", "script", "path"),
    [
        ("/shop", False, "/shop", "/cart"),
        ("/shop/", False, "/shop", "/cart"),
        ("/shop/cart", False, "/shop/cart", ""),
        ("/sh", False, "", "/shop/cart"),
        ("/other", False, "", "/shop/cart"),
        ("/other", True, "/other", "/shop/cart"),
        ("/%73hop", False, "/shop", "/cart"),
        ("shop", True, "", "/shop/cart"),
        ("/a/../b", True, "", "/shop/cart"),
        ("//evil.example", True, "", "/shop/cart"),
        ("/a b", True, "", "/shop/cart"),
        ("/a?b", True, "", "/shop/cart"),
        ("/", True, "", "/shop/cart"),
    ],
)
def test_the_path_below_which_the_application_is_shown(prefix: str, named: bool, script: str, path: str) -> None:
    """A prefix of the path is taken off it; another one counts only if the operator has named the field."""
    trusted = TrustedProxies(PROXIES.peers, (X_FORWARDED, PREFIX) if named else (X_FORWARDED,))
    environ = seen(trusted, environ_of(x_forwarded_prefix=prefix))
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (script, path)


def test_the_host_of_rfc_7239() -> None:
    """The nearest proxy names it."""
    environ = seen(RFC7239, environ_of(forwarded='for=192.0.2.1;host="shop.example:8443";proto=https'))
    assert (environ["HTTP_HOST"], environ["wsgi.url_scheme"], environ["SERVER_PORT"]) == (
        "shop.example:8443",
        "https",
        "8443",
    )
    environ = seen(RFC7239, environ_of(forwarded="proto=https"))
    assert (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) == ("10.0.0.1", "https")
    assert "HTTP_FORWARDED" not in seen(RFC7239, environ_of())


TEXT = st.text(st.sampled_from('10.2:,;="\\ []fora_@/%x\u00e9'), max_size=60)


@given(
    trusted=st.sampled_from([PROXIES, RFC7239, TrustedProxies((*PROXIES.peers, UNIX), (X_FORWARDED, PREFIX))]),
    peer=st.sampled_from(["10.0.0.1", "192.0.2.7", "", "::ffff:10.0.0.1"]),
    fields=st.dictionaries(st.sampled_from(["for", "proto", "host", "port", "prefix"]), TEXT),
    forwarded=TEXT,
)
def test_nothing_that_a_peer_sends_fails(
    trusted: TrustedProxies, peer: str, fields: dict[str, str], forwarded: str
) -> None:
    """The keys of PEP 3333 stay well formed, whatever is sent."""
    sent = {f"x_forwarded_{key}": value for key, value in fields.items()}
    environ = seen(trusted, environ_of(peer, **sent, forwarded=forwarded))
    address = environ["REMOTE_ADDR"]
    assert address == peer or str(ipaddress.ip_address(address)) == address
    assert environ["wsgi.url_scheme"] in ("http", "https")
    assert environ["SERVER_PORT"].isdigit() and is_host(environ["HTTP_HOST"])
    assert environ["SCRIPT_NAME"] + environ["PATH_INFO"] in (
        "/shop/cart",
        environ["SCRIPT_NAME"] + "/shop/cart",
    )


def test_what_is_remembered_is_what_would_be_found_anew() -> None:
    """For the same words of a proxy, whatever the rest of the environ is: also on another listener."""
    given: list[Environ] = []

    def application(environ: Environ, start_response: Any) -> list[bytes]:
        given.append(environ)
        return []

    remembering = behind_trusted_proxies(application, PROXIES)
    chance = random.Random(5)
    said = [
        {
            f"x_forwarded_{name}": chance.choice(words)
            for name, words in {
                "for": ("192.0.2.1", "192.0.2.1, 10.0.0.9", "nonsense", "10.0.0.2, 192.0.2.2, 10.0.0.3"),
                "proto": ("http", "https", "HTTPS", "ftp", "http, https"),
                "host": ("shop.example", "shop.example:8443", "a b", "one, two"),
                "port": ("443", "8080", "none"),
                "prefix": ("/shop",),
                "by": ("10.0.0.1",),
            }.items()
            if chance.random() < 0.4
        }
        for _ in range(60)
    ]
    for _ in range(3000):
        environ = environ_of(chance.choice(("10.0.0.1", "10.0.0.7", "192.0.2.7")), **chance.choice(said))
        environ["SERVER_PORT"] = chance.choice(("80", "443", "8080"))
        environ["SERVER_NAME"] = chance.choice(("inside", "shop.example"))
        environ["HTTP_HOST"] = chance.choice(("inside", "shop.example"))
        environ["REMOTE_PORT"] = chance.choice(("", "50000"))
        environ["wsgi.url_scheme"] = chance.choice(("http", "https"))
        if chance.random() < 0.1:
            environ |= {"pastepool.peer": "10.9.9.9", "pastepool.forwarded": True}
        expected = seen(PROXIES, environ.copy())
        remembering(environ, lambda *ignored: None)
        assert given[-1] == expected


def test_bounded_number_of_words_is_remembered() -> None:
    """A client writes a part of them, and as long as it likes."""
    believed = _Believed(PROXIES)
    for number in range(3000):
        environ = environ_of(x_forwarded_for=f"192.0.{number // 250}.{number % 250}")
        believed.believe(environ)
        assert environ["REMOTE_ADDR"] == f"192.0.{number // 250}.{number % 250}"
        assert len(believed._changes) <= 1024
    believed.believe(environ_of(x_forwarded_for="x" * 600))
    assert all(len(key[3] or "") < 100 for key in believed._changes)
