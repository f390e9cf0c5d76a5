"""
The options that a section may have beside the main table: those of waitress in a section with
``use = egg:pastepool#main``, and in every section those of gunicorn and CherryPy that have an equivalent.

A dialect has names of its own beside those of the main table. Its values are translated into values of the main table,
so that the rest of pastepool knows only that one. Sources: waitress 3.0, ``waitress/adjustments.py`` and its manual;
for gunicorn and CherryPy see ``foreign``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pastepool.core.addresses import ip_address
from pastepool.core.proxy_trust import ANYBODY, FORWARDED, KNOWN, PROTO, UNIX_PEER, ProxyTrust
from pastepool.settings.endpoint import UNIX_MODE, Endpoint, each_once
from pastepool.settings.foreign import CHERRYPY, GUNICORN
from pastepool.settings.listeners import Binds, FileMode, Listeners, UnixPath
from pastepool.settings.mistakes import Mistakes
from pastepool.settings.option import Option
from pastepool.settings.options import BY_NAME
from pastepool.settings.parsing import AccessLogTarget, Anything, Choices, Number, Parser, Refused, Size, Text, Truth
from pastepool.settings.place import SettingsPlace
from pastepool.settings.rows.pool import MOST_WORKERS
from pastepool.settings.tls_parsing import CertificateRequirement, FilePath
from pastepool.settings.tls_relations import all_with_tls

WITHOUT_MEANING = (
    "asyncore_loop_timeout",
    "asyncore_use_poll",
    "channel_request_lookahead",
    "cleanup_interval",
    "log_socket_errors",
    "recv_bytes",
    "send_bytes",
)
"""Options of waitress about its own inner workings. They are accepted, and one note names them all."""

Values = dict[str, Any]


class Translated(NamedTuple):
    """
    The values that a section gives, by ``Option.name`` of the main table.

    ``family``: 4 or 6 if the server must listen only on addresses of this IP family, otherwise 0. ``proxy_trust``: which
    proxy is believed. ``notes``: sentences for the log, without the place.
    """

    values: Values
    family: int = 0
    proxy_trust: ProxyTrust = ProxyTrust()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dialect:
    """
    Names that a section may use beside those of the main table.

    ``options``: the row of each further name. ``translate``: turns the values that a section gives into values of the
    main table, and takes note of mistakes. ``narrow``: ``::`` means IPv6 alone, not both IP families.
    """

    options: Mapping[str, Option]
    translate: Callable[[Values, SettingsPlace, Mistakes], Translated]
    narrow: bool = False


def _row(
    name: str, parser: Parser, doc: str, example: str = "", blank: str | None = None, group: str = "waitress"
) -> Option:
    """Make a row of another server's option. Its value has no field of its own, because it is translated."""
    return Option(
        names=(name,),
        parser=parser,
        default=None,
        unit="",
        field="",
        since="0.1",
        doc=doc,
        why="Files that were written for another server have it.",
        group=group,
        default_text="not set",
        example=example,
        blank=blank,
    )


_ROWS = (
    _row("threads", Number(1, MOST_WORKERS), "threadpool_workers; with 1, there is never a second worker.", "4"),
    _row("backlog", Number(1, 1048576), "request_queue_size.", "1024"),
    _row("channel_timeout", Number(1, 10**9), "socket_timeout, in whole seconds.", "120"),
    _row("max_request_header_size", Size(1, 16777216), "max_header_bytes.", "262144"),
    _row("max_request_body_size", Size(2, 2**50), "max_body_bytes, but content of just this size is refused.", "1g"),
    _row("inbuf_overflow", Size(0, 2**30), "body_memory.", "524288"),
    _row("outbuf_overflow", Size(1, 2**30), "output_high_watermark.", "1048576"),
    _row("outbuf_high_watermark", Size(0, 2**40), "output_spool.", "16777216"),
    _row("ident", Text(), "server_version; blank for no Server field.", "shop", blank=""),
    _row("ipv4", Truth(), "Whether names and * mean IPv4 addresses.", "true"),
    _row("ipv6", Truth(), "Whether names and * mean IPv6 addresses.", "true"),
    _row("trusted_proxy", Text(), "The address of the proxy that is believed; * for every one.", "127.0.0.1"),
    _row("trusted_proxy_count", Number(1, 1000), "How many proxies stand one behind the other.", "1"),
    _row("trusted_proxy_headers", Choices(KNOWN), "What the proxy is believed.", "x-forwarded-for x-forwarded-proto"),
    _row("clear_untrusted_proxy_headers", Truth(), "Whether other fields of proxies are removed.", "true"),
    _row("log_untrusted_proxy_headers", Truth(), "Whether a line in the log says what was removed.", "false"),
    _row("unix_socket", UnixPath(), "The path of a unix socket to listen on; listen = unix:...", "/run/shop.sock"),
    _row("unix_socket_perms", FileMode(), "The mode of its file; the word mode= of listen.", "600"),
    _row("fast-listen", Listeners(), "listen; zope2instance has it.", "127.0.0.1:8080"),
    _row("sockets", Refused("only a program can pass open sockets; set listen"), "Open sockets, from a program."),
    *(_row(name, Anything(), "Accepted, without effect.", "1", blank="") for name in WITHOUT_MEANING),
)

_SHARED_ROWS = (
    _row("threads", Number(1, MOST_WORKERS), "threadpool_workers; 1: never a second one.", "4", group=GUNICORN),
    _row("backlog", Number(1, 1048576), "request_queue_size.", "2048", group=GUNICORN),
)
"""Options that gunicorn and waitress have under one name, and with one meaning."""

_MOVED_ROWS = (
    _row("numthreads", BY_NAME["threadpool_workers"].parser, "threadpool_workers.", "10", group=CHERRYPY),
    _row("bind", Binds(), "listen.", "127.0.0.1:8000", group=GUNICORN),
    _row("workers", BY_NAME["processes"].parser, "processes.", "4", group=GUNICORN),
    _row("max_requests", BY_NAME["maximum_requests"].parser, "maximum_requests.", "1000", group=GUNICORN),
    _row("proc_name", BY_NAME["display_name"].parser, "display_name.", "shop", group=GUNICORN),
    _row("keepalive", BY_NAME["keep_alive_timeout"].parser, "keep_alive_timeout.", "5", group=GUNICORN),
    _row("accesslog", AccessLogTarget(), "access_log = true, for the value -.", "-", group=GUNICORN),
    _row("certfile", FilePath(), "ssl_certificate.", "/etc/ssl/shop.crt", group=GUNICORN),
    _row("keyfile", FilePath(), "ssl_key.", "/etc/ssl/shop.key", group=GUNICORN),
    _row("ca_certs", FilePath(), "ssl_client_ca.", "/etc/ssl/clients.pem", group=GUNICORN),
    _row("cert_reqs", CertificateRequirement(), "ssl_verify_client.", "0", group=GUNICORN),
    _row("ciphers", Text(), "ssl_ciphers.", "ECDHE+AESGCM", group=GUNICORN),
)
"""Options of gunicorn and CherryPy that have an equivalent."""

_MOVED = {
    "numthreads": "threadpool_workers",
    "bind": "listen",
    "workers": "processes",
    "max_requests": "maximum_requests",
    "proc_name": "display_name",
    "keepalive": "keep_alive_timeout",
    "accesslog": "access_log",
    "certfile": "ssl_certificate",
    "keyfile": "ssl_key",
    "ca_certs": "ssl_client_ca",
    "cert_reqs": "ssl_verify_client",
    "ciphers": "ssl_ciphers",
}

_OF_GUNICORN = {**_MOVED, "threads": "threadpool_workers", "backlog": "request_queue_size"}

_PERMS_OF_WAITRESS = 0o600

_RENAMED = {
    **_MOVED,
    "threads": "threadpool_workers",
    "backlog": "request_queue_size",
    "channel_timeout": "socket_timeout",
    "max_request_header_size": "max_header_bytes",
    "inbuf_overflow": "body_memory",
    "outbuf_overflow": "output_high_watermark",
    "outbuf_high_watermark": "output_spool",
    "ident": "server_version",
    "fast-listen": "listen",
}


_NEARLY = {"max_request_body_size": "max_body_bytes", "trusted_proxy": "trusted_proxies"}
"""Options of ours that take the place of one of waitress, but not with every value of it."""


def ours_for(name: str) -> str:
    """Return the option of the main table that does the same as one of waitress, or nearly; empty if there is none."""
    return _NEARLY.get(name) or _RENAMED.get(name, "")


def _of_paste(own: Values, place: SettingsPlace, mistakes: Mistakes) -> Translated:
    """Translate the values of a section that was not written for waitress."""
    values = {name: value for name, value in own.items() if name not in _OF_GUNICORN}
    moves = [(ours, name, own[name]) for name, ours in _OF_GUNICORN.items() if name in own]
    _rename(moves, own, values, place, mistakes)
    if "threads" in own:
        _limit_threads(values, own["threads"])
    return Translated(values, notes=_notes_of_gunicorn(own))


def _notes_of_gunicorn(own: Values) -> tuple[str, ...]:
    """
    Tell what gunicorn does in another way: its processes have no threads if the file does not say so, and everybody may
    connect to its unix sockets.
    """
    notes = []
    workers = own.get("workers")
    if workers and not own.keys() & {"threadpool_workers", "numthreads", "threads"}:
        notes.append(
            f"workers = {workers} is taken as processes = {workers}, and each of them runs several requests at once in"
            " threads; if the application is not safe for threads, set threadpool_workers = 1 and"
            " threadpool_spawn_if_under = 0."
        )
    notes += [
        f"bind = {each}: its user and its group may connect, and not everybody as with gunicorn; if the proxy is in no common"
        f" group, write bind = {each} mode=666."
        for each in own.get("bind", ())
        if each.path and not each.is_abstract and each.mode == UNIX_MODE and not each.owner
    ]
    return tuple(notes)


def _rename(
    moves: Iterable[tuple[str, str, object]], own: Values, values: Values, place: SettingsPlace, mistakes: Mistakes
) -> None:
    """
    Put the values of other names under ours, in ``values``. It is a mistake if two names of one option differ.

    ``moves``: our name, the other name, and the value in the meaning of ours. ``own``: the values as they were given.
    """
    spelt: dict[str, str] = {}
    for ours, name, value in moves:
        if values.get(ours, value) != value:
            other = spelt.get(ours, ours)
            mistakes.add(place.twice(name, _shown(name, own[name]), other, _shown(other, own[other])))
        values[ours] = value
        spelt[ours] = name
    if "certfile" in own and "bind" in own:
        values["listen"] = all_with_tls(values["listen"])


def _of_waitress(own: Values, place: SettingsPlace, mistakes: Mistakes) -> Translated:
    """
    Translate the values of a section written for waitress.

    It is a mistake if a name of waitress and our name for the same thing have different values.
    """
    moves = [(ours, name, own[name]) for name, ours in _RENAMED.items() if name in own]
    if "max_request_body_size" in own:
        moves.append(("max_body_bytes", "max_request_body_size", own["max_request_body_size"] - 1))
    values = {name: value for name, value in own.items() if name not in WAITRESS.options}
    _rename(moves, own, values, place, mistakes)
    if "listen" in values:
        values["listen"] = each_once(values["listen"])
    if own.get("trusted_proxies") and FORWARDED in own.get("trusted_proxy_headers", ()):
        values["trusted_proxy_headers"] = (FORWARDED,)
    if "threads" in own:
        _limit_threads(values, own["threads"])
    family = _family(own, place, mistakes)
    _listen_at_path(own, values, place, mistakes)
    if not values.keys() & {"host", "listen"}:
        values["host"] = "::" if family == 6 else "0.0.0.0"
    idle = [name for name in WITHOUT_MEANING if name in own]
    notes = [f"{', '.join(idle)}: accepted for waitress's sake, and without effect here."] if idle else []
    notes += _notes_of_gunicorn(own)
    if "unix_socket_perms" in own and "unix_socket" not in own:
        notes.append("unix_socket_perms has no effect: unix_socket is not set.")
    trust = _proxy_trust(own, place, mistakes)
    if trust.proxy not in ("", ANYBODY, UNIX_PEER) and ip_address(trust.proxy) is None:
        notes.append(
            f"trusted_proxy = {trust.proxy!r} is not an IP address, so no proxy is believed; write it like"
            f" trusted_proxy = {WAITRESS.options['trusted_proxy'].sample()}."
        )
    return Translated(values, family, trust, tuple(notes))


def _listen_at_path(own: Values, values: Values, place: SettingsPlace, mistakes: Mistakes) -> None:
    """Listen on ``unix_socket``, which excludes every other address, as in waitress."""
    path = own.get("unix_socket")
    if path is None:
        return
    for other in ("host", "port", "listen"):
        if other in values:
            value = values[other][0] if other == "host" else values[other]
            remedy = "the server would listen at one of them only, so delete one of the lines"
            mistakes.add(place.contradiction("unix_socket", path, other, _shown(other, value), remedy))
            return
    values["listen"] = (Endpoint(path=path, mode=own.get("unix_socket_perms", _PERMS_OF_WAITRESS)),)


def _limit_threads(values: Values, threads: int) -> None:
    """Make the pool that ``threads`` asks for. An application that sets 1 relies on never running twice at once."""
    values.setdefault("threadpool_spawn_if_under", min(threads, values.get("threadpool_max_workers", threads), 5))
    if threads == 1:
        values.setdefault("threadpool_max_workers", 1)


def _proxy_trust(own: Values, place: SettingsPlace, mistakes: Mistakes) -> ProxyTrust:
    """
    Return which proxy is believed. Without ``trusted_proxy_headers`` it is believed the scheme, as in waitress.

    It is a mistake if something is to be believed of no proxy, or two fields that exclude each other.
    """
    proxy = own.get("trusted_proxy", "")
    if own.get("trusted_proxies"):
        if proxy:
            ours = _shown("trusted_proxies", own["trusted_proxies"])
            remedy = "they name proxies by different rules, so delete one of the lines"
            mistakes.add(place.contradiction("trusted_proxies", ours, "trusted_proxy", proxy, remedy))
        return ProxyTrust()
    headers: tuple[str, ...] = own.get("trusted_proxy_headers", ())
    for name in ("trusted_proxy_count", "trusted_proxy_headers"):
        if name in own and not proxy:
            remedy = "it has no meaning without the other, so set trusted_proxy or delete the line"
            mistakes.add(place.contradiction(name, _shown(name, own[name]), "trusted_proxy", "none", remedy))
    if FORWARDED in headers and len(headers) > 1:
        remedy = "a proxy sets one of the two, and a client could send the other, so name only what your proxy sets"
        other = next(name for name in headers if name != FORWARDED)
        mistakes.add(place.contradiction("trusted_proxy_headers", FORWARDED, "trusted_proxy_headers", other, remedy))
    return ProxyTrust(
        proxy=_as_peer(proxy),
        count=own.get("trusted_proxy_count", 1),
        headers=frozenset(headers or (PROTO,)) if proxy else frozenset(),
        clear=own.get("clear_untrusted_proxy_headers", True),
        log_cleared=own.get("log_untrusted_proxy_headers", False),
    )


def _as_peer(text: str) -> str:
    """Spell an address as it is spelt for the other end of a connection. Other text, and a zone, stay as they are."""
    address = None if "%" in text else ip_address(text)
    return text if address is None else str(address)


def _family(own: Values, place: SettingsPlace, mistakes: Mistakes) -> int:
    """Return the only IP family that is wanted, or 0."""
    ipv4, ipv6 = own.get("ipv4", True), own.get("ipv6", True)
    if not ipv4 and not ipv6:
        remedy = "no address is left, so delete one of the lines"
        mistakes.add(place.contradiction("ipv4", "false", "ipv6", "false", remedy))
    return 0 if ipv4 and ipv6 else 4 if ipv4 else 6


def _shown(name: str, value: object) -> str:
    option = BY_NAME.get(name) or WAITRESS.options[name]
    return option.show(value)


PASTE = Dialect(options={option.name: option for option in (*_SHARED_ROWS, *_MOVED_ROWS)}, translate=_of_paste)
"""The names of the main table, and those that gunicorn and CherryPy have for the same: ``use = egg:pastepool#http``."""

WAITRESS = Dialect(
    options={option.name: option for option in (*_ROWS, *_MOVED_ROWS)},
    translate=_of_waitress,
    narrow=True,
)
"""The same and those of waitress: ``use = egg:pastepool#main``."""
