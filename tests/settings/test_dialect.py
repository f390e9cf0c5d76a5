"""The options of waitress in a section with ``use = egg:pastepool#main``: what each means here, and what is refused."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import pytest
from waitress.adjustments import Adjustments

from pastepool.core.proxy_trust import ProxyTrust
from pastepool.errors import SettingsError
from pastepool.settings import Settings, read
from pastepool.settings.dialect import PASTE, WAITRESS, WITHOUT_MEANING, ours_for
from pastepool.settings.endpoint import Endpoint
from pastepool.settings.options import BY_NAME
from pastepool.settings.parsing import Refused
from tests.meta.repository import ROOT
from tests.settings.companions import companions

WHERE = "[server:main]"


def settings(**local: object) -> Settings:
    """Read a section that was written for waitress."""
    return read(local, {}, dialect=WAITRESS)


def complaint(**local: object) -> str:
    """Read a section that must be refused."""
    with pytest.raises(SettingsError) as caught:
        settings(**local)
    return str(caught.value)


@pytest.mark.parametrize(
    ("local", "field", "value"),
    [
        ({"threads": "8"}, "pool.workers", 8),
        ({"threads": "8"}, "pool.max_workers", 32),
        ({"threads": "8"}, "pool.spawn_if_under", 5),
        ({"threads": "3"}, "pool.spawn_if_under", 3),
        ({"threads": "1"}, "pool.max_workers", 1),
        ({"threads": "1", "threadpool_max_workers": "2"}, "pool.max_workers", 2),
        ({"threads": "4", "threadpool_max_workers": "4"}, "pool.max_workers", 4),
        ({"backlog": "2048"}, "listen_backlog", 2048),
        ({"connection_limit": "500"}, "overload.connection_limit", 500),
        ({"channel_timeout": "90"}, "timeouts.keep_alive", 90.0),
        ({"channel_timeout": "90"}, "timeouts.body", 90.0),
        ({"channel_timeout": "90", "send_timeout": "5"}, "timeouts.send", 5.0),
        ({"max_request_header_size": "131072"}, "limits.header_bytes", 131072),
        ({"max_request_body_size": "1073741824"}, "limits.body_bytes", 1073741823),
        ({"inbuf_overflow": "1048576"}, "body_memory", 1048576),
        ({"outbuf_overflow": "2097152"}, "output_high_watermark", 2097152),
        ({"outbuf_high_watermark": "16777216"}, "output_spool", 16777216),
        ({"ident": "Shop 1"}, "server_header", "Shop 1"),
        ({"ident": ""}, "server_header", ""),
        ({"ident": None}, "server_header", ""),
        ({}, "server_header", "pastepool"),
        ({"url_scheme": "https"}, "public.url_scheme", "https"),
        ({"url_prefix": "shop/"}, "public.url_prefix", "/shop"),
        ({"url_prefix": "///a/b//"}, "public.url_prefix", "/a/b"),
        ({"url_prefix": "/"}, "public.url_prefix", ""),
        ({"server_name": "shop.example"}, "public.server_name", "shop.example"),
        ({"expose_tracebacks": "true"}, "expose_tracebacks", True),
        ({"threadpool_kill_thread_limit": "60"}, "pool.kill_after", 60.0),
    ],
)
def test_option_of_waitress_sets_what_it_means_here(local: dict[str, Any], field: str, value: object) -> None:
    """Each name of waitress, and each of ours beside it, arrives in the field that has this meaning."""
    found = settings(**local)
    assert attrgetter(field)(found) == value
    assert found.notes == ()


@pytest.mark.parametrize(
    ("local", "endpoints"),
    [
        ({}, (Endpoint("0.0.0.0", 8080),)),
        ({"port": "6543"}, (Endpoint("0.0.0.0", 6543),)),
        ({"host": "127.0.0.1"}, (Endpoint("127.0.0.1", 8080),)),
        ({"listen": "*:6543"}, (Endpoint("*", 6543),)),
        ({"listen": "localhost:6543"}, (Endpoint("localhost", 6543),)),
        ({"listen": "localhost"}, (Endpoint("localhost", 8080),)),
        (
            {"listen": "127.0.0.1:8080 [::1]:8080"},
            (Endpoint("127.0.0.1", 8080), Endpoint("::1", 8080)),
        ),
        (
            {"listen": "\n127.0.0.1:80\n127.0.0.1:80\n[::]:81"},
            (Endpoint("127.0.0.1", 80), Endpoint("::", 81, family=6)),
        ),
        ({"listen": "127.0.0.1:80 localhost:80 127.0.0.1:81"}, (Endpoint("127.0.0.1", 80), Endpoint("127.0.0.1", 81))),
        ({"listen": "*:80 0.0.0.0:80 [::]:80"}, (Endpoint("*", 80),)),
        ({"listen": "127.0.0.1:0 localhost:0"}, (Endpoint("127.0.0.1", 0), Endpoint("localhost", 0))),
        ({"listen": "unix:/a 127.0.0.1:80"}, (Endpoint(path="/a"), Endpoint("127.0.0.1", 80))),
        ({"listen": "*:80", "ipv6": "false"}, (Endpoint("*", 80, family=4),)),
        ({"listen": "*:80", "ipv4": "false"}, (Endpoint("*", 80, family=6),)),
        ({"ipv4": "false"}, (Endpoint("::", 8080, family=6),)),
        ({"ipv6": "no"}, (Endpoint("0.0.0.0", 8080, family=4),)),
    ],
)
def test_addresses_are_those_of_waitress(local: dict[str, str], endpoints: tuple[Endpoint, ...]) -> None:
    """Several addresses, each once, every one of the machine by default, one IP family alone, ``::`` without IPv4."""
    assert settings(**local).listen == endpoints


def test_listen_works_in_a_section_for_paste_too() -> None:
    """Several addresses; ``::`` keeps the meaning it has there: both IP families."""
    found = read({"listen": "127.0.0.1:8080 [::]:8081"})
    assert found.listen == (Endpoint("127.0.0.1", 8080), Endpoint("::", 8081))
    shown = dict(found.shown)
    assert (shown["listen"], shown["host"]) == ("127.0.0.1:8080 [::]:8081", "see listen")


@pytest.mark.parametrize(
    ("local", "trust"),
    [
        ({}, ProxyTrust(clear=True)),
        ({"clear_untrusted_proxy_headers": "false"}, ProxyTrust()),
        ({"trusted_proxy": "10.0.0.1"}, ProxyTrust("10.0.0.1", 1, frozenset({"x-forwarded-proto"}), True)),
        (
            {
                "trusted_proxy": "*",
                "trusted_proxy_count": "2",
                "trusted_proxy_headers": "X-Forwarded-For\nx-forwarded-host",
                "log_untrusted_proxy_headers": "true",
            },
            ProxyTrust("*", 2, frozenset({"x-forwarded-for", "x-forwarded-host"}), True, True),
        ),
        ({"trusted_proxy": "2001:DB8:0::1"}, ProxyTrust("2001:db8::1", 1, frozenset({"x-forwarded-proto"}), True)),
        ({"trusted_proxy": "::ffff:10.0.0.1"}, ProxyTrust("10.0.0.1", 1, frozenset({"x-forwarded-proto"}), True)),
        ({"trusted_proxy": "fe80::1%eth0"}, ProxyTrust("fe80::1%eth0", 1, frozenset({"x-forwarded-proto"}), True)),
        (
            {"trusted_proxy": "::1", "trusted_proxy_headers": "forwarded", "clear_untrusted_proxy_headers": "no"},
            ProxyTrust("::1", 1, frozenset({"forwarded"})),
        ),
    ],
)
def test_trust_in_a_proxy_is_that_of_waitress(local: dict[str, str], trust: ProxyTrust) -> None:
    """Without a word everything is removed; a proxy that is trusted with nothing named is believed the scheme."""
    assert settings(**local).proxy_trust == trust


@pytest.mark.parametrize("proxy", ["proxy.example", "10.0.0.0/8", "10.0.0.1:80"])
def test_proxy_that_no_connection_can_come_from_is_noted(proxy: str) -> None:
    """As in waitress, the text is compared with the address of the connection; one that is no address is never equal."""
    found = settings(trusted_proxy=proxy)
    problem = f"trusted_proxy = {proxy!r} is not an IP address, so no proxy is believed"
    assert found.notes == (f"{WHERE}: {problem}; write it like trusted_proxy = 127.0.0.1.",)
    assert found.proxy_trust.proxy == proxy


@pytest.mark.parametrize("proxy", ["*", "127.0.0.1", "::1", "fe80::1%eth0", "localhost"])
def test_proxy_that_connections_can_come_from_is_not_noted(proxy: str) -> None:
    """An address or every one."""
    assert settings(trusted_proxy=proxy).notes == ()


def test_section_for_paste_trusts_nobody_and_removes_nothing() -> None:
    """Middleware of existing files goes on seeing what it saw."""
    assert read({}).proxy_trust == ProxyTrust()


@pytest.mark.parametrize("name", WITHOUT_MEANING)
@pytest.mark.parametrize("value", ["1", "true", ""])
def test_what_has_no_meaning_here_is_accepted(name: str, value: str) -> None:
    """It changes nothing but the notes."""
    found = settings(**{name: value})
    assert found.pool == settings().pool
    assert found.notes == (f"{WHERE}: {name}: accepted for waitress's sake, and without effect here.",)


def test_one_note_names_all_that_has_no_meaning() -> None:
    """Several such options make one line in the log."""
    (note,) = settings(send_bytes="1", asyncore_use_poll="true", recv_bytes="8192").notes
    assert note.startswith(f"{WHERE}: asyncore_use_poll, recv_bytes, send_bytes: accepted")


@pytest.mark.parametrize(
    ("local", "words"),
    [
        ({"threads": "0"}, "threads = '0' is not a whole number from 1 to 10000; write it like threads = 4."),
        ({"threads": "four"}, "threads = 'four' is not a whole number"),
        ({"listen": "127.0.0.1:99999"}, "listen = '127.0.0.1:99999' has a port that is not a whole number"),
        ({"listen": "a:1 b:x"}, "listen = 'a:1 b:x' has 'b:x', which has a port that is not a whole number"),
        ({"listen": "a:1", "host": "b"}, "listen = a:1 contradicts host = b; listen names every address with its port"),
        ({"listen": "a:1", "port": "2"}, "listen = a:1 contradicts port = 2; listen names every address"),
        ({"ipv4": "off", "ipv6": "off"}, "ipv4 = false contradicts ipv6 = false; no address is left"),
        ({"max_request_body_size": "1"}, "max_request_body_size = '1' is not a size from 2"),
        (
            {"threads": "4", "threadpool_workers": "8"},
            "threads = '4' and threadpool_workers = '8' are two names of one",
        ),
        ({"threads": "4", "threadpool_max_workers": "2"}, "threads = 4 contradicts threadpool_max_workers = 2"),
        ({"trusted_proxy_count": "2"}, "trusted_proxy_count = 2 contradicts trusted_proxy = none; it has no meaning"),
        (
            {"trusted_proxy_headers": "forwarded"},
            "trusted_proxy_headers = forwarded contradicts trusted_proxy = none; it has no meaning",
        ),
        (
            {"trusted_proxy": "a", "trusted_proxy_headers": "forwarded x-forwarded-for"},
            "trusted_proxy_headers = forwarded contradicts trusted_proxy_headers = x-forwarded-for",
        ),
        (
            {"trusted_proxy": "a", "trusted_proxy_headers": "x-forwarded-for forwarded"},
            "trusted_proxy_headers = forwarded contradicts trusted_proxy_headers = x-forwarded-for",
        ),
        (
            {"trusted_proxy": "a", "trusted_proxy_headers": "x-real-ip"},
            "trusted_proxy_headers = 'x-real-ip' is not some of forwarded, x-forwarded-for, x-forwarded-host",
        ),
        ({"sockets": "x"}, "sockets = 'x' cannot be served: only a program can pass open sockets; set listen"),
        (
            {"unix_socket": "/a", "host": "b"},
            "unix_socket = /a contradicts host = b; the server would listen at one of",
        ),
        ({"unix_socket": "/a", "listen": "b:1"}, "unix_socket = /a contradicts listen = b:1; the server would listen"),
        ({"unix_socket": "/a", "unix_socket_perms": "rw"}, "unix_socket_perms = 'rw' is not three octal digits"),
        ({"thread": "4"}, "'thread' (value '4') is not an option of pastepool; the nearest one is 'threads'"),
        ({"Threads": "4"}, "the nearest one is 'threads'"),
        (
            {"loglevel": "info"},
            "is not an option of pastepool but of gunicorn; the [loggers] sections of the file do this",
        ),
        ({"url_scheme": "ftp"}, "url_scheme = 'ftp' is not http or https"),
        ({"url_prefix": "a b"}, "url_prefix = 'a b' is not a path such as /shop"),
    ],
)
def test_mistake_is_one_sentence(local: dict[str, str], words: str) -> None:
    """The sentence has the name that the operator wrote, the value and the remedy."""
    assert words in complaint(**local)


def test_equal_values_under_two_names_are_no_contradiction() -> None:
    """A file may have both names while it is being moved."""
    assert settings(threads="4", threadpool_workers="4").pool.workers == 4


def test_two_more_names_of_one_option_are_compared_too() -> None:
    """Names of the main table are compared among themselves, as everywhere."""
    assert "are two names of one option" in complaint(threadpool_dying_limit="1", threadpool_dying_thread_limit="2")


def test_name_in_default_hides_an_option_of_waitress() -> None:
    """PasteDeploy does not pass on what [DEFAULT] has, under whatever name."""
    (note,) = read({}, {"threads": "4"}, dialect=WAITRESS).notes
    assert "threads = '4' stands in [DEFAULT]" in note


def test_rows_of_waitress_are_no_rows_of_ours() -> None:
    """A name has one meaning in one section. One name has a meaning of its own in each of the two kinds."""
    assert set(WAITRESS.options) & set(BY_NAME) == {"trusted_proxy_headers"}


@pytest.mark.parametrize(
    "name", [name for name, option in WAITRESS.options.items() if not isinstance(option.parser, Refused)]
)
def test_every_row_of_waitress_accepts_its_sample(name: str) -> None:
    """What a remedy recommends is accepted, and blank means not set or has a meaning of its own."""
    option = WAITRESS.options[name]
    settings(**{"trusted_proxy": "127.0.0.1", **companions(name), name: option.sample()})
    settings(**{name: ""})
    assert option.parser.expects
    assert option.doc.endswith(".")
    assert option.show(option.parser(option.sample()))


def test_every_option_of_waitress_has_a_row() -> None:
    """No option that the installed waitress knows is unknown here, and the manual names each."""
    known = {name for name, _ in Adjustments._params}
    assert len(known) > 20
    assert known - set(WAITRESS.options) - set(BY_NAME) == set()
    page = (ROOT / "docs" / "how-to" / "replace-waitress.md").read_text(encoding="utf-8")
    assert [name for name in sorted(known) if f"`{name}`" not in page] == []


@pytest.mark.parametrize("name", sorted(set(WAITRESS.options) - set(PASTE.options) - set(BY_NAME)))
def test_section_for_paste_does_not_know_waitress(name: str) -> None:
    """``egg:pastepool#http`` goes on speaking Paste; the sentence says where the name is understood, or ours for it."""
    with pytest.raises(SettingsError) as caught:
        read({name: "1"})
    if isinstance(WAITRESS.options[name].parser, Refused):
        remedy = "cannot be served: "
    else:
        remedy = "is not an option of egg:pastepool#http; a section with use = egg:pastepool#main takes it"
        remedy += f", so change the line with use or write {ours_for(name)!r}" * bool(ours_for(name))
    assert remedy in str(caught.value)


@pytest.mark.parametrize(("spawn", "cap"), [("0", 1), ("1", 4), (None, 4)])
def test_pair_of_paste_that_means_one_request_at_a_time(spawn: str | None, cap: int) -> None:
    """One worker, none added while requests wait: in Paste two requests never run at once, so they do not here."""
    assert read({"threadpool_workers": "1", "threadpool_spawn_if_under": spawn}).pool.max_workers == cap


def test_a_unix_socket_of_waitress() -> None:
    """Its mode is 600 if none is set, and there is no other address."""
    assert settings(unix_socket="/run/shop.sock").listen == (Endpoint(path="/run/shop.sock", mode=0o600),)
    assert settings(unix_socket="/a", unix_socket_perms="0o666").listen == (Endpoint(path="/a", mode=0o666),)


def test_rights_of_a_socket_that_is_not_asked_for_are_noted() -> None:
    """waitress takes no notice of them, so they do not stop the start."""
    found = settings(unix_socket_perms="660", port="6543")
    assert found.notes == ("[server:main]: unix_socket_perms has no effect: unix_socket is not set.",)
    assert found.listen == (Endpoint("0.0.0.0", 6543),)


def test_proxies_by_our_rules_in_a_section_for_waitress() -> None:
    """``trusted_proxies`` takes the place of waitress's rules, and excludes ``trusted_proxy``."""
    found = settings(trusted_proxies="10.0.0.0/8 unix", trusted_proxy_headers="forwarded")
    assert found.proxy_trust == ProxyTrust()
    assert found.trusted_proxies.fields == ("forwarded",)
    assert settings(trusted_proxies="unix", trusted_proxy_headers="x-forwarded-for").trusted_proxies.fields == (
        "x-forwarded",
    )
    sentence = "trusted_proxies = unix contradicts trusted_proxy = 10.0.0.1; they name proxies by different rules"
    assert sentence in complaint(trusted_proxies="unix", trusted_proxy="10.0.0.1")


def test_proxies_by_our_rules_in_a_section_for_paste() -> None:
    """One family of fields; without proxies the choice has no effect."""
    found = read({"trusted_proxies": "127.0.0.1, UNIX", "trusted_proxy_headers": "x-forwarded x-forwarded-prefix"})
    assert (dict(found.shown)["trusted_proxies"], found.trusted_proxies.fields) == (
        "127.0.0.1, unix",
        ("x-forwarded", "x-forwarded-prefix"),
    )
    (note,) = read({"trusted_proxy_headers": "forwarded"}).notes
    assert note == "[server:main]: trusted_proxy_headers has no effect: trusted_proxies is not set."
    for bad in ("forwarded x-forwarded", "x-forwarded-prefix", "forwarded x-forwarded-prefix", "x-forwarded-for"):
        with pytest.raises(SettingsError, match="is not x-forwarded, x-forwarded x-forwarded-prefix or forwarded"):
            read({"trusted_proxy_headers": bad})
    with pytest.raises(SettingsError, match="is not addresses or networks such as"):
        read({"trusted_proxies": "unix example.org"})
